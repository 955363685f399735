package extsort

import (
	"bufio"
	"container/heap"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
)

const readBuffer = 64 << 10

// entryBytes is an entry whose bytes may be overwritten by the next one.
type entryBytes struct {
	key, value []byte
}

// writeRun writes sorted entries into a new run: for each the lengths of key and
// value as varints, then both.
func (s *Sorter) writeRun(entries iter.Seq2[entryBytes, error]) (err error) {
	name := filepath.Join(s.scratch, fmt.Sprintf("run-%06d", s.nextRun))
	s.nextRun++
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return scratchError(err)
	}
	defer func() {
		if cerr := f.Close(); err == nil && cerr != nil {
			err = scratchError(cerr)
		}
	}()
	w := bufio.NewWriterSize(f, readBuffer)
	var head [2 * binary.MaxVarintLen64]byte
	for e, err := range entries {
		if err != nil {
			return err
		}
		n := binary.PutUvarint(head[:], uint64(len(e.key)))
		n += binary.PutUvarint(head[n:], uint64(len(e.value)))
		for _, b := range [][]byte{head[:n], e.key, e.value} {
			if _, err := w.Write(b); err != nil {
				return scratchError(err)
			}
		}
	}
	if err := w.Flush(); err != nil {
		return scratchError(err)
	}
	s.runs = append(s.runs, name)
	return nil
}

// reader walks one run; cur is its present entry.
type reader struct {
	name string
	file *os.File
	r    *bufio.Reader
	buf  []byte
	cur  entryBytes
}

func openRun(name string) (*reader, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, scratchError(err)
	}
	return &reader{name: name, file: f, r: bufio.NewReaderSize(f, readBuffer)}, nil
}

// next moves on; io.EOF behind the last entry.
func (r *reader) next() error {
	k, err := binary.ReadUvarint(r.r)
	if errors.Is(err, io.EOF) {
		return io.EOF
	}
	if err != nil {
		return tornRun(r.name, err)
	}
	v, err := binary.ReadUvarint(r.r)
	if err != nil {
		return tornRun(r.name, err)
	}
	if need := int(k + v); cap(r.buf) < need {
		r.buf = make([]byte, need)
	}
	b := r.buf[:k+v]
	if _, err := io.ReadFull(r.r, b); err != nil {
		return tornRun(r.name, err)
	}
	r.cur = entryBytes{b[:k:k], b[k:]}
	return nil
}

type readers []*reader

func (h readers) Len() int      { return len(h) }
func (h readers) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h readers) Less(i, j int) bool {
	return compare(h[i].cur.key, h[i].cur.value, h[j].cur.key, h[j].cur.value) < 0
}
func (h *readers) Push(x any) { *h = append(*h, x.(*reader)) }
func (h *readers) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}

// merge yields the entries of several runs in order.
func merge(names []string) iter.Seq2[entryBytes, error] {
	return func(yield func(entryBytes, error) bool) {
		var h readers
		var open []*reader
		defer func() {
			for _, r := range open {
				_ = r.file.Close() // only read
			}
		}()
		for _, name := range names {
			r, err := openRun(name)
			if err == nil {
				open = append(open, r)
				err = r.next()
			}
			if errors.Is(err, io.EOF) {
				continue
			}
			if err != nil {
				yield(entryBytes{}, err)
				return
			}
			h = append(h, r)
		}
		heap.Init(&h)
		for len(h) > 0 {
			if !yield(h[0].cur, nil) {
				return
			}
			switch err := h[0].next(); {
			case errors.Is(err, io.EOF):
				heap.Pop(&h)
			case err != nil:
				yield(entryBytes{}, err)
				return
			default:
				heap.Fix(&h, 0)
			}
		}
	}
}
