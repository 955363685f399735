package mysql

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/internal/sqldb"
)

// snapshotIdle is how long, in seconds, the server keeps a snapshot's session
// that reads nothing. Sessions wait for each other and for the disk of the
// reader, so it is long.
const snapshotIdle = 8 * 60 * 60

// PrepareSnapshot implements storage.Snapshotter. It opens one session for each
// reader, and one more for the lock that makes them see the same.
func (s *Store) PrepareSnapshot(ctx context.Context, opts storage.SnapshotOptions) (storage.Snapshot, error) {
	if err := s.transactional(ctx, opts.Tables); err != nil {
		return nil, err
	}
	n := &snapshot{store: s, opts: opts, free: make(chan *session, max(1, opts.Readers))}
	sessions := make([]*session, cap(n.free))
	group, gctx := errgroup.WithContext(ctx)
	for i := range sessions {
		group.Go(func() (err error) {
			sessions[i], err = s.openReader(gctx)
			return err
		})
	}
	if len(sessions) > 1 && len(opts.Tables) > 0 {
		group.Go(func() (err error) {
			n.lock, err = s.openAlone(gctx, readCommitted)
			return err
		})
	}
	var noted map[model.TableName]string
	group.Go(func() (err error) {
		noted, err = s.tableIDs(gctx, opts.Tables)
		return err
	})
	err := group.Wait()
	n.noted = noted
	for _, ses := range sessions {
		if ses != nil {
			n.sessions = append(n.sessions, ses)
		}
	}
	if err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

// transactional refuses tables of storage engines without snapshots.
func (s *Store) transactional(ctx context.Context, tables []model.TableName) error {
	return s.read(ctx, "open a snapshot of", func(ses *session) error {
		for _, name := range tables {
			f, err := tableInfo(ctx, ses, name)
			if err != nil {
				return err
			}
			if !f.exists {
				return sqldb.NoTable(name)
			}
			if !strings.EqualFold(f.engine, "InnoDB") {
				return &model.Error{Class: model.ErrRefused, Op: "open a snapshot of", Subject: name.String(),
					Detail: fmt.Sprintf("its storage engine %q has no snapshots", f.engine), Hint: "ALTER TABLE " + s.dialect.Table(name) + " ENGINE=InnoDB;"}
			}
		}
		return nil
	})
}

// openReader opens a session whose transactions are REPEATABLE READ, without
// which the server ignores WITH CONSISTENT SNAPSHOT.
func (s *Store) openReader(ctx context.Context) (*session, error) {
	ses, err := s.openAlone(ctx, repeatableRead)
	if err != nil {
		return nil, err
	}
	// A reader may be slow: the server waits for it.
	err = ses.execText(ctx, fmt.Sprintf("SET SESSION wait_timeout=%d, net_write_timeout=%d", snapshotIdle, snapshotIdle))
	if err == nil {
		limit := "max_execution_time" // of MySQL since 5.7
		if s.server.mariadb {
			limit = "max_statement_time"
		}
		if err = ses.execText(ctx, "SET SESSION "+limit+"=0"); errorNumber(err) == errUnknownVariable {
			err = nil
		}
	}
	if err != nil {
		ses.close()
		return nil, s.wrap("open a snapshot of", err)
	}
	return ses, nil
}

// snapshot is a set of sessions with transactions that see the same moment.
type snapshot struct {
	store    *Store
	opts     storage.SnapshotOptions
	sessions []*session
	lock     *session
	free     chan *session              // sessions that nobody reads with
	noted    map[model.TableName]string // which tables had the names, as in tableIDs

	mu     sync.Mutex
	broken error // why a session is no longer in free
}

// Open implements storage.Snapshot. Transactions cannot share a snapshot, so
// that several are opened under a fence: one that this storage holds already, or
// else a lock of its own for as long as it takes to open them. Where that is not
// granted in time, one reader remains.
func (n *snapshot) Open(ctx context.Context) error {
	s := n.store
	locked := false
	if open := s.unfenced(n.opts.Tables); len(n.sessions) > 1 && len(open) > 0 {
		locked = true
		if n.lock == nil || s.lockTables(ctx, n.lock, storage.FenceOptions{Tables: open}) != nil {
			if err := ctx.Err(); err != nil {
				return storage.UnavailableError(s.cfg.Name, err)
			}
			for _, ses := range n.sessions[1:] {
				ses.close()
			}
			n.sessions, locked = n.sessions[:1], false
		}
	}
	group, gctx := errgroup.WithContext(ctx)
	for _, ses := range n.sessions {
		group.Go(func() error {
			return ses.execText(gctx, "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
		})
	}
	err := group.Wait()
	if locked && err == nil {
		// The lock must have held until now.
		err = n.lock.execText(ctx, "UNLOCK TABLES")
	}
	if n.lock != nil {
		n.lock.close()
		n.lock = nil
	}
	if err != nil {
		return s.wrap("open a snapshot of", err)
	}
	for _, ses := range n.sessions {
		n.free <- ses
	}
	return nil
}

// Detach implements storage.Snapshot: old versions are kept by the server, to
// the harm of nobody.
func (n *snapshot) Detach(context.Context) error { return nil }

// with runs f with a session that nobody else uses, and lets the definitions of
// the tables that it read go again, so that DDL need not wait for the snapshot
// (and others for the DDL).
func (n *snapshot) with(ctx context.Context, f func(*session) error) error {
	var ses *session
	select {
	case ses = <-n.free:
	case <-ctx.Done():
		return storage.UnavailableError(n.store.cfg.Name, ctx.Err())
	}
	if ses == nil {
		return n.gone()
	}
	err := ses.execText(ctx, "SAVEPOINT stillpoint")
	if err == nil {
		err = f(ses)
	}
	if !ses.broken {
		_ = ses.execText(ctx, "ROLLBACK TO SAVEPOINT stillpoint")
	}
	if ses.broken {
		n.mu.Lock()
		if !errors.Is(err, errYield) {
			n.broken = errors.Join(n.broken, err)
		}
		n.mu.Unlock()
		n.store.endOnServer(ses.id)
		ses.close()
		n.free <- nil
	} else {
		n.free <- ses
	}
	return n.explain(err)
}

// gone is the error of reading with a session that was lost before.
func (n *snapshot) gone() error {
	n.free <- nil
	n.mu.Lock()
	defer n.mu.Unlock()
	return &model.Error{Class: model.ErrUnavailable, Op: "read a snapshot of", Subject: fmt.Sprintf("storage %q", n.store.cfg.Name),
		Detail: "one of its sessions is lost", Err: n.broken}
}

// explain makes changed definitions loud.
func (n *snapshot) explain(err error) error {
	if err == nil {
		return nil
	}
	detail := ""
	switch errorNumber(err) {
	case errDefinitionChanged:
		detail = "a table was truncated or redefined after the snapshot was opened"
	case errTableMissing, errUnknownDatabase:
		detail = "a table was dropped or renamed after the snapshot was opened"
	case errUnknownColumn:
		detail = "a column was dropped or renamed after the definition was read"
	default:
		if errors.Is(err, errYield) {
			return err
		}
		return n.store.wrap("read a snapshot of", err)
	}
	return &model.Error{Class: model.ErrInconsistent, Op: "read a snapshot of", Subject: fmt.Sprintf("storage %q", n.store.cfg.Name),
		Detail: detail, Err: err, Hint: "Start again when the change of the schema is over."}
}

// Table implements storage.Snapshot.
func (n *snapshot) Table(ctx context.Context, name model.TableName) (t *model.Table, err error) {
	meta := n.store.admin.Meta
	err = n.with(ctx, func(ses *session) error {
		rows, err := ses.strings(ctx, meta.Select(), name.String())
		if errorNumber(err) == errTableMissing || errorNumber(err) == errUnknownDatabase {
			return sqldb.NoTable(name)
		}
		if err != nil {
			return err
		}
		t, err = meta.Decode(name, rows)
		return err
	})
	return t, err
}
