// Package extsort sorts more entries than fit in memory: it fills a buffer,
// writes it sorted to a scratch file when it is full, and merges the files.
//
// Memory is bounded by the buffer while adding, and by fanIn read buffers of
// 64 KiB while merging, whatever the number of entries. Scratch space is about
// the size of the entries added, twice that when there are more than fanIn runs.
package extsort

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"os"
	"slices"

	"github.com/stillpoint-db/stillpoint/model"
)

const (
	// DefaultMemory is the size of the buffer when none is given, in bytes.
	DefaultMemory = 32 << 20
	fanIn         = 64
	entryOverhead = 24 // bytes of the buffer that an entry costs beside its content
)

// Sorter takes entries in any order and gives them back sorted by key, then by
// value, both compared as bytes. It is for one goroutine.
type Sorter struct {
	parent  string // folder in which to make the scratch folder
	scratch string // ours, "" until the first spill
	memory  int

	arena   []byte
	entries []entry
	runs    []string
	nextRun int
	added   int64
}

// entry is a slice of the arena: key then value.
type entry struct {
	at, key, value int
}

// New makes a Sorter that keeps at most memory bytes (0 = DefaultMemory) and
// spills into a new folder inside dir ("" = the system's temporary folder).
func New(dir string, memory int) *Sorter {
	if memory <= 0 {
		memory = DefaultMemory
	}
	return &Sorter{parent: dir, memory: memory}
}

// Len is the number of entries added.
func (s *Sorter) Len() int64 { return s.added }

// Add copies an entry in. A full disk is model.ErrUnavailable.
func (s *Sorter) Add(key, value []byte) error {
	size := len(key) + len(value)
	if len(s.entries) > 0 && len(s.arena)+size+entryOverhead*(len(s.entries)+1) > s.memory {
		if err := s.spill(); err != nil {
			return err
		}
	}
	s.entries = append(s.entries, entry{at: len(s.arena), key: len(key), value: len(value)})
	s.arena = append(append(s.arena, key...), value...)
	s.added++
	return nil
}

func (s *Sorter) content(e entry) (key, value []byte) {
	k := s.arena[e.at : e.at+e.key : e.at+e.key]
	return k, s.arena[e.at+e.key : e.at+e.key+e.value]
}

func (s *Sorter) sortBuffer() {
	slices.SortFunc(s.entries, func(a, b entry) int {
		ak, av := s.content(a)
		bk, bv := s.content(b)
		return compare(ak, av, bk, bv)
	})
}

func compare(ak, av, bk, bv []byte) int {
	if c := bytes.Compare(ak, bk); c != 0 {
		return c
	}
	return bytes.Compare(av, bv)
}

func (s *Sorter) buffered() iter.Seq2[entryBytes, error] {
	return func(yield func(entryBytes, error) bool) {
		for _, e := range s.entries {
			k, v := s.content(e)
			if !yield(entryBytes{k, v}, nil) {
				return
			}
		}
	}
}

func (s *Sorter) spill() error {
	if s.scratch == "" {
		dir, err := os.MkdirTemp(s.parent, "stillpoint-sort-")
		if err != nil {
			return scratchError(err)
		}
		s.scratch = dir
	}
	s.sortBuffer()
	if err := s.writeRun(s.buffered()); err != nil {
		return err
	}
	s.arena, s.entries = s.arena[:0], s.entries[:0]
	return nil
}

// Sorted yields every entry in order. Key and value are valid until the next one
// is asked for. It may be called once; nothing can be added afterwards.
func (s *Sorter) Sorted() iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		seq := s.buffered()
		if len(s.runs) > 0 {
			if len(s.entries) > 0 {
				if err := s.spill(); err != nil {
					yield(Entry{}, err)
					return
				}
			}
			s.arena, s.entries = nil, nil
			for len(s.runs) > fanIn {
				batch := s.runs[:fanIn]
				s.runs = s.runs[fanIn:]
				if err := s.writeRun(merge(batch)); err != nil {
					yield(Entry{}, err)
					return
				}
				for _, name := range batch {
					_ = os.Remove(name)
				}
			}
			seq = merge(s.runs)
		} else {
			s.sortBuffer()
		}
		for e, err := range seq {
			if !yield(Entry{e.key, e.value}, err) || err != nil {
				return
			}
		}
	}
}

// Entry is what was added.
type Entry struct {
	Key, Value []byte
}

// Close removes what was spilled. It may be called more than once.
func (s *Sorter) Close() error {
	s.arena, s.entries = nil, nil
	if s.scratch == "" {
		return nil
	}
	dir := s.scratch
	s.scratch = ""
	return os.RemoveAll(dir)
}

func scratchError(err error) error {
	return &model.Error{Class: model.ErrUnavailable, Op: "sort on disk", Err: err,
		Hint: "Give it a folder with more room with --scratch, or free some"}
}

var errTorn = errors.New("a scratch file ends in the middle of an entry")

func tornRun(name string, err error) error {
	return scratchError(fmt.Errorf("%s: %w: %w", name, errTorn, err))
}
