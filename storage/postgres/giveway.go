package postgres

import (
	"context"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

const (
	watchEvery = 500 * time.Millisecond
	// patience is how long a statement that changes a table may wait for a
	// snapshot before the snapshot gives way.
	patience = time.Second
)

// watch looks after the writers while a snapshot is read, which may take hours.
// Its locks let them pass; but a statement that wants a table for itself (ALTER,
// TRUNCATE, DROP) waits for the snapshot, and all writers wait behind it. One that
// waits for longer than patience gets what it wants: the snapshot ends, with an
// error that names it. Where the watch's own session is ended, it begins another.
type watch struct {
	db     *db
	s      *session
	locked []*session
	stop   context.CancelFunc
	done   chan struct{}
	reason atomic.Pointer[model.Error]
}

// startWatch begins to look after the locks of some sessions.
func (d *db) startWatch(ctx context.Context, locked []*session) (*watch, error) {
	w := &watch{db: d, locked: locked, done: make(chan struct{})}
	if err := w.connect(ctx); err != nil {
		return nil, err
	}
	ctx, w.stop = context.WithCancel(context.WithoutCancel(ctx))
	go w.run(ctx)
	return w, nil
}

// connect begins a session that may be idle for as long as it likes.
func (w *watch) connect(ctx context.Context) error {
	s, err := w.db.pool.connect(ctx)
	if err != nil {
		return w.db.notSent(err)
	}
	if err := w.db.run(ctx, s, noLimits); err != nil {
		s.close()
		return err
	}
	w.s = s
	return nil
}

// disconnect ends the session, if there is one.
func (w *watch) disconnect() {
	if w.s != nil {
		w.s.close()
		w.s = nil
	}
}

func (w *watch) run(ctx context.Context) {
	defer close(w.done)
	defer w.disconnect()
	pids := make([]string, len(w.locked))
	for i, s := range w.locked {
		pids[i] = strconv.FormatUint(uint64(s.pg.PID()), 10)
	}
	ours := "{" + strings.Join(pids, ",") + "}"
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	var pid string
	var since time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if w.s == nil && w.connect(ctx) != nil {
			continue // if it is the whole database, the sessions with the locks will notice
		}
		waiter, err := w.waiter(ctx, ours)
		switch {
		case err != nil:
			w.disconnect()
		case waiter.ID != pid:
			pid, since = waiter.ID, time.Now()
		case pid != "" && time.Since(since) >= patience:
			w.giveWay(waiter)
			return
		}
	}
}

// waiter returns a session that waits for ours to have a table for itself.
func (w *watch) waiter(ctx context.Context, ours string) (storage.Session, error) {
	rows, err := w.db.query(ctx, w.s, `WITH w AS MATERIALIZED (SELECT pid FROM pg_locks WHERE NOT granted AND locktype = 'relation' AND mode = 'AccessExclusiveLock')
		SELECT a.pid, a.usename, a.application_name, a.client_addr, a.state, left(a.query, 200), 0 FROM w JOIN pg_stat_activity a USING (pid)
		WHERE pg_blocking_pids(w.pid) && $1::int[] ORDER BY a.query_start LIMIT 1`, ours)
	if err != nil || len(rows) == 0 {
		return storage.Session{}, err
	}
	return sessionOf(rows[0]), nil
}

func (w *watch) giveWay(to storage.Session) {
	w.reason.Store(&model.Error{Class: model.ErrInconsistent, Op: "snapshot of storage", Subject: strconv.Quote(w.db.name),
		Detail: "it gave way to session " + to.ID + " of " + to.User + ", which changes a table and would have held up all writers (" + to.Query + ")",
		Hint:   "Take it again while nobody changes the schema."})
	for _, s := range w.locked {
		_ = s.net.Close() // the server ends the transaction, and with it the locks
	}
}

// gaveWay returns why the snapshot ended, or nil.
func (w *watch) gaveWay() error {
	if r := w.reason.Load(); r != nil {
		return r
	}
	return nil
}

func (w *watch) close() {
	w.stop()
	<-w.done
}
