package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

const (
	// partBlocks is the least size of a part of a table: below it a part is
	// not worth its own statement. A block is 8 kB as a rule.
	partBlocks = 256
	// rowArena is how much memory for TEXT and BLOB is got at once.
	rowArena = 64 << 10
)

// blocks is a range of a table's blocks: from … to-1, or to the end if to is 0.
type blocks struct{ from, to int64 }

// Split implements storage.Snapshot: ranges of blocks, which PostgreSQL reads
// without an index. Blocks behind the last known one hold no row of the snapshot.
func (p *snapshot) Split(ctx context.Context, t *model.Table, n int) ([]storage.Part, error) {
	rows, err := p.ask(ctx, `SELECT c.relkind, CASE WHEN c.relkind = 'r' THEN pg_relation_size(c.oid) / current_setting('block_size')::bigint ELSE 0 END,
			c.reltuples::bigint, CASE WHEN c.relkind = 'r' THEN pg_table_size(c.oid) ELSE -1 END, EXISTS (SELECT 1 FROM pg_inherits i WHERE i.inhparent = c.oid)
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2`, t.Name().Namespace, t.Name().Name)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, model.Errorf(model.ErrNotFound, "table %s is not in the database", t.Name())
	}
	number := func(s string) int64 {
		v, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return -1
		}
		return v
	}
	size, tuples, bytes := number(rows[0][1]), number(rows[0][2]), number(rows[0][3])
	if rows[0][0] != "r" || rows[0][4] == "t" { // partitions have block numbers of their own
		n = 1
	}
	n = int(min(int64(max(n, 1)), max(1, size/partBlocks)))
	parts := make([]storage.Part, n)
	for i := range parts {
		b := blocks{size * int64(i) / int64(n), size * int64(i+1) / int64(n)}
		if i == n-1 {
			b.to = 0
		}
		parts[i] = storage.Part{Where: b, Rows: -1, Bytes: -1}
		if tuples >= 0 {
			parts[i].Rows = tuples / int64(n)
		}
		if bytes >= 0 {
			parts[i].Bytes = bytes / int64(n)
		}
	}
	return parts, nil
}

// Read implements storage.Snapshot.
func (p *snapshot) Read(ctx context.Context, t *model.Table, part storage.Part, yield func(*model.Row) error) error {
	where, ok := part.Where.(blocks)
	if !ok {
		return model.Errorf(model.ErrBadArgument, "the part is not one of this snapshot")
	}
	var s *session
	select {
	case s = <-p.workers:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { p.workers <- s }()
	if s.dead {
		if why := p.watch.gaveWay(); why != nil {
			return why
		}
		return storage.UnavailableError(p.db.name, errors.New("a session of the snapshot has ended"))
	}
	cond := ""
	if where.from > 0 {
		cond = fmt.Sprintf(" WHERE ctid >= '(%d,0)'", where.from)
	}
	if where.to > 0 {
		if cond == "" {
			cond = " WHERE"
		} else {
			cond += " AND"
		}
		cond += fmt.Sprintf(" ctid < '(%d,0)'", where.to)
	}
	sql := "COPY (" + p.db.selectAll(t) + cond + ") TO STDOUT (FORMAT binary)"
	err := s.copyOut(ctx, sql, &copyDecoder{table: t, yield: yield})
	if err != nil {
		s.dead = true // its transaction is over
		if why := p.watch.gaveWay(); why != nil {
			return why
		}
		if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
			return p.db.serverError(pgErr)
		}
	}
	return err
}

// selectAll is the query of all columns in the order of the table.
func (d *db) selectAll(t *model.Table) string {
	dialect := d.single.Dialect()
	sql := "SELECT "
	for i, c := range t.Columns() {
		if i > 0 {
			sql += ","
		}
		sql += dialect.Ident(c.Name)
	}
	return sql + " FROM " + dialect.Table(t.Name())
}

// copyOut runs a COPY TO STDOUT and feeds what comes to a decoder. After an
// error the session is of no use any more.
func (s *session) copyOut(ctx context.Context, sql string, dec *copyDecoder) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.begin()
	var at int
	s.out, at = beginMessage(s.out, 'Q')
	s.out = endMessage(appendCString(s.out, sql), at)
	if _, err := s.net.Write(s.out); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = s.net.SetReadDeadline(time.Unix(1, 0)) })
	defer func() { s.dead = !stop() || s.dead }()
	var failed error
	for {
		msg, err := s.pg.ReceiveMessage(context.Background())
		if err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() != nil {
				return ctx.Err()
			}
			return err
		}
		switch msg := msg.(type) {
		case *pgproto3.CopyData:
			if err := dec.write(msg.Data); err != nil {
				return err
			}
		case *pgproto3.ErrorResponse:
			failed = pgconn.ErrorResponseToPgError(msg)
		case *pgproto3.ReadyForQuery:
			if failed == nil && !dec.ended {
				failed = model.Errorf(model.ErrDamaged, "%s: the server's data ended in the middle", dec.table.Name())
			}
			return failed
		}
	}
}
