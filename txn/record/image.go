package record

import "github.com/stillpoint-db/stillpoint/model"

// Writer returns the id of the transaction that wrote the record last: a NULL
// value for an imported one.
func (l *Layout) Writer(row *model.Row) model.Value {
	if v := row.Values[l.Meta.TxID]; v.IsSet() {
		return v
	}
	return model.Null(model.Text)
}

// WriterID is Writer as a string; "" for an imported record.
func (l *Layout) WriterID(row *model.Row) string { return row.Values[l.Meta.TxID].Str() }

// State returns the record's state; 0 for an imported one.
func (l *Layout) State(row *model.Row) State { return State(row.Values[l.Meta.State].Int64()) }

// Version returns the record's version; 0 for an imported one.
func (l *Layout) Version(row *model.Row) int32 { return int32(row.Values[l.Meta.Version].Int64()) }

// PreparedAt returns when the record was prepared, in milliseconds since 1970;
// 0 for an imported one.
func (l *Layout) PreparedAt(row *model.Row) int64 { return row.Values[l.Meta.PreparedAt].Int64() }

// CommittedAt returns the record's commit time, in milliseconds since 1970; 0 if
// it has none.
func (l *Layout) CommittedAt(row *model.Row) int64 { return row.Values[l.Meta.CommittedAt].Int64() }

// IsCommitted tells whether the record is final as it stands: its state is
// COMMITTED or NULL. The before columns of such a record mean nothing.
func (l *Layout) IsCommitted(row *model.Row) bool {
	s := row.Values[l.Meta.State]
	return s.IsNull() || !s.IsSet() || State(s.Int64()) == Committed
}

// IsImported tells whether no transaction has ever written the record; such a
// record is committed.
func (l *Layout) IsImported(row *model.Row) bool {
	v := row.Values[l.Meta.TxID]
	return v.IsNull() || !v.IsSet()
}

// HasBefore tells whether an undecided record carries the version before it: if
// not, there was none. It is only asked of records in state PREPARED or DELETED.
func (l *Layout) HasBefore(row *model.Row) bool {
	id, version := row.Values[l.BeforeMeta.TxID], row.Values[l.BeforeMeta.Version]
	return id.IsSet() && !id.IsNull() || version.IsSet() && !version.IsNull()
}

// After returns the stored row that the record becomes when its writer has
// committed at the given time (milliseconds since 1970): nil for a deletion. A
// committed record is returned as it is. The before columns of the result are
// NULL.
func (l *Layout) After(row *model.Row, committedAt int64) *model.Row {
	if l.IsCommitted(row) {
		return row
	}
	if l.State(row) == Deleted {
		return nil
	}
	out := row.Clone()
	out.Values[l.Meta.State] = model.IntValue(int32(Committed))
	out.Values[l.Meta.CommittedAt] = model.BigIntValue(committedAt)
	l.clearBefore(out)
	return out
}

// Before returns the stored row that the record becomes when its writer has
// aborted: nil if there was none. A committed record is returned as it is. The
// before columns of the result are NULL.
func (l *Layout) Before(row *model.Row) *model.Row {
	if l.IsCommitted(row) {
		return row
	}
	if !l.HasBefore(row) {
		return nil
	}
	out := row.Clone()
	for i, at := range l.Column {
		if b := l.Twin[i]; b >= 0 {
			out.Values[at] = row.Values[b]
		}
	}
	after, before := l.Meta.all(), l.BeforeMeta.all()
	for i := range after {
		out.Values[after[i]] = row.Values[before[i]]
	}
	// An imported record is noted as version 0 and becomes one again.
	if v := out.Values[l.Meta.Version]; !v.IsNull() && v.Int64() == 0 {
		out.Values[l.Meta.Version] = model.Null(model.Int)
	}
	l.clearBefore(out)
	return out
}

func (l *Layout) clearBefore(row *model.Row) {
	columns := l.Physical.Columns()
	for _, b := range l.Twin {
		if b >= 0 {
			row.Values[b] = model.Null(columns[b].Type)
		}
	}
	for _, b := range l.BeforeMeta.all() {
		row.Values[b] = model.Null(columns[b].Type)
	}
}

// Decision is what is known of a transaction's fate.
type Decision struct {
	State State // Committed, Aborted, or 0: undecided
	At    int64 // tx_created_at of the deciding row: the commit time; milliseconds since 1970
}

// Settle returns the stored row that remains of a record once its writer's fate
// is what d says and nobody will decide otherwise: nil if none remains. An
// undecided writer counts as aborted, which is right only where it can commit no
// more: in a copy. A committed record stays as it is, whatever d says.
func (l *Layout) Settle(row *model.Row, d Decision) *model.Row {
	if d.State == Committed {
		return l.After(row, d.At)
	}
	return l.Before(row)
}
