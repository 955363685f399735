// Package fence holds every commit point still in several databases at once,
// for as long as it takes to open a snapshot in each.
//
// A fence is made of the locks of storage.Fencer: one session in each database
// locks the writes to its tables out. A granted lock says that no commit is in
// flight there; while it is held the server keeps all new ones waiting, whoever
// sends them. When all locks are granted and none has been lost, the set of
// transactions committed by then is closed under "read from" and "overwrote",
// and snapshots opened meanwhile show exactly that set.
//
// Writers never wait long. Locks are asked for in one fixed order (storages by
// name, tables by model.TableName.Compare), each attempt waits for a bounded
// time, and one that does not get everything lets go of everything everywhere
// before it tries again later.
package fence

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stillpoint-db/stillpoint/internal/failpoint"
	"github.com/stillpoint-db/stillpoint/internal/mutant"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// Member is one database to hold still. A database that two storages reach is
// one member.
type Member struct {
	Storage string // its name
	Fencer  storage.Fencer
	// Tables are all in which a commit point can lie: the Coordinator's, and
	// every table that a one-phase commit may write.
	Tables []model.TableName
}

// Options bound a fence. The zero value is right for most.
type Options struct {
	Wait   time.Duration // the longest wait of one attempt for all locks together; 0 = 50 ms
	Budget time.Duration // how long to go on trying; 0 = 30 s
	Hold   time.Duration // the longest time that Under leaves its function; 0 = 1 s
	Pause  time.Duration // mean pause after the first attempt; it doubles up to 16 times this; 0 = 100 ms
	// Spread draws a number from [0, n), by which pauses differ; nil = at random.
	Spread func(n time.Duration) time.Duration
	// Coordinator is the Coordinator's table.
	Coordinator model.TableName
}

func (o Options) withDefaults() Options {
	set := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	set(&o.Wait, 50*time.Millisecond)
	set(&o.Budget, 30*time.Second)
	set(&o.Hold, time.Second)
	set(&o.Pause, 100*time.Millisecond)
	if o.Spread == nil {
		o.Spread = rand.N[time.Duration]
	}
	return o
}

// Under takes the fence, runs f under it, makes sure that the fence held until
// f had returned, and lets go: in every case, a panic of f included. The report
// is complete in every case too. The context that f is given outlives f, so
// that what f opens may be bound to it; ctx should end when those are done.
// Errors are f's, and:
//
//	model.ErrConflict     the locks were not granted within the budget
//	model.ErrUnavailable  a database cannot be reached
//	model.ErrVoid         the fence was lost, or f took longer than Options.Hold
func Under(ctx context.Context, members []Member, opts Options, f func(ctx context.Context) error) (report Report, err error) {
	opts = opts.withDefaults()
	held, err := Take(ctx, members, opts)
	if err != nil {
		return held.Report(), err
	}
	defer func() {
		released := held.Release(ctx)
		report = held.Report()
		if err == nil {
			err = released
		}
	}()
	failpoint.Here("backup.fence.taken")
	err = within(ctx, opts.Hold, f)
	if errors.Is(err, errTooLong) {
		return report, void("opening the snapshots in time", err)
	}
	if err != nil {
		return report, err
	}
	failpoint.Here("backup.fence.used")
	if err := within(ctx, opts.Hold, held.Alive); err != nil {
		return report, err
	}
	failpoint.Here("backup.fence.proved")
	return report, nil
}

var errTooLong = errors.New("it took longer than writers may wait")

// within runs f with a context that ends when the time is up, but not when f
// has returned: what f began (a session, a transaction) may be bound to it. It
// ends with ctx at the latest.
func within(ctx context.Context, limit time.Duration, f func(ctx context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(limit, func() { cancel(errTooLong) })
	err := f(ctx)
	if !timer.Stop() && err != nil && context.Cause(ctx) == errTooLong {
		return fmt.Errorf("%w (%v): %w", errTooLong, limit, err)
	}
	return err
}

// Take takes the fence. The Held is never nil: its Report says what was tried.
// After an error nothing is held anywhere.
func Take(ctx context.Context, members []Member, opts Options) (*Held, error) {
	opts = opts.withDefaults()
	members = slices.Clone(members)
	slices.SortFunc(members, func(a, b Member) int { return strings.Compare(a.Storage, b.Storage) })
	h := &Held{}
	if mutant.On("fence.none") {
		return h, nil
	}
	start := time.Now()
	for pause := opts.Pause; ; pause = min(2*pause, 16*opts.Pause) {
		h.tries++
		err := h.attempt(ctx, members, opts)
		if err == nil {
			return h, nil
		}
		busy, isBusy := errors.AsType[*storage.FenceBusyError](err)
		if !isBusy {
			return h, err
		}
		h.note(busy)
		rest := pause/2 + opts.Spread(pause)
		if time.Since(start)+rest > opts.Budget {
			return h, &model.Error{Class: model.ErrConflict, Op: "take the commit fence",
				Detail: fmt.Sprintf("not granted in %d attempts within %v; the last one: %v", h.tries, opts.Budget, err),
				Hint:   "Nothing was changed or is held. End what holds the lock, or try at a quieter time"}
		}
		select {
		case <-ctx.Done():
			return h, fmt.Errorf("take the commit fence: %w", context.Cause(ctx))
		case <-time.After(rest):
		}
	}
}

// attempt asks for all locks once. Unless it gets all, it lets go of all.
func (h *Held) attempt(ctx context.Context, members []Member, opts Options) (err error) {
	if err := warm(ctx, members); err != nil {
		return err
	}
	begin := time.Now()
	whole := false
	defer func() {
		if !whole {
			err = errors.Join(err, h.Release(ctx))
			h.done = nil
		}
	}()
	for _, m := range members {
		tables := m.Tables
		if mutant.On("fence.coordinator-only") {
			tables = slices.DeleteFunc(slices.Clone(tables), func(n model.TableName) bool { return n != opts.Coordinator })
		}
		if len(tables) == 0 {
			continue
		}
		left := opts.Wait - time.Since(begin)
		if left <= 0 {
			return &storage.FenceBusyError{Storage: m.Storage, Err: errors.New("the locks on the databases before it took all of the time")}
		}
		err := h.lock(ctx, m, storage.FenceOptions{Tables: tables, Wait: left}, left+h.grace(opts))
		if _, busy := errors.AsType[*storage.FenceBusyError](err); busy && mutant.On("fence.ignore-in-flight") {
			continue
		}
		if err != nil {
			return fmt.Errorf("take the commit fence: %w", err)
		}
	}
	whole = true
	return nil
}

// warm lets the databases begin the sessions of the attempt, before any of them
// is locked.
func warm(ctx context.Context, members []Member) error {
	errs := make([]error, len(members))
	var wg sync.WaitGroup
	for i, m := range members {
		if w, ok := m.Fencer.(storage.FenceWarmer); ok {
			wg.Go(func() { errs[i] = w.WarmFence(ctx) })
		}
	}
	wg.Wait()
	return errors.Join(errs...)
}
func void(what string, err error) error {
	return &model.Error{Class: model.ErrVoid, Op: "commit fence", Detail: what + " failed, so the databases may not show one moment", Err: err,
		Hint: "Nothing is held any more. Run it again"}
}
