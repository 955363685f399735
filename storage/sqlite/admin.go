package sqlite

import (
	"context"

	"github.com/stillpoint-db/stillpoint/storage/internal/sqldb"
	"github.com/stillpoint-db/stillpoint/storage/sqlite/internal/capi"
)

// executor runs the statements of the shared Admin: those that change
// something in transactions of the writer, queries on a reader.
type executor struct{ s *Storage }

func (e executor) Exec(ctx context.Context, sql string, args ...string) error {
	return e.s.do(ctx, func(c *capi.Conn) error {
		_, err := c.Strings(sql, args...)
		return err
	})
}

func (e executor) Query(ctx context.Context, sql string, args ...string) ([][]string, error) {
	if err := e.s.begin(ctx); err != nil {
		return nil, err
	}
	defer e.s.end()
	c, err := e.s.readers.get(ctx)
	if err != nil {
		return nil, e.s.readError(err)
	}
	defer e.s.readers.put(c)
	rows, err := c.Strings(sql, args...)
	return rows, e.s.readError(err)
}

// IsDuplicate and IsMissing are the same inside.

func (inside) IsDuplicate(err error) bool { return executor{}.IsDuplicate(err) }

func (inside) IsMissing(err error) bool { return executor{}.IsMissing(err) }

func (executor) IsDuplicate(err error) bool { return capi.IsExists(err) || capi.IsDuplicateKey(err) }

func (executor) IsMissing(err error) bool { return capi.IsMissing(err) }

// Transact implements sqldb.Transactor.
func (e executor) Transact(ctx context.Context, work func(sqldb.Executor) error) error {
	return e.s.do(ctx, func(c *capi.Conn) error { return work(inside{s: e.s, c: c}) })
}

// inside runs statements in a transaction of the writer.
type inside struct {
	s *Storage
	c *capi.Conn
}

func (e inside) Exec(_ context.Context, sql string, args ...string) error {
	_, err := e.c.Strings(sql, args...)
	return e.s.readError(err)
}

func (e inside) Query(_ context.Context, sql string, args ...string) ([][]string, error) {
	rows, err := e.c.Strings(sql, args...)
	return rows, e.s.readError(err)
}
