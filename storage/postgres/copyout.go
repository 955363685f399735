package postgres

import (
	"bytes"
	"context"
	"encoding/binary"
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

// copySignature begins COPY's binary format; flags and the length of an
// extension follow, 4 bytes each.
const copySignature = "PGCOPY\n\xff\r\n\x00"

// blocks is a range of a table's blocks: from … to-1, or to the end if to is 0.
type blocks struct{ from, to int64 }

// Split implements storage.Snapshot: ranges of blocks, which PostgreSQL reads
// without an index. Blocks behind the last known one hold no row of the snapshot.
func (p *snapshot) Split(ctx context.Context, t *model.Table, n int) ([]storage.Part, error) {
	rows, err := (executor{db: p.db, tx: p.leader}).Query(ctx, `SELECT c.relkind, CASE WHEN c.relkind = 'r' THEN pg_relation_size(c.oid) / current_setting('block_size')::bigint ELSE 0 END,
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
	defer stop()
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

// copyDecoder takes rows out of COPY's binary format, however it is cut.
type copyDecoder struct {
	table *model.Table
	yield func(*model.Row) error

	rest   []byte // the beginning of something incomplete
	begun  bool
	ended  bool
	row    model.Row
	cols   [][]byte
	memory arena
}

func (d *copyDecoder) write(data []byte) error {
	if len(d.rest) > 0 {
		d.rest = append(d.rest, data...)
		data = d.rest
	}
	for {
		used, err := d.next(data)
		if err != nil {
			return err
		}
		if used == 0 {
			break
		}
		data = data[used:]
	}
	d.rest = append(d.rest[:0], data...) // a copy onto itself where data is the end of rest
	return nil
}

// next takes the header, a row or the trailer from the front of data; 0 if it
// is not all there yet.
func (d *copyDecoder) next(data []byte) (int, error) {
	bad := func(what string) (int, error) {
		return 0, model.Errorf(model.ErrDamaged, "%s: the server's data is not what COPY sends: %s", d.table.Name(), what)
	}
	if !d.begun {
		n := len(copySignature) + 8
		if len(data) < n {
			return 0, nil
		}
		if !bytes.HasPrefix(data, []byte(copySignature)) {
			return bad("no signature")
		}
		extension := int(binary.BigEndian.Uint32(data[n-4:]))
		if extension > 1<<20 {
			return bad("an endless header")
		}
		if len(data) < n+extension {
			return 0, nil
		}
		d.begun = true
		d.memory.chunk = rowArena
		d.row = model.Row{Table: d.table, Values: make([]model.Value, len(d.table.Columns()))}
		return n + extension, nil
	}
	if len(data) < 2 {
		return 0, nil
	}
	if d.ended {
		return bad("something follows its end")
	}
	count := int(int16(binary.BigEndian.Uint16(data)))
	if count == -1 {
		d.ended = true
		return 2, nil
	}
	if count != len(d.row.Values) {
		return bad(strconv.Itoa(count) + " columns")
	}
	d.cols = d.cols[:0]
	at := 2
	for range count {
		if len(data)-at < 4 {
			return 0, nil
		}
		n := int(int32(binary.BigEndian.Uint32(data[at:])))
		at += 4
		switch {
		case n == -1:
			d.cols = append(d.cols, nil)
		case n < 0:
			return bad("a negative length")
		case len(data)-at < n:
			return 0, nil
		default:
			d.cols = append(d.cols, data[at:at+n:at+n])
			at += n
		}
	}
	if err := decodeRow(d.table, d.row.Values, d.cols, &d.memory); err != nil {
		return 0, err
	}
	return at, d.yield(&d.row)
}
