package txn

import (
	"github.com/stillpoint-db/stillpoint/internal/mutant"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

// The writes of the protocol to user tables, each with its guard. Nothing else
// in this package makes a mutation of a user's record.

func put(t *table, key model.Key, set []storage.Assignment, guard storage.Guard) storage.Mutation {
	return storage.Mutation{Kind: storage.Put, Table: t.Physical, Key: key, Set: set, Guard: guard}
}

// when makes a guard of conditions.
func when(conditions ...model.Condition) storage.Guard {
	return storage.Guard{Kind: storage.If, Conditions: conditions}
}

// isValue makes the condition that a column holds exactly a value, NULL included.
func isValue(column string, v model.Value) model.Condition {
	if v.IsNull() {
		return model.Condition{Column: column, Op: model.IsNull}
	}
	return model.Condition{Column: column, Op: model.Eq, Value: v}
}

// written makes the guard of a record that transaction id left in a state.
func written(id string, state record.State) storage.Guard {
	return when(isValue(record.TxID, model.TextValue(id)), isValue(record.TxState, model.IntValue(int32(state))))
}

// asRead makes the guard that a record is still the version that was read. Only
// the writer's id is compared: ids are never used twice, so it names the
// version. A storage that copies the before-image itself must also be told that
// the version is settled, or it would copy the traces of a write under way.
func (e *entry) asRead(settled bool) storage.Guard {
	if e.insert || e.base == nil {
		if mutant.On("txn.insert-guard") {
			return storage.Guard{Kind: storage.Always}
		}
		return storage.Guard{Kind: storage.NotExists}
	}
	if mutant.On("txn.prepare-guard") {
		return storage.Guard{Kind: storage.Exists}
	}
	writer := e.table.Writer(e.base)
	if mutant.On("txn.imported-guard") && writer.IsNull() {
		return storage.Guard{Kind: storage.NotExists}
	}
	if !settled {
		return when(isValue(record.TxID, writer))
	}
	return when(isValue(record.TxID, writer), isValue(record.TxState, e.base.Values[e.table.Meta.State]))
}

// version is the version that the write makes of the record.
func (e *entry) version() int32 {
	if e.insert || e.base == nil {
		return 1
	}
	if mutant.On("txn.version") {
		return e.table.Version(e.base)
	}
	return e.table.Version(e.base) + 1
}

// userColumns appends what the user gave.
func (e *entry) userColumns(set []storage.Assignment) []storage.Assignment {
	if e.kind != writePut {
		return set
	}
	for i, c := range e.table.User.Columns() {
		if v := e.set[i]; v.IsSet() {
			set = append(set, storage.Assignment{Column: c.Name, Value: v})
		}
	}
	return set
}

// prepare makes the write that announces the entry's: the new version in state
// PREPARED or DELETED with the whole version before it, so that whoever finds
// it can finish it either way. A deletion leaves the user's columns as they
// are, and neither touches tx_committed_at.
func (e *entry) prepare(id string, now int64) storage.Mutation {
	t, state := e.table, record.Prepared
	if e.kind == writeDelete {
		state = record.Deleted
	}
	set := make([]storage.Assignment, 0, len(t.Column)+4+len(t.nulls)+1)
	set = e.userColumns(set)
	set = append(set,
		storage.Assignment{Column: record.TxID, Value: model.TextValue(id)},
		storage.Assignment{Column: record.TxState, Value: model.IntValue(int32(state))},
		storage.Assignment{Column: record.TxVersion, Value: model.IntValue(e.version())},
		storage.Assignment{Column: record.PreparedAt, Value: model.BigIntValue(now)})
	if e.insert || e.base == nil {
		return put(t, e.key, set, e.asRead(false))
	}
	if mutant.On("txn.delete-clears-columns") && e.kind == writeDelete {
		for _, c := range t.User.Columns()[t.User.KeyLen():] {
			set = append(set, storage.Assignment{Column: c.Name, Value: model.Null(c.Type)})
		}
	}
	if mutant.On("txn.early-commit-time") {
		set = append(set, storage.Assignment{Column: record.CommittedAt, Value: model.BigIntValue(now)})
	}
	return put(t, e.key, e.beforeImage(set), e.asRead(t.copies != nil))
}

// beforeImage appends the version before: every column outside the key, changed
// or not, because a rollback takes all of them back.
func (e *entry) beforeImage(set []storage.Assignment) []storage.Assignment {
	t := e.table
	imported := t.IsImported(e.base)
	first := len(set)
	if t.copies != nil {
		set = append(set, t.copies...)
		// The copies are shared; only the slots of this slice may change.
	} else {
		columns := t.Physical.Columns()
		for i, c := range t.twins() {
			set = append(set, storage.Assignment{Column: t.nulls[i].Column, Value: orNull(e.base.Values[c[0]], columns[c[0]].Type)})
		}
	}
	if mutant.On("txn.partial-before-image") {
		kept := set[:first]
		for i, a := range set[first:] {
			if at := t.twins()[i][0]; t.isMeta(at) || e.changes(at) {
				kept = append(kept, a)
			}
		}
		set = kept
	}
	if imported && !mutant.On("txn.imported-mark") {
		for i := range set[first:] {
			if set[first+i].Column == t.restart.Column {
				set[first+i] = t.restart
			}
		}
	}
	return set
}

// isMeta tells whether a position of the stored table is a meta column's.
func (t *table) isMeta(at int) bool {
	for i := range 5 {
		if t.Meta.Position(i) == at {
			return true
		}
	}
	return false
}

// changes tells whether the user gave a value to a column of the stored table.
func (e *entry) changes(at int) bool {
	for i, a := range e.table.Column {
		if a == at {
			return e.kind == writePut && e.set[i].IsSet()
		}
	}
	return false
}

func orNull(v model.Value, t model.DataType) model.Value {
	if v.IsSet() {
		return v
	}
	return model.Null(t)
}

// final makes the write that applies the entry's at once, as committed at the
// given time: only for a call that decides the transaction itself.
func (e *entry) final(id string, preparedAt, committedAt int64) storage.Mutation {
	t := e.table
	if e.kind == writeDelete {
		if e.base == nil {
			return storage.Mutation{Kind: storage.Check, Table: t.Physical, Key: e.key, Guard: storage.Guard{Kind: storage.NotExists}}
		}
		return storage.Mutation{Kind: storage.Delete, Table: t.Physical, Key: e.key, Guard: e.asRead(false)}
	}
	set := make([]storage.Assignment, 0, len(t.Column)+5+len(t.nulls))
	set = e.userColumns(set)
	set = append(set,
		storage.Assignment{Column: record.TxID, Value: model.TextValue(id)},
		storage.Assignment{Column: record.TxState, Value: model.IntValue(int32(record.Committed))},
		storage.Assignment{Column: record.TxVersion, Value: model.IntValue(e.version())},
		storage.Assignment{Column: record.PreparedAt, Value: model.BigIntValue(preparedAt)},
		storage.Assignment{Column: record.CommittedAt, Value: model.BigIntValue(committedAt)})
	if !e.insert && e.base != nil && !e.clean {
		set = append(set, t.nulls...)
	}
	return put(t, e.key, set, e.asRead(false))
}

// check makes the mutation that changes nothing and holds if the record is
// still the version that was read, and stays so until the call is applied.
func (e *entry) check() storage.Mutation {
	return storage.Mutation{Kind: storage.Check, Table: e.table.Physical, Key: e.key, Guard: e.asRead(false)}
}

// commit makes the write that settles the entry's prepared record.
func (e *entry) commit(id string, at int64) storage.Mutation {
	state := record.Prepared
	if e.kind == writeDelete {
		state = record.Deleted
	}
	return e.table.rollForward(e.key, id, state, at, !e.insert && e.base != nil)
}

// rollback makes the write that takes the entry's prepared record back.
func (e *entry) rollback(id string) storage.Mutation {
	state, before := record.Prepared, e.base
	if e.kind == writeDelete {
		state = record.Deleted
	}
	if e.insert {
		before = nil
	}
	return e.table.rollBack(e.key, id, state, before)
}

// rollForward makes the write that settles a record of a committed transaction.
// nulls tells whether the before columns may hold something.
func (t *table) rollForward(key model.Key, id string, state record.State, at int64, nulls bool) storage.Mutation {
	guard := written(id, state)
	if mutant.On("txn.unguarded-commit") {
		guard = storage.Guard{Kind: storage.Exists}
	}
	if state == record.Deleted {
		return storage.Mutation{Kind: storage.Delete, Table: t.Physical, Key: key, Guard: guard}
	}
	set := make([]storage.Assignment, 0, 2+len(t.nulls))
	set = append(set, storage.Assignment{Column: record.TxState, Value: model.IntValue(int32(record.Committed))},
		storage.Assignment{Column: record.CommittedAt, Value: model.BigIntValue(at)})
	if nulls && !mutant.On("txn.keep-before-image") {
		set = append(set, t.nulls...)
	}
	return put(t, key, set, guard)
}

// rollBack makes the write that settles a record of an aborted transaction;
// before is the version before it, nil if there was none.
func (t *table) rollBack(key model.Key, id string, state record.State, before *model.Row) storage.Mutation {
	guard := written(id, state)
	if before == nil {
		return storage.Mutation{Kind: storage.Delete, Table: t.Physical, Key: key, Guard: guard}
	}
	set := make([]storage.Assignment, 0, 2*len(t.nulls))
	columns := t.Physical.Columns()
	for _, c := range t.twins() {
		set = append(set, storage.Assignment{Column: columns[c[0]].Name, Value: orNull(before.Values[c[0]], columns[c[0]].Type)})
	}
	return put(t, key, append(set, t.nulls...), guard)
}
