package mysql

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/internal/sqldb"
)

// Store is a server of MySQL or MariaDB. It has every optional power of package
// storage.
type Store struct {
	cfg     storage.Config
	target  *target
	opts    options
	server  server
	dialect *sqldb.Dialect
	builder *sqldb.Builder
	pool    *pool
	admin   *admin
	flights flights
	fences  sync.Map                // *fence to []model.TableName: those that hold
	spare   atomic.Pointer[session] // for the next fence: see WarmFence

	ends   sync.WaitGroup // sessions being ended on the server
	ending chan struct{}  // bounds them
}

// server is what is known of the server since Open.
type server struct {
	mariadb  bool
	compound bool   // takes prepared compound statements
	engine   string // "MySQL" or "MariaDB"
	version  string
	identity string
	instance string
}

// Name implements storage.Storage.
func (s *Store) Name() string { return s.cfg.Name }

// Capabilities implements storage.Storage.
func (s *Store) Capabilities(model.TableName) storage.Capabilities {
	return storage.Capabilities{
		Engine: s.server.engine, BatchedReads: true, CopyColumns: true, LockedChecks: true, AtomicScan: true,
		Snapshots: true, Fences: true, Loads: true,
	}
}

// Unit implements storage.Storage: the whole server is one atomic unit.
func (s *Store) Unit(model.TableName, model.Key) storage.Unit {
	return storage.Unit{Storage: s.cfg.Name}
}

// Admin implements storage.Storage.
func (s *Store) Admin() storage.Admin { return s.admin }

// Close implements storage.Storage.
func (s *Store) Close() error {
	if ses := s.spare.Swap(nil); ses != nil {
		ses.close()
	}
	s.pool.close()
	s.ends.Wait()
	return nil
}

// lend takes a session from the pool. Nothing has been asked of the server when
// it fails.
func (s *Store) lend(ctx context.Context) (*session, error) {
	ses, err := s.pool.get(ctx)
	switch {
	case err == nil:
		return ses, nil
	case errors.Is(err, errClosed), ctx.Err() != nil:
		return nil, storage.UnavailableError(s.cfg.Name, err)
	}
	return nil, s.openError(err)
}

// giveBack returns a session to the pool. If ctx ended in the middle of a
// statement, the server is told to give that up.
func (s *Store) giveBack(ctx context.Context, ses *session) {
	if ses.broken && ctx.Err() != nil {
		s.endOnServer(ses.id)
	}
	s.pool.put(ses)
}

// endOnServer ends a session whose client has left, so that what it waits for
// or holds is not there for longer than needed. It does not wait.
func (s *Store) endOnServer(id uint64) {
	select {
	case s.ending <- struct{}{}:
	default:
		return // the server notices by itself, later
	}
	s.ends.Go(func() {
		defer func() { <-s.ending }()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		ses, err := s.connect(ctx)
		if err != nil {
			return
		}
		defer ses.close()
		_ = ses.execText(ctx, fmt.Sprintf("KILL %d", id))
	})
}

// read runs f with a session, and again with another one if the connection
// turns out to be lost: f must change nothing.
func (s *Store) read(ctx context.Context, op string, f func(*session) error) error {
	for try := 0; ; try++ {
		ses, err := s.lend(ctx)
		if err != nil {
			return err
		}
		err = f(ses)
		lost := ses.broken
		s.giveBack(ctx, ses)
		if err == nil {
			return nil
		}
		if _, ok := errors.AsType[*model.Error](err); ok {
			return err
		}
		if !lost || ctx.Err() != nil || try == 2 {
			return s.wrap(op, err)
		}
		s.pool.dropIdle() // the others are most likely lost, too
	}
}
