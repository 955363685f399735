package stillpoint

import (
	"context"
	"iter"
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
	name  string
	bound atomic.Pointer[binding[T]]
}

type binding[T any] struct {
	meta  *model.Table
	codec codec[T]
}

// TableOf binds a table, named as "namespace.table", to the type T.
func TableOf[T any](_ *DB, name string) *Table[T] { return &Table[T]{name: name} }

// Session is where operations happen: a *Tx or a *Direct.
type Session interface {
	// Context returns the context that governs the session.
	Context() context.Context

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
		return model.Key{}, model.Errorf(ErrBadArgument, "the key of %s has %d columns, not %d", t.Name(), t.KeyLen(), len(values))
	}
	vs, err := keyValues(t, 0, values)
	if err != nil {
		return model.Key{}, err
	}
	return model.KeyOf(t, vs), nil
}

// keyValues converts values for the key columns that begin at position first.
func keyValues(t *model.Table, first int, values []any) ([]model.Value, error) {
	if len(values) > t.KeyLen()-first {
		return nil, model.Errorf(ErrBadArgument, "%d values for %d key columns of %s", len(values), t.KeyLen()-first, t.Name())
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

// IntoIfFound is Into for a row that may not be there: found tells.
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

// Put writes a row, whether it is there or not. Columns that T does not have
// keep their value; those of a Row that it does not name as well.
func (t *Table[T]) Put(s Session, x T, opts ...WriteOption) error {
	return t.write(s, putKind, &x, opts)
}

// Insert writes a row that must not be there: ErrExists or ErrConflict, at the
// latest at commit, if it is.
func (t *Table[T]) Insert(s Session, x T, opts ...WriteOption) error {
	return t.write(s, insertKind, &x, opts)
}

// Update writes a row that must be there: ErrNotFound if it is not.
func (t *Table[T]) Update(s Session, x T, opts ...WriteOption) error {
	return t.write(s, updateKind, &x, opts)
}

func (t *Table[T]) write(s Session, kind writeKind, x *T, opts []WriteOption) error {
	b, err := t.bind(s)
	if err != nil {
		return err
	}
	keyLen := b.meta.KeyLen()
	w := writeRequest{kind: kind, table: b.meta, set: make([]txn.Set, 0, len(b.meta.Columns())-keyLen)}
	key := make([]model.Value, keyLen)
	err = b.codec.encode(x, func(i int, v model.Value) {
		if i < keyLen {
			key[i] = v
		} else {
			w.set = append(w.set, txn.Set{Column: b.meta.Columns()[i].Name, Value: v})
		}
	})
	if err != nil {
		return err
	}
	w.key = model.KeyOf(b.meta, key)
	if err := w.key.Check(b.meta); err != nil {
		return err
	}
	if w.guard, err = guardOf(b.meta, opts); err != nil {
		return err
	}
	return s.write(s.Context(), w)
}

// Delete removes the row with the key; no error if it is not there. Write
// options may follow the key values.
func (t *Table[T]) Delete(s Session, keyAndOptions ...any) error {
	b, err := t.bind(s)
	if err != nil {
		return err
	}
	var key []any
	var opts []WriteOption
	for _, x := range keyAndOptions {
		if o, ok := x.(WriteOption); ok {
			opts = append(opts, o)
		} else {
			key = append(key, x)
		}
	}
	w := writeRequest{kind: deleteKind, table: b.meta}
	if w.key, err = keyOf(b.meta, key); err != nil {
		return err
	}
	if w.guard, err = guardOf(b.meta, opts); err != nil {
		return err
	}
	return s.write(s.Context(), w)
}

func guardOf(t *model.Table, opts []WriteOption) (storage.Guard, error) {
	if len(opts) == 0 {
		return storage.Guard{}, nil
	}
	var o writeOptions
	for _, opt := range opts {
		opt.applyWrite(&o)
	}
	switch {
	case o.ifMissing && (o.ifExists || len(o.conds) > 0):
		return storage.Guard{}, model.Errorf(ErrBadArgument, "a write to %s cannot ask that the row exists and that it does not", t.Name())
	case o.ifMissing:
		return storage.Guard{Kind: storage.NotExists}, nil
	case len(o.conds) > 0:
		conds, err := bindAll(t, o.conds)
		return storage.Guard{Kind: storage.If, Conditions: conds}, err
	case o.ifExists:
		return storage.Guard{Kind: storage.Exists}, nil
	}
	return storage.Guard{}, nil
}

// Scan iterates over rows, holding one page of them in memory. Iteration ends
// at the first error, which is yielded with a zero T.
func (t *Table[T]) Scan(s Session, opts ...ScanOption) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		b, err := t.bind(s)
		if err != nil {
			yield(zero, err)
			return
		}
		req, err := scanOf(b.meta, opts)
		if err != nil {
			yield(zero, err)
			return
		}
		if err := s.allows(&req.scan); err != nil {
			yield(zero, err)
			return
		}
		for row, err := range s.scanRows(s.Context(), req) {
			var x T
			if err == nil {
				err = b.codec.decode(row, &x)
			}
			if err != nil {
				yield(zero, err)
				return
			}
			if !yield(x, nil) {
				return
			}
		}
	}
}

func scanOf(t *model.Table, opts []ScanOption) (scanRequest, error) {
	var o scanOptions
	for _, opt := range opts {
		opt(&o)
	}
	req := scanRequest{scan: storage.Scan{Table: t, Kind: storage.ScanTable, Reverse: o.reverse}, limit: o.limit}
	sc := &req.scan
	bad := func(what string) (scanRequest, error) {
		return req, model.Errorf(ErrBadArgument, "scan of %s: %s", t.Name(), what)
	}
	var err error
	switch {
	case o.limit < 0:
		return bad("the limit is negative")
	case o.hasPartition && o.indexColumn != "":
		return bad("Partition and ByIndex exclude each other")
	case !o.hasPartition && (o.start != nil || o.end != nil || o.reverse):
		return bad("bounds and Reverse need Partition")
	case (o.hasPartition || o.indexColumn != "") && len(o.orderBy) > 0:
		return bad("OrderBy is for scans of the whole table; a partition comes in clustering order")
	case o.hasPartition:
		if len(o.partition) != t.PartitionLen() {
			return bad("Partition needs all values of the partition key")
		}
		sc.Kind = storage.ScanPartition
		if sc.Partition, err = keyValues(t, 0, o.partition); err != nil {
			return req, err
		}
		if sc.Start.Values, err = keyValues(t, t.PartitionLen(), o.start); err != nil {
			return req, err
		}
		if sc.End.Values, err = keyValues(t, t.PartitionLen(), o.end); err != nil {
			return req, err
		}
		sc.Start.Exclusive, sc.End.Exclusive = o.startExcl, o.endExcl
	case o.indexColumn != "":
		i, err := t.Column(o.indexColumn)
		if err != nil {
			return req, err
		}
		if !t.Indexed(i) {
			return bad("column " + o.indexColumn + " has no index; use Where instead of ByIndex, or create one")
		}
		sc.Kind, sc.IndexColumn = storage.ScanIndex, o.indexColumn
		if sc.IndexValue, err = toValue(t.Columns()[i], o.indexValue); err != nil {
			return req, err
		}
	}
	for _, and := range o.where {
		conds, err := bindAll(t, and)
		if err != nil {
			return req, err
		}
		sc.Where = append(sc.Where, conds)
	}
	for _, ob := range o.orderBy {
		if _, err := t.Column(ob.column); err != nil {
			return req, err
		}
		sc.OrderBy = append(sc.OrderBy, storage.OrderBy{Column: ob.column, Order: ob.order})
	}
	return req, nil
}
