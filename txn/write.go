package txn

import (
	"context"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// Set gives a column a value, which may be NULL.
type Set struct {
	Column string
	Value  model.Value
}

// Write is one record to be written.
type Write struct {
	Table model.TableName
	Key   model.Key
	// Set gives the columns outside the key; Delete has none.
	Set []Set
	// If is the condition under which the write happens. It is judged at once,
	// on the record as the transaction sees it. Put takes every kind, Update
	// and Delete take Exists and If, Insert takes none.
	If storage.Guard
}

// Put writes a record whether or not it exists; columns not given keep their
// values. What was there is read at Commit, together with all other such
// records, unless the transaction has read it before.
//
// Like every write it can fail with model.ErrBadArgument, with
// model.ErrConditionNotMet if it has a condition, and with what Get fails with.
// Nothing reaches the database before Commit.
func (tx *Tx) Put(ctx context.Context, w Write) error {
	const op = "put"
	e, err := tx.target(ctx, op, w)
	if err != nil {
		return err
	}
	if err := tx.judge(ctx, op, e, w.If); err != nil {
		return err
	}
	tx.merge(e, w.Set)
	return nil
}

// Insert writes a record that must not exist: if it does, Commit is
// model.ErrConflict and model.ErrExists; if the transaction has read it, Insert
// is. It reads nothing.
func (tx *Tx) Insert(ctx context.Context, w Write) error {
	const op = "insert"
	e, err := tx.target(ctx, op, w)
	if err != nil {
		return err
	}
	switch {
	case w.If.Kind != storage.Always:
		return tx.misuse(op, "an insert takes no condition")
	case e.kind == writePut:
		return tx.misuse(op, "%s is written in this transaction already", e)
	case e.kind == writeNone && e.base != nil:
		return tx.conflict(op, "", model.Errorf(model.ErrExists, "the row to insert, %s, exists already", e))
	case e.kind == writeNone:
		e.insert = true
	}
	tx.merge(e, w.Set)
	return nil
}

// Update writes a record that exists. Without a condition it does nothing if
// there is none; with one (storage.Exists is one) that is
// model.ErrConditionNotMet. It reads the record at once.
func (tx *Tx) Update(ctx context.Context, w Write) error {
	const op = "update"
	e, err := tx.target(ctx, op, w)
	if err != nil {
		return err
	}
	if w.If.Kind == storage.NotExists {
		return tx.misuse(op, "an update cannot require that there is no row")
	}
	if w.If.Kind == storage.Always {
		if err := tx.mustKnow(ctx, e); err != nil {
			return err
		}
		if e.view() == nil {
			return nil
		}
	}
	if err := tx.judge(ctx, op, e, w.If); err != nil {
		return err
	}
	tx.merge(e, w.Set)
	return nil
}

// Delete removes a record; one that does not exist is no error, unless there is
// a condition.
func (tx *Tx) Delete(ctx context.Context, w Write) error {
	const op = "delete"
	e, err := tx.target(ctx, op, w)
	if err != nil {
		return err
	}
	switch {
	case len(w.Set) > 0:
		return tx.misuse(op, "a delete sets no columns")
	case w.If.Kind == storage.NotExists:
		return tx.misuse(op, "a delete cannot require that there is no row")
	case e.insert:
		return tx.misuse(op, "%s is inserted in this transaction", e)
	}
	if err := tx.judge(ctx, op, e, w.If); err != nil {
		return err
	}
	tx.mark(e, writeDelete)
	e.set = nil
	return nil
}

// target checks a write and finds the entry of its record.
func (tx *Tx) target(ctx context.Context, op string, w Write) (*entry, error) {
	if err := tx.usable(op); err != nil {
		return nil, err
	}
	if tx.readOnly {
		return nil, tx.misuse(op, "it is read-only")
	}
	t, err := tx.table(ctx, w.Table)
	if err != nil {
		return nil, tx.readFailed(op, err)
	}
	if err := w.Key.Check(t.User); err != nil {
		return nil, tx.readFailed(op, err)
	}
	if err := checkSet(t, w.Set); err != nil {
		return nil, tx.readFailed(op, err)
	}
	if err := checkCondition(t, w.If); err != nil {
		return nil, tx.readFailed(op, err)
	}
	return tx.entries.findOrAdd(t, w.Key), nil
}

func checkSet(t *table, set []Set) error {
	for i, s := range set {
		at, err := t.User.Column(s.Column)
		if err != nil {
			return err
		}
		name, want := t.User.Name(), t.User.Columns()[at].Type
		if t.User.IsKey(at) {
			return model.Errorf(model.ErrBadArgument, "column %s of %s is part of the key and cannot be set", s.Column, name)
		}
		if s.Value.Type() != want {
			if !s.Value.IsSet() {
				return model.Errorf(model.ErrBadArgument, "column %s of %s is given no value; NULL must be said", s.Column, name)
			}
			return model.Errorf(model.ErrBadArgument, "column %s of %s is %s, not %s", s.Column, name, want, s.Value.Type())
		}
		if err := s.Value.Check(); err != nil {
			return err
		}
		for _, other := range set[:i] {
			if other.Column == s.Column {
				return model.Errorf(model.ErrBadArgument, "column %s of %s is set twice", s.Column, name)
			}
		}
	}
	return nil
}

func checkCondition(t *table, g storage.Guard) error {
	if g.Kind > storage.If || g.Kind == storage.If && len(g.Conditions) == 0 || g.Kind != storage.If && len(g.Conditions) > 0 {
		return model.Errorf(model.ErrBadArgument, "a condition of kind If, and no other, has comparisons")
	}
	for _, c := range g.Conditions {
		if err := c.Check(t.User); err != nil {
			return err
		}
		if c.Op == model.Like || c.Op == model.NotLike {
			return model.Errorf(model.ErrBadArgument, "LIKE is not supported as the condition of a write")
		}
	}
	return nil
}

// judge evaluates a condition on the record as the transaction sees it.
func (tx *Tx) judge(ctx context.Context, op string, e *entry, g storage.Guard) error {
	if g.Kind == storage.Always {
		return nil
	}
	if err := tx.mustKnow(ctx, e); err != nil {
		return err
	}
	if e.known && !sameVersion(e.table, e.base, e.later) {
		// It was judged on what is no more, and could not be committed anyway.
		return tx.conflict(op, "another transaction has changed "+e.String()+" since this one first read it", nil)
	}
	row := e.view()
	switch {
	case g.Kind == storage.NotExists:
		if row != nil {
			return tx.unsatisfied(op, e, "the row exists")
		}
		return nil
	case row == nil:
		return tx.unsatisfied(op, e, "the row does not exist")
	}
	for _, c := range g.Conditions {
		if !c.Holds(row.Get(c.Column)) {
			return tx.unsatisfied(op, e, "it is not true that "+c.String())
		}
	}
	return nil
}

// mustKnow reads the record unless the transaction knows it, by a read or by a
// write that leaves nothing open.
func (tx *Tx) mustKnow(ctx context.Context, e *entry) error {
	e.byKey = true
	if e.known || e.insert || e.kind == writeDelete {
		return nil
	}
	tx.one[0] = fetched{table: e.table, key: e.key, entry: e}
	return tx.readEntries(ctx, tx.one[:])
}

// merge adds columns to what the entry writes. After a deletion the record is
// written whole: columns not given are NULL.
func (tx *Tx) merge(e *entry, set []Set) {
	if e.set == nil {
		e.set = make([]model.Value, len(e.table.User.Columns()))
	}
	if e.kind == writeDelete {
		for i, c := range e.table.User.Columns() {
			if !e.table.User.IsKey(i) {
				e.set[i] = model.Null(c.Type)
			}
		}
	}
	for _, s := range set {
		e.set[e.table.User.Position(s.Column)] = s.Value
	}
	tx.mark(e, writePut)
}

func (tx *Tx) mark(e *entry, kind writeKind) {
	if e.kind == writeNone {
		tx.writes++
	}
	e.kind = kind
}
