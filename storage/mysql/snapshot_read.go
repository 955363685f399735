package mysql

import (
	"context"
	"errors"
	"strings"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// errYield marks an error of the caller's function, which passes as it is.
var errYield = errors.New("")

type yieldError struct{ err error }

func (e yieldError) Error() string   { return e.err.Error() }
func (e yieldError) Unwrap() []error { return []error{e.err, errYield} }

// Read implements storage.Snapshot. Rows stream from the server; memory holds
// one of them.
func (n *snapshot) Read(ctx context.Context, table *model.Table, part storage.Part, yield func(*model.Row) error) error {
	where, args, err := rangeOf(n.store, table, part)
	if err != nil {
		return err
	}
	err = n.with(ctx, func(ses *session) error {
		rows, err := ses.query(ctx, n.store.selectAll(table)+where, args)
		if err != nil {
			return err
		}
		reader := ses.reader(table, rows)
		row := &model.Row{Table: table, Values: make([]model.Value, len(table.Columns()))}
		for {
			ok, err := reader.into(row.Values)
			if err != nil {
				_ = ses.failed(err)
				_ = rows.Close()
				return err
			}
			if !ok {
				if err := ses.finish(rows, nil); err != nil {
					return err
				}
				return n.same(ctx, table.Name())
			}
			if err := yield(row); err != nil {
				ses.broken = true // the rest of the result is not worth reading
				return yieldError{err}
			}
		}
	})
	if y, ok := errors.AsType[yieldError](err); ok {
		return y.err
	}
	return err
}

// selectAll reads all columns of a table, in their order.
func (s *Store) selectAll(table *model.Table) string {
	names := make([]string, len(table.Columns()))
	for i, c := range table.Columns() {
		names[i] = s.dialect.Ident(c.Name)
	}
	return "SELECT " + strings.Join(names, ",") + " FROM " + s.dialect.Table(table.Name())
}

// Verify implements storage.Snapshot. The server refuses to read a table whose
// definition is newer than the snapshot; that another one has its name is looked for.
func (n *snapshot) Verify(ctx context.Context) error {
	for _, name := range n.opts.Tables {
		err := n.with(ctx, func(ses *session) error {
			if _, err := ses.strings(ctx, "SELECT 1 FROM "+n.store.dialect.Table(name)+" LIMIT 1"); err != nil {
				return err
			}
			return n.same(ctx, name)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Close implements storage.Snapshot. No Read may be under way.
func (n *snapshot) Close() error {
	if n.lock != nil {
		n.lock.close()
	}
	for _, ses := range n.sessions {
		ses.close()
	}
	n.sessions, n.lock = nil, nil
	return nil
}
