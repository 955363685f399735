package txn

import (
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// A scan cannot show the transaction's own writes: what it returns is filtered,
// ordered and cut by the database, which has not got them. So one that would
// have to is refused.

// overlaps refuses a scan to which a record that the transaction puts could
// belong, by what the put itself gives.
func (tx *Tx) overlaps(t *table, s Scan) error {
	if tx.writes == 0 {
		return nil
	}
	for _, e := range tx.entries.list {
		if e.table == t && e.kind == writePut && e.couldBelong(s) {
			return tx.overlapError(e)
		}
	}
	return nil
}

// notOwn refuses a record that a scan meets and the transaction has written.
func (tx *Tx) notOwn(t *table, key model.Key) error {
	if tx.writes == 0 {
		return nil
	}
	if e := tx.entries.find(t, key); e != nil && e.kind != writeNone {
		return tx.overlapError(e)
	}
	return nil
}

func (tx *Tx) overlapError(e *entry) error {
	return tx.misuse("scan", "it would have to return %s, which this transaction has written; scan before writing, or read it by its key", e)
}

// couldBelong tells whether the written record may be in the scan.
func (e *entry) couldBelong(s Scan) bool {
	switch s.Kind {
	case storage.ScanPartition:
		for i, v := range s.Partition {
			if e.key.Partition[i] != v {
				return false
			}
		}
		if !within(e.key.Clustering, s.Start, s.End) {
			return false
		}
	case storage.ScanIndex:
		if v := e.becomes(s.IndexColumn); v.IsSet() && v != s.IndexValue {
			return false
		}
	}
	if len(s.Where) == 0 {
		return s.Kind != storage.ScanIndex || e.becomes(s.IndexColumn).IsSet()
	}
	for _, and := range s.Where {
		// What the put leaves as it is and nobody has read may hold. Where it
		// gives nothing that is asked for, the database finds the record, or
		// not (notOwn).
		given := s.Kind != storage.ScanIndex && len(and) == 0
		could := true
		for _, c := range and {
			v := e.becomes(c.Column)
			given = given || v.IsSet()
			could = could && (!v.IsSet() || c.Holds(v))
		}
		if could && (given || s.Kind == storage.ScanIndex && e.becomes(s.IndexColumn).IsSet()) {
			return true
		}
	}
	return false
}

// becomes returns the value that a column has after the put, as far as that is
// known: what is not given keeps its value, or is NULL in a new record.
func (e *entry) becomes(column string) model.Value {
	v := e.given(column)
	switch {
	case v.IsSet():
	case e.insert || e.known && e.base == nil:
		return model.Null(e.table.User.Columns()[e.table.User.Position(column)].Type)
	case e.known:
		return e.base.Get(column)
	}
	return v
}

// given returns the value that the put itself gives to a column: that of the
// key, or one that was set. Not set otherwise.
func (e *entry) given(column string) model.Value {
	at := e.table.User.Position(column)
	if at < e.key.Len() {
		return e.key.At(at)
	}
	return e.set[at]
}

// within tells whether a clustering key lies between two bounds. A bound of
// fewer columns than the key covers every key that begins with it.
func within(key []model.Value, start, end storage.Bound) bool {
	if n := len(start.Values); n > 0 {
		if c := compareValues(key[:n], start.Values); c < 0 || c == 0 && start.Exclusive {
			return false
		}
	}
	if n := len(end.Values); n > 0 {
		if c := compareValues(key[:n], end.Values); c > 0 || c == 0 && end.Exclusive {
			return false
		}
	}
	return true
}

func compareValues(a, b []model.Value) int {
	for i := range a {
		if c := a[i].Compare(b[i]); c != 0 {
			return c
		}
	}
	return 0
}
