package mysql

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

const (
	defaultFenceWait = 50 * time.Millisecond
	// fenceIdle is how long, in seconds, the server keeps a lock session that
	// says nothing: the longest that a frozen holder can hold a fence.
	fenceIdle = 10
	// diagnoseTime bounds the search for what stood in the way: other databases
	// may be locked meanwhile.
	diagnoseTime = 50 * time.Millisecond
	// releaseWait bounds the orderly end of a fence; after it the session is
	// cut, which ends the fence as well.
	releaseWait = 2 * time.Second
)

// Fence implements storage.Fencer. The lock is LOCK TABLES … READ, which the
// server grants when no transaction that wrote to the tables is open, and which
// keeps everybody's writes waiting, the holder's own included.
func (s *Store) Fence(ctx context.Context, opts storage.FenceOptions) (storage.Fence, error) {
	ses, err := s.fenceSession(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.lockTables(ctx, ses, opts); err != nil {
		ses.close() // what was locked is not any more
		if ctx.Err() != nil {
			s.endOnServer(ses.id)
		}
		return nil, err
	}
	f := &fence{store: s, ses: ses}
	s.fences.Store(f, opts.Tables)
	return f, nil
}

// unfenced returns those of the tables that no fence of this storage covers.
// (Another lock of the others could not be had: writers that wait come first.)
func (s *Store) unfenced(tables []model.TableName) []model.TableName {
	tables = slices.Clone(tables)
	s.fences.Range(func(_, held any) bool {
		tables = slices.DeleteFunc(tables, func(t model.TableName) bool { return slices.Contains(held.([]model.TableName), t) })
		return true
	})
	return tables
}

// openAlone opens a session that is not of the pool.
func (s *Store) openAlone(ctx context.Context, level isolation) (*session, error) {
	ses, err := s.connectAs(ctx, level)
	if err != nil {
		return nil, s.openError(err)
	}
	return ses, nil
}

// lockTables locks all tables in their one order, or none.
func (s *Store) lockTables(ctx context.Context, ses *session, opts storage.FenceOptions) error {
	tables := slices.Clone(opts.Tables)
	slices.SortFunc(tables, model.TableName.Compare)
	tables = slices.Compact(tables)
	if len(tables) == 0 {
		return model.Errorf(model.ErrBadArgument, "a fence needs tables")
	}
	wait := opts.Wait
	if wait <= 0 {
		wait = defaultFenceWait
	}
	err := s.lockWithin(ctx, ses, lockStatement(s, tables), wait)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return storage.UnavailableError(s.cfg.Name, ctx.Err())
	case !lockNotGranted(err):
		return s.wrap("lock the tables of", err)
	}
	return s.busy(ctx, ses, tables, err)
}

func lockStatement(s *Store, tables []model.TableName) string {
	var b strings.Builder
	b.WriteString("LOCK TABLES ")
	for i, t := range tables {
		if i > 0 {
			b.WriteString(",")
		}
		b.WriteString(s.dialect.Table(t) + " READ")
	}
	return b.String()
}

// lockNotGranted tells the errors of a lock that took too long.
func lockNotGranted(err error) bool {
	switch errorNumber(err) {
	case errLockWait, errDeadlock, errStatementTimeout, errMySQLTimeout, errInterrupted, errLockNowait:
		return true
	}
	return false
}

// lockWithin runs a statement that waits for locks at most for the given time.
// MariaDB has a limit in fractions of a second. MySQL has none below one
// second, so that a second session interrupts the first there.
func (s *Store) lockWithin(ctx context.Context, ses *session, statement string, wait time.Duration) error {
	whole := max(1, int((wait+time.Second-1)/time.Second))
	limits := fmt.Sprintf("SET SESSION wait_timeout=%d, lock_wait_timeout=%d", fenceIdle, whole)
	if s.server.mariadb {
		err := ses.execText(ctx, fmt.Sprintf("%s, max_statement_time=%f; %s; SET SESSION max_statement_time=0", limits, wait.Seconds(), statement))
		if err != nil && !ses.lost() {
			_ = ses.execText(ctx, "SET SESSION max_statement_time=0; UNLOCK TABLES")
		}
		return err
	}
	if err := ses.execText(ctx, limits); err != nil {
		return err
	}
	killer, err := s.openAlone(ctx, readCommitted)
	if err != nil {
		return err
	}
	defer killer.close()
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		select {
		case <-done:
		case <-time.After(wait):
			_ = killer.execText(ctx, fmt.Sprintf("KILL QUERY %d", ses.id))
		}
	}()
	err = ses.execText(ctx, statement)
	close(done)
	<-stopped
	if err == nil {
		// A KILL that came too late would hit the next statement instead.
		err = ses.execText(ctx, "DO 1")
	}
	if err != nil && !ses.lost() {
		_ = ses.execText(ctx, "UNLOCK TABLES")
	}
	return err
}

// busy says what stood in the way of a lock.
func (s *Store) busy(ctx context.Context, ses *session, tables []model.TableName, cause error) error {
	e := &storage.FenceBusyError{Storage: s.cfg.Name, Err: cause}
	if len(tables) == 1 {
		e.Table = tables[0]
	}
	if ses.lost() {
		return e
	}
	ctx, cancel := context.WithTimeout(ctx, diagnoseTime)
	defer cancel()
	if s.server.mariadb && len(tables) > 1 {
		for _, t := range tables {
			err := ses.execText(ctx, "LOCK TABLES "+s.dialect.Table(t)+" READ NOWAIT")
			if lockNotGranted(err) {
				e.Table = t
				break
			}
		}
		_ = ses.execText(ctx, "UNLOCK TABLES")
	}
	e.Holders = s.holders(ctx, ses, tables)
	return e
}

// fence is LOCK TABLES in a session of its own.
type fence struct {
	store *Store
	ses   *session
}

// Alive implements storage.Fence: locks of tables end only with UNLOCK TABLES or
// with the session, so the fence has held if the session lives.
func (f *fence) Alive(ctx context.Context) error {
	if f.ses == nil {
		return &model.Error{Class: model.ErrUnavailable, Op: "fence", Subject: fmt.Sprintf("%q", f.store.cfg.Name), Detail: "it was released"}
	}
	rows, err := f.ses.strings(ctx, "SELECT CONNECTION_ID()")
	if err == nil && len(rows) == 1 && rows[0][0] == fmt.Sprint(f.ses.id) {
		return nil
	}
	return &model.Error{Class: model.ErrUnavailable, Op: "fence", Subject: fmt.Sprintf("%q", f.store.cfg.Name),
		Detail: "its session is gone, so it may not have held", Err: err}
}

// Release implements storage.Fence.
func (f *fence) Release(ctx context.Context) error {
	if f.ses == nil {
		return nil
	}
	ses := f.ses
	f.ses = nil
	f.store.fences.Delete(f)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseWait)
	defer cancel()
	err := error(nil)
	if !ses.lost() {
		err = ses.execText(ctx, "UNLOCK TABLES")
	}
	ses.close()
	if err != nil {
		f.store.endOnServer(ses.id)
	}
	return f.store.wrap("release the fence of", err)
}
