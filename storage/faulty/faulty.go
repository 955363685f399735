// Package faulty wraps a storage and makes its calls go wrong on purpose, so
// that a test can see what its program does when a database refuses a write,
// loses an answer, delivers one late, or when the process in front of it dies.
//
//	s := faulty.New(inner, 1)
//	s.Add(faulty.LoseAnswer.On(faulty.Mutate).Table(coordinator).Nth(2))
//
// lets the second write to the Coordinator table happen and tells the caller
// that its outcome is unknown. Rules are tried in the order in which they were
// added and the first that matches decides; a call that none matches goes
// through. Choices by chance follow the seed and the order of the calls, so
// that one goroutine sees the same faults every time.
package faulty

import (
	"context"
	"math/rand/v2"
	"sync"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// Storage is a storage whose calls may fail on purpose. All methods may be
// called from several goroutines at once. One Storage stands for the connection
// of one process: several of them on one database are several processes, and a
// crash ends one of them.
type Storage struct {
	storage.Storage // what is wrapped

	mu      sync.Mutex
	rng     *rand.Rand
	rules   []*Rule
	seq     int
	counts  map[Method]int
	watch   func(Call, Effect)
	crashed chan struct{} // closed by a crash
	thaw    chan struct{} // closed by Thaw; new after it
	late    sync.WaitGroup
}

// New wraps a storage. Without rules it changes nothing.
func New(inner storage.Storage, seed uint64) *Storage {
	return &Storage{
		Storage: inner,
		rng:     rand.New(rand.NewPCG(seed, 0x5717)),
		counts:  map[Method]int{},
		crashed: make(chan struct{}),
		thaw:    make(chan struct{}),
	}
}

// Unwrap returns the storage that is wrapped.
func (s *Storage) Unwrap() storage.Storage { return s.Storage }

// Add adds rules after those that are there.
func (s *Storage) Add(rules ...*Rule) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules = append(s.rules, rules...)
}

// Clear removes all rules. It does not undo a crash and does not thaw.
func (s *Storage) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules = nil
}

// Watch has f told of every call and what was done to it, before it is done.
// f must not call the storage.
func (s *Storage) Watch(f func(Call, Effect)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watch = f
}

// Count returns how many calls of a method there were.
func (s *Storage) Count(m Method) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts[m]
}

// Crash ends the process that the storage stands for: all calls from now on
// fail and do nothing. Calls that were sent already may still be applied.
func (s *Storage) Crash() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.crash()
}

func (s *Storage) crash() {
	select {
	case <-s.crashed:
	default:
		close(s.crashed)
	}
}

// Crashed returns a channel that is closed by a crash.
func (s *Storage) Crashed() <-chan struct{} { return s.crashed }

// Thaw lets go of all calls that are frozen now.
func (s *Storage) Thaw() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.thaw)
	s.thaw = make(chan struct{})
}

// Wait waits for writes that are delivered late.
func (s *Storage) Wait() { s.late.Wait() }

// Close waits for writes that are delivered late and closes the storage that is
// wrapped.
func (s *Storage) Close() error {
	s.Wait()
	return s.Storage.Close()
}

// Get implements storage.Storage.
func (s *Storage) Get(ctx context.Context, gets []storage.Get) (rows []*model.Row, err error) {
	err = s.call(ctx, Call{Method: Get, Gets: gets}, func(ctx context.Context) error {
		rows, err = s.Storage.Get(ctx, gets)
		return err
	})
	if err != nil {
		return nil, err
	}
	return rows, nil
}

// Scan implements storage.Storage.
func (s *Storage) Scan(ctx context.Context, scan storage.Scan) (page storage.Page, err error) {
	err = s.call(ctx, Call{Method: Scan, Scan: scan}, func(ctx context.Context) error {
		page, err = s.Storage.Scan(ctx, scan)
		return err
	})
	if err != nil {
		return storage.Page{}, err
	}
	return page, nil
}

// Mutate implements storage.Storage.
func (s *Storage) Mutate(ctx context.Context, batch storage.Batch) error {
	return s.call(ctx, Call{Method: Mutate, Batch: batch}, func(ctx context.Context) error {
		return s.Storage.Mutate(ctx, batch)
	})
}
