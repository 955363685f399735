package sqlite

import (
	"errors"
	"slices"
	"time"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/sqlite/internal/capi"
)

const maxGroup = 128 // batches in one SQLite transaction

// writer owns the connection that writes. Its goroutine takes what waits in the
// queue and commits it as one group; what comes meanwhile is the next group.
type writer struct {
	s      *Storage
	c      *capi.Conn
	end    func(*capi.Conn) error // COMMIT; a test makes it fail
	queue  chan *request
	over   chan struct{}
	group  []*request
	args   []model.Value
	polite manners
	stats  counters
}

func startWriter(s *Storage, c *capi.Conn) *writer {
	c.BusyTimeout(0) // it waits by itself, shorter and with an end for each request
	end := func(c *capi.Conn) error { return c.Exec("COMMIT") }
	w := &writer{s: s, c: c, end: end, queue: make(chan *request, maxGroup), over: make(chan struct{})}
	go w.run()
	return w
}

// stop ends the goroutine, after everything queued, and closes the connection.
func (w *writer) stop() error {
	close(w.queue)
	<-w.over
	return w.c.Close()
}

func (w *writer) run() {
	defer close(w.over)
	var next *request // work that did not fit the last group
	for {
		r := next
		next = nil
		if r == nil {
			var ok bool
			if r, ok = <-w.queue; !ok {
				return
			}
		}
		w.group = append(w.group[:0], r)
		if r.work == nil {
			next = w.gather()
		}
		w.serve(w.group)
		clear(w.group)
	}
}

// gather adds the batches that wait already, and returns the first request that
// must run alone.
func (w *writer) gather() *request {
	for len(w.group) < maxGroup {
		select {
		case r, ok := <-w.queue:
			if !ok {
				return nil
			}
			if r.work != nil {
				return r
			}
			w.group = append(w.group, r)
		default:
			return nil
		}
	}
	return nil
}

// serve applies a group and answers all its requests.
func (w *writer) serve(group []*request) {
	w.polite.before(w.s.set.path)
	group = w.open(group)
	if len(group) == 0 {
		return
	}
	again := w.applyAll(group)
	w.s.file.give()
	w.polite.after()
	for _, r := range again { // each alone, so that one that breaks the transaction breaks its own
		r.state.Store(waiting)
		w.serve([]*request{r})
	}
}

// open takes the turn of this process and SQLite's write lock. It answers the
// requests whose time is over before that, and returns the others; if there
// are none, no transaction is open and the turn is given back.
func (w *writer) open(group []*request) []*request {
	wait := newBackoff(time.Hour) // the requests set the end
	var cause error = errTurn
	var tried time.Time // since when another process has had the lock
	for turn := false; ; {
		if !turn {
			select {
			case w.s.file.turn <- struct{}{}:
				turn = true
			default:
			}
		}
		if turn {
			if cause = w.c.Exec("BEGIN IMMEDIATE"); cause == nil {
				if !tried.IsZero() {
					w.polite.got(tried)
				}
				w.polite.begun(w.c, w.s.file)
				return w.take(group)
			}
		}
		if turn && !capi.IsBusy(cause) {
			w.s.file.give()
			return w.refuse(group, cause, func(*request) bool { return true })
		}
		now := time.Now()
		group = w.refuse(group, cause, func(r *request) bool { return !now.Before(r.until) || r.state.Load() == abandoned })
		if len(group) == 0 {
			if turn {
				w.s.file.give()
			}
			return nil
		}
		if turn && tried.IsZero() {
			tried = now
		}
		w.pause(wait, turn)
		turn = turn || wait.got
		wait.got = false
	}
}

var errTurn = errors.New("another writer of this process holds the file")

// refuse answers those requests with an error that says that nothing was
// applied, and returns the others.
func (w *writer) refuse(group []*request, cause error, which func(*request) bool) []*request {
	return slices.DeleteFunc(group, func(r *request) bool {
		if !which(r) {
			return false
		}
		if r.take() {
			if cause == errTurn {
				r.answer(storage.ConflictError(w.s.name, cause))
			} else {
				r.answer(w.s.writeError(cause))
			}
		}
		return true
	})
}

// take marks the requests as begun, within the transaction; without any it
// ends the transaction.
func (w *writer) take(group []*request) []*request {
	now := time.Now()
	group = slices.DeleteFunc(group, func(r *request) bool {
		if !r.take() {
			return true
		}
		if now.After(r.until) {
			r.answer(storage.ConflictError(w.s.name, errLate))
			return true
		}
		return false
	})
	if len(group) == 0 {
		w.rollback()
		w.s.file.give()
	}
	return group
}

var errLate = errors.New("its deadline passed before its turn came")

// applyAll applies a group in the transaction that is open, commits and
// answers. It returns the requests that were not applied, through no fault of
// theirs, and are still to be answered.
func (w *writer) applyAll(group []*request) (again []*request) {
	applied := 0
	for i, r := range group {
		r.err = w.applyOne(r, len(group) > 1)
		if r.err == nil {
			applied++
			continue
		}
		if !w.c.InTransaction() { // SQLite gave the whole transaction up
			for j, other := range group {
				if j < i && other.err != nil || j == i {
					other.answer(w.s.applyError(other.err))
				} else {
					again = append(again, other)
				}
			}
			return again
		}
	}
	var failed error
	if applied > 0 {
		failed = w.commit()
	} else {
		w.rollback()
	}
	for _, r := range group {
		switch {
		case r.err != nil:
			r.answer(w.s.applyError(r.err))
		default:
			w.stats.batches.Add(1)
			r.answer(failed)
		}
	}
	return nil
}

// applyOne applies one request; if it fails, nothing of it stays.
func (w *writer) applyOne(r *request, savepoint bool) error {
	if savepoint {
		if err := w.c.Exec("SAVEPOINT batch"); err != nil {
			return err
		}
	}
	var err error
	if r.work != nil {
		err = r.work(w.c)
	} else {
		err = w.s.apply(w.c, r.batch, &w.args)
	}
	if !savepoint || !w.c.InTransaction() {
		return err
	}
	if err != nil {
		if back := w.c.Exec("ROLLBACK TO batch"); back != nil {
			w.rollback()
			return err
		}
	}
	if e := w.c.Exec("RELEASE batch"); e != nil {
		w.rollback()
		return errors.Join(err, e)
	}
	return err
}

// commit commits: nil, or an error with the class of what is known.
func (w *writer) commit() error {
	wait := newBackoff(w.s.set.busy)
	for {
		err := w.end(w.c)
		if err == nil {
			w.stats.commits.Add(1)
			w.polite.committed(w.s.file)
			return nil
		}
		if capi.IsBusy(err) && w.c.InTransaction() {
			if wait.pause() {
				continue
			}
			w.rollback()
			return storage.ConflictError(w.s.name, err)
		}
		// The commit record may be in the log, unsynced: after a crash it may
		// or may not count. Only the next reader can tell.
		w.rollback()
		return storage.UnknownError(w.s.name, err)
	}
}

// rollback ends the transaction, if there is one.
func (w *writer) rollback() {
	if w.c.InTransaction() {
		if err := w.c.Exec("ROLLBACK"); err != nil {
			w.s.log.Warn("rollback failed", "error", err)
		}
	}
}

// applyError gives the error of a batch that was rolled back a class.
func (s *Storage) applyError(err error) error {
	var cond *storage.ConditionError
	if errors.As(err, &cond) {
		return err
	}
	return s.writeError(err)
}

// pause waits a little: for the turn, if it is still to be taken, or for
// another process.
func (w *writer) pause(wait *backoff, turn bool) {
	if turn {
		wait.pause()
		return
	}
	timer := time.NewTimer(5 * time.Millisecond)
	defer timer.Stop()
	select {
	case w.s.file.turn <- struct{}{}:
		wait.got = true
	case <-timer.C:
	}
}
