package postgres

import (
	"context"
	"encoding/binary"
	"io"
	"iter"
	"math"
	"strconv"

	"github.com/stillpoint-db/stillpoint/model"
)

// One transaction of a load ends at whichever comes first.
const (
	loadRows  = 50_000
	loadBytes = 32 << 20
)

// Load implements storage.Loader: COPY FROM STDIN in binary format, one
// transaction after the other.
func (d *db) Load(ctx context.Context, t *model.Table, rows iter.Seq2[*model.Row, error]) (int64, error) {
	s, err := d.pool.connect(ctx)
	if err != nil {
		return 0, d.notSent(err)
	}
	defer s.close()
	if err := d.run(ctx, s, noLimits); err != nil {
		return 0, err
	}
	types, err := d.columnTypes(ctx, s, t)
	if err != nil {
		return 0, err
	}
	dialect := d.single.Dialect()
	sql := "COPY " + dialect.Table(t.Name()) + "("
	for i, c := range t.Columns() {
		if i > 0 {
			sql += ","
		}
		sql += dialect.Ident(c.Name)
	}
	sql += ") FROM STDIN (FORMAT binary)"
	next, stop := iter.Pull2(rows)
	defer stop()
	src := &copyEncoder{table: t, types: types, next: next}
	var total int64
	for !src.over {
		src.start()
		if src.peek(); src.over {
			break
		}
		tag, err := s.pg.CopyFrom(ctx, src, sql)
		if src.err != nil {
			return total, src.err
		}
		if err != nil {
			return total, d.loadError(t, err)
		}
		total += tag.RowsAffected()
	}
	return total, src.err
}

func (d *db) loadError(t *model.Table, err error) error {
	if hasCode(err, codeUnique) {
		return &model.Error{Class: model.ErrExists, Op: "load table", Subject: t.Name().String(), Detail: "a row to be inserted is there already", Err: err}
	}
	return d.textError(err)
}

// columnTypes returns the object ids of the columns' real types.
func (d *db) columnTypes(ctx context.Context, s *session, t *model.Table) ([]uint32, error) {
	rows, err := d.query(ctx, s, `SELECT a.attname, a.atttypid::bigint FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped`, t.Name().Namespace, t.Name().Name)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, model.Errorf(model.ErrNotFound, "table %s is not in the database", t.Name())
	}
	have := make(map[string]uint32, len(rows))
	for _, r := range rows {
		oid, err := strconv.ParseUint(r[1], 10, 32)
		if err != nil {
			return nil, model.Errorf(model.ErrDamaged, "type of column %s: %w", r[0], err)
		}
		have[r[0]] = uint32(oid)
	}
	out := make([]uint32, len(t.Columns()))
	for i, c := range t.Columns() {
		oid, ok := have[c.Name]
		if !ok {
			return nil, model.Errorf(model.ErrNotFound, "table %s has no column %q in the database", t.Name(), c.Name)
		}
		if !holds(c.Type, oid) {
			return nil, model.Errorf(model.ErrRefused, "column %s of %s has a type that %s cannot be loaded into", c.Name, t.Name(), c.Type)
		}
		out[i] = oid
	}
	return out, nil
}

// holds tells whether a column of type oid can hold every value of a type, in a
// format that appendLoaded writes.
func holds(t model.DataType, oid uint32) bool {
	switch t {
	case model.Text:
		return oid == 25 || oid == 1043
	case model.Float:
		return oid == 700 || oid == 701 // ScalarDB 3.13 made double precision of it
	}
	return oid == paramOIDs[t]
}

// copyEncoder turns rows into COPY's binary format, one transaction's worth at
// a time.
type copyEncoder struct {
	table *model.Table
	types []uint32
	next  func() (*model.Row, error, bool)

	ahead  *model.Row // taken from next and not encoded yet
	buf    []byte
	rows   int
	bytes  int
	closed bool // the trailer is written
	over   bool // next has no more
	err    error
}

func (e *copyEncoder) start() {
	e.buf = append(e.buf[:0], copySignature...)
	e.buf = append(e.buf, 0, 0, 0, 0, 0, 0, 0, 0)
	e.rows, e.bytes, e.closed = 0, 0, false
}

// peek makes sure that the next row is at hand, or that there is none.
func (e *copyEncoder) peek() {
	if e.ahead != nil || e.over {
		return
	}
	row, err, ok := e.next()
	switch {
	case !ok:
		e.over = true
	case err != nil:
		e.err, e.over = err, true
	case len(row.Values) != len(e.types):
		e.err, e.over = model.Errorf(model.ErrBadArgument, "a row for %s has %d values instead of %d", e.table.Name(), len(row.Values), len(e.types)), true
	default:
		e.ahead = row
	}
}

// Read implements io.Reader.
func (e *copyEncoder) Read(p []byte) (int, error) {
	for len(e.buf) < len(p) && !e.closed {
		e.peek()
		switch {
		case e.err != nil:
			return 0, e.err // makes the server take the transaction back
		case e.over || e.rows >= loadRows || e.bytes >= loadBytes:
			e.buf = append(e.buf, 0xff, 0xff)
			e.closed = true
		default:
			before := len(e.buf)
			e.encode(e.ahead)
			e.ahead = nil
			if e.err != nil {
				return 0, e.err
			}
			e.rows++
			e.bytes += len(e.buf) - before
		}
	}
	if len(e.buf) == 0 {
		return 0, io.EOF
	}
	n := copy(p, e.buf)
	e.buf = append(e.buf[:0], e.buf[n:]...)
	return n, nil
}

func (e *copyEncoder) encode(r *model.Row) {
	e.buf = binary.BigEndian.AppendUint16(e.buf, uint16(len(r.Values)))
	for i, v := range r.Values {
		switch {
		case v.IsSet() && v.Type() != e.table.Columns()[i].Type:
			e.err, e.over = model.Errorf(model.ErrBadArgument, "a row for %s has a %s in column %s", e.table.Name(), v.Type(), e.table.Columns()[i].Name), true
		case !v.IsSet():
			e.buf = append(e.buf, 0xff, 0xff, 0xff, 0xff)
		case v.Type() == model.Float && e.types[i] == 701 && !v.IsNull():
			e.buf = appendInt64(e.buf, int64(math.Float64bits(float64(v.Float32()))))
		default:
			e.buf = appendValue(e.buf, v)
		}
	}
}
