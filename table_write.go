package stillpoint

import (
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/txn"
)

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
		if opt == nil {
			return storage.Guard{}, model.Errorf(ErrBadArgument, "a write to %s is given an option that is nil", t.Name())
		}
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
