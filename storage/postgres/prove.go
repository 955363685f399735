package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// ProveFence implements storage.Fencer.
func (d *db) ProveFence(ctx context.Context, opts storage.FenceOptions) error {
	refuse := func(format string, args ...any) error {
		return &model.Error{Class: model.ErrRefused, Op: "prove the fence of storage", Subject: fmt.Sprintf("%q", d.name), Detail: fmt.Sprintf(format, args...)}
	}
	s, err := d.pool.connect(ctx)
	if err != nil {
		return d.notSent(err)
	}
	defer s.close()
	rows, err := d.query(ctx, s, "SELECT pg_is_in_recovery()")
	if err != nil {
		return err
	}
	if rows[0][0] == "t" {
		return refuse("%s is a replica, whose locks do not stop writers; give the address of the primary", d.endpoint)
	}
	for _, t := range opts.Tables {
		if err := d.proveTable(ctx, s, t, opts.Wait, refuse); err != nil {
			return err
		}
	}
	return nil
}

// proveTable fences one table and has the session s try to write to it. The
// statement could not insert anything even if it were let through.
func (d *db) proveTable(ctx context.Context, s *session, t model.TableName, wait time.Duration, refuse func(string, ...any) error) error {
	f, err := d.fenceRetry(ctx, storage.FenceOptions{Tables: []model.TableName{t}, Wait: wait})
	if err != nil {
		return err
	}
	defer f.Release(ctx)
	name := d.single.Dialect().Table(t)
	if err := d.run(ctx, s, fmt.Sprintf("BEGIN; SET LOCAL lock_timeout = %d", proofWait.Milliseconds())); err != nil {
		return err
	}
	_, err = s.pg.Exec(ctx, "INSERT INTO "+name+" SELECT * FROM "+name+" WHERE false").ReadAll()
	alive := f.Alive(ctx)
	if e := d.run(ctx, s, "ROLLBACK"); e != nil {
		return e
	}
	switch pgErr, ok := errors.AsType[*pgconn.PgError](err); {
	case err == nil:
		return refuse("a second session could insert into %s while it was locked IN SHARE MODE", t)
	case !ok:
		return d.notSent(err)
	case pgErr.Code != codeLockTimeout:
		return d.serverError(pgErr)
	}
	return alive
}

// fenceRetry takes a fence, trying a few times if it is busy.
func (d *db) fenceRetry(ctx context.Context, opts storage.FenceOptions) (storage.Fence, error) {
	pause := 20 * time.Millisecond
	for try := 0; ; try++ {
		f, err := d.Fence(ctx, opts)
		if err == nil || try == 5 || !errors.Is(err, model.ErrConflict) {
			return f, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(pause):
			pause *= 2
		}
	}
}
