package fence

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/stillpoint-db/stillpoint/storage"
)

// releaseTime bounds how long Release waits for a database that does not
// answer. Its lock then ends with its session.
const releaseTime = 5 * time.Second

// Held is a fence that was taken. It is for one goroutine.
type Held struct {
	tries   int
	spans   []*span // locks held now
	done    []Span  // of the last attempt, once released
	longest time.Duration
	busy    []Busy
}

// span is a lock in one database.
type span struct {
	Storage        string
	fence          storage.Fence
	asked, granted time.Time
}

// Alive fails with class model.ErrVoid if the fence may have been lost in any
// database since it was taken.
func (h *Held) Alive(ctx context.Context) error {
	return h.each(func(s *span) error {
		if err := s.fence.Alive(ctx); err != nil {
			return void(fmt.Sprintf("holding the lock in storage %q", s.Storage), err)
		}
		return nil
	})
}

// Release lets go everywhere, at once, whether or not ctx is done. It may be
// called more than once. An error means that a database did not confirm; its
// lock ends with its session.
func (h *Held) Release(ctx context.Context) error {
	if len(h.spans) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTime)
	defer cancel()
	ends := make([]Span, len(h.spans))
	index := make(map[*span]int, len(h.spans))
	for i, s := range h.spans {
		index[s] = i
	}
	err := h.each(func(s *span) error {
		err := s.fence.Release(ctx)
		ends[index[s]] = Span{Storage: s.Storage, Asked: s.asked.UTC(), Granted: s.granted.UTC(), Released: time.Now().UTC()}
		if err != nil {
			return fmt.Errorf("release the commit fence in storage %q: %w", s.Storage, err)
		}
		return nil
	})
	for _, s := range h.spans {
		h.stalled(s.asked)
	}
	h.spans, h.done = nil, ends
	return err
}

// each runs f for every lock held, all at once.
func (h *Held) each(f func(*span) error) error {
	errs := make([]error, len(h.spans))
	var wg sync.WaitGroup
	for i, s := range h.spans {
		wg.Go(func() { errs[i] = f(s) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// stalled notes that a writer may have waited since the given moment.
func (h *Held) stalled(since time.Time) { h.longest = max(h.longest, time.Since(since)) }

// note keeps the last few who were in the way.
func (h *Held) note(e *storage.FenceBusyError) {
	const most = 20
	b := Busy{Storage: e.Storage, Holders: e.Holders}
	if e.Table.Name != "" {
		b.Table = e.Table.String()
	}
	if e.Err != nil {
		b.Reason = e.Err.Error()
	}
	if len(h.busy) == most {
		h.busy = append(h.busy[:0], h.busy[1:]...)
	}
	h.busy = append(h.busy, b)
}

// Report says what a fence did to the writers.
type Report struct {
	Tries int    `json:"tries"`
	Spans []Span `json:"storages"` // of the attempt that got every lock; empty if none did
	// LongestStall bounds how long any writer waited for the fence, failed
	// attempts included: from the moment a lock was asked for until all that
	// it held up could go on.
	LongestStall time.Duration `json:"longest_stall_ns"`
	Busy         []Busy        `json:"in_the_way,omitempty"` // of failed attempts, the last few
}

// Span is a lock in one database, from being asked for until released.
type Span struct {
	Storage  string    `json:"id"`
	Asked    time.Time `json:"asked"`
	Granted  time.Time `json:"granted"`
	Released time.Time `json:"released"`
}

// Busy says who kept an attempt from succeeding.
type Busy struct {
	Storage string            `json:"id"`
	Table   string            `json:"table,omitempty"`
	Reason  string            `json:"reason,omitempty"`
	Holders []storage.Session `json:"sessions,omitempty"`
}

// Report returns what happened so far. The spans are there once all is
// released.
func (h *Held) Report() Report {
	return Report{Tries: h.tries, Spans: h.done, LongestStall: h.longest, Busy: h.busy}
}
