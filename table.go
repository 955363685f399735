package stillpoint

import (
	"context"
	"iter"
	"strings"
	"sync/atomic"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/txn"
)

// Table reads and writes the rows of one table as values of T: a struct whose
// fields are tagged `stillpoint:"column"`, or Row. T is checked against the
// table's definition at the first use and whenever the definition changes; what
// does not fit is ErrBadArgument. A Table may be shared between goroutines.
//
// Its methods work in a session: a *Tx, or a *Direct for tables without
// transactions. Keys are given as the values of the partition key followed by
// those of the clustering key.
type Table[T any] struct {
	db    *DB
	name  string
	bound atomic.Pointer[binding[T]]
}

type binding[T any] struct {
	meta  *model.Table
	codec codec[T]
}

// TableOf binds a table of a DB, named as "namespace.table", to the type T. It is
// for sessions of that DB.
func TableOf[T any](db *DB, name string) *Table[T] { return &Table[T]{db: db, name: name} }

// Session is where operations happen: a *Tx or a *Direct.
type Session interface {
	// Context returns the context that governs the session.
	Context() context.Context

	database() *DB
	tableByName(ctx context.Context, name string) (*model.Table, error)
	getRows(ctx context.Context, gets []storage.Get) ([]*model.Row, error)
	allows(scan *storage.Scan) error
	scanRows(ctx context.Context, scan scanRequest) iter.Seq2[*model.Row, error]
	write(ctx context.Context, w writeRequest) error
}

// writeKind is one of the four verbs.
type writeKind uint8

const (
	putKind writeKind = iota
	insertKind
	updateKind
	deleteKind
)

type writeRequest struct {
	kind  writeKind
	table *model.Table
	key   model.Key
	set   []txn.Set
	guard storage.Guard
}

// scanRequest is a scan of the user's view of a table.
type scanRequest struct {
	scan  storage.Scan
	limit int
}

func (t *Table[T]) bind(s Session) (*binding[T], error) {
	if s.database() != t.db {
		return nil, &Error{Class: ErrBadArgument, Op: "use", Subject: t.name, Detail: "the table is bound to another DB than the session is of",
			Hint: "Bind it with TableOf to each DB that it is used with"}
	}
	meta, err := s.tableByName(s.Context(), t.name)
	if err != nil {
		return nil, err
	}
	if b := t.bound.Load(); b != nil && b.meta == meta {
		return b, nil
	}
	c, err := newCodec[T](meta)
	if err != nil {
		return nil, err
	}
	b := &binding[T]{meta, c}
	t.bound.Store(b)
	return b, nil
}

// keyOf makes a key of the values given.
func keyOf(t *model.Table, values []any) (model.Key, error) {
	if len(values) != t.KeyLen() {
		return model.Key{}, model.Errorf(ErrBadArgument, "the key of %s is (%s), and %d values are given", t.Name(), keyColumns(t, 0), len(values))
	}
	vs, err := keyValues(t, 0, values)
	if err != nil {
		return model.Key{}, err
	}
	return model.KeyOf(t, vs), nil
}

// keyColumns names the key columns that begin at position first.
func keyColumns(t *model.Table, first int) string {
	var names []string
	for _, c := range t.Columns()[first:t.KeyLen()] {
		names = append(names, c.Name)
	}
	return strings.Join(names, ", ")
}

// keyValues converts values for the key columns that begin at position first.
func keyValues(t *model.Table, first int, values []any) ([]model.Value, error) {
	if len(values) > t.KeyLen()-first {
		return nil, model.Errorf(ErrBadArgument, "a bound of %d values for the clustering key (%s) of %s", len(values), keyColumns(t, first), t.Name())
	}
	vs := make([]model.Value, len(values))
	for i, x := range values {
		v, err := toValue(t.Columns()[first+i], x)
		if err != nil {
			return nil, err
		}
		if err := model.CheckKeyValue(t, first+i, v); err != nil {
			return nil, err
		}
		vs[i] = v
	}
	return vs, nil
}

// Get reads the row with the key: ErrNotFound if there is none.
func (t *Table[T]) Get(s Session, key ...any) (T, error) {
	x, ok, err := t.Find(s, key...)
	if err == nil && !ok {
		err = notFound(t.name, key)
	}
	return x, err
}

func notFound(table string, key []any) error {
	return &Error{Class: ErrNotFound, Op: "get from", Subject: table, Detail: "there is no row with key " + formatKey(key)}
}

// Find is Get for rows that may well not be there: it tells with ok instead of
// an error.
func (t *Table[T]) Find(s Session, key ...any) (x T, ok bool, err error) {
	b, err := t.bind(s)
	if err != nil {
		return x, false, err
	}
	k, err := keyOf(b.meta, key)
	if err != nil {
		return x, false, err
	}
	rows, err := s.getRows(s.Context(), []storage.Get{{Table: b.meta, Key: k}})
	if err != nil || rows[0] == nil {
		return x, false, err
	}
	return x, true, b.codec.decode(rows[0], &x)
}

// Into prepares a read of the row with the key into *dst, for Tx.GetAll and
// Direct.GetAll.
func (t *Table[T]) Into(dst *T, key ...any) Read { return read[T]{t, dst, nil, key} }

// IntoIfFound is Into for a row that may not be there: found tells, and *dst is
// zero then.
func (t *Table[T]) IntoIfFound(dst *T, found *bool, key ...any) Read {
	return read[T]{t, dst, found, key}
}

// Read is one of several reads that are made in one round trip; see Table.Into.
type Read interface {
	request(s Session) (storage.Get, error)
	deliver(s Session, r *model.Row) error
}

type read[T any] struct {
	table *Table[T]
	dst   *T
	found *bool
	key   []any
}

func (r read[T]) request(s Session) (storage.Get, error) {
	if r.dst == nil {
		return storage.Get{}, model.Errorf(ErrBadArgument, "a read of %s is given no place to put the row", r.table.name)
	}
	b, err := r.table.bind(s)
	if err != nil {
		return storage.Get{}, err
	}
	k, err := keyOf(b.meta, r.key)
	return storage.Get{Table: b.meta, Key: k}, err
}

func (r read[T]) deliver(s Session, row *model.Row) error {
	if r.found != nil {
		*r.found = row != nil
	}
	if row == nil {
		if r.found != nil {
			var zero T
			*r.dst = zero
			return nil
		}
		return notFound(r.table.name, r.key)
	}
	b, err := r.table.bind(s)
	if err != nil {
		return err
	}
	return b.codec.decode(row, r.dst)
}

func getAll(s Session, reads []Read) error {
	gets := make([]storage.Get, len(reads))
	for i, r := range reads {
		if r == nil {
			return model.Errorf(ErrBadArgument, "read %d of %d is nil; make it with Into", i+1, len(reads))
		}
		g, err := r.request(s)
		if err != nil {
			return err
		}
		gets[i] = g
	}
	rows, err := s.getRows(s.Context(), gets)
	if err != nil {
		return err
	}
	for i, r := range reads {
		if err := r.deliver(s, rows[i]); err != nil {
			return err
		}
	}
	return nil
}
