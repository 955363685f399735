package txn

import (
	"context"
	"slices"

	"github.com/stillpoint-db/stillpoint/internal/mutant"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

// A scan in the order of columns is put in order by the database, which goes by
// what is stored. A write under way that changes such a column moves its record
// before it is decided. Where the record is met out of its place the scan is
// refused (inPlace); where it has been moved behind the rows that were read it is
// not met, and has to be looked for.

// inPlace refuses a row that the storage has put where the version in use does
// not belong.
func (c *cursor) inPlace(f *fetched) error {
	if column := c.moved(f.placed, f.row); column != "" {
		return c.moving(column, f)
	}
	return nil
}

// moved returns a column of the order in which two versions of a record differ, or
// "".
func (c *cursor) moved(a, b *model.Row) string {
	for _, o := range c.scan.OrderBy {
		if a.Get(o.Column) != b.Get(o.Column) {
			return o.Column
		}
	}
	return ""
}

func (c *cursor) moving(column string, f *fetched) error {
	if tx := c.tx; tx.iso == ReadCommitted && tx.readOnly && f.doubt != nil && !tx.leased(f.doubt, f.table) {
		tx.m.settleSilent(f.table, f.key, f.doubt) // or it would be in the way for ever
	}
	return c.tx.conflict("scan", "column "+column+" of "+f.String()+" is being written, and the scan is ordered by it", nil)
}

// escaped refuses the scan if a record that belongs among the rows read so far, of
// which last is the last one, is not there because a write under way has moved it.
func (c *cursor) escaped(ctx context.Context, last *model.Row) error {
	keyed := func(o storage.OrderBy) bool { return c.table.beforeColumn(o.Column) == o.Column }
	if last == nil || !slices.ContainsFunc(c.scan.OrderBy, func(o storage.OrderBy) bool { return !keyed(o) }) || mutant.On("txn.trust-order") {
		return nil // nothing moves in the order of a key
	}
	s := storage.Scan{Table: c.table.Physical, Kind: storage.ScanTable, Where: c.movedFromBefore(last), Limit: c.tx.m.opts.PageSize}
	for {
		page, err := c.tx.m.store.Scan(ctx, s)
		if err != nil {
			return err
		}
		var fs []fetched
		for _, r := range page.Rows {
			if c.couldEscape(r) {
				fs = append(fs, fetched{table: c.table, key: r.Key(), row: r, placed: r})
			}
		}
		if err := c.means(ctx, fs); err != nil {
			return err
		}
		for i := range fs {
			f := &fs[i]
			if f.row == nil || !c.belongs(f.row) {
				continue
			}
			if err := c.inPlace(f); err != nil {
				return err
			}
		}
		if page.Next == "" {
			return nil
		}
		s.Token = page.Next
	}
}

// couldEscape tells whether a stored row is a write under way of another
// transaction that moves a record which the scan has not returned.
func (c *cursor) couldEscape(r *model.Row) bool {
	if c.table.IsCommitted(r) || c.table.WriterID(r) == c.tx.id || c.first[r.Key().Encode()] {
		return false
	}
	before := c.table.Before(r)
	return before != nil && c.moved(before, r) != ""
}

// reach is what validation must know of a scan in an order that was not read to its
// end.
type reach struct {
	last          model.Value // of the first column of the order, in the last record that was returned
	before        fingerprint // of the records returned that differ from it there
	nulls, values bool        // what that column was in those returned
}

// pass notes the next record that is returned, by its first column of the order;
// sum is that of those before it.
func (r *reach) pass(v model.Value, sum fingerprint) {
	if sum.rows == 0 || v != r.last {
		r.before = sum
	}
	r.last = v
	r.nulls = r.nulls || v.IsNull()
	r.values = r.values || !v.IsNull()
}

// validateBefore looks that no record comes before the last one that an ordered
// scan returned but those that it returned. It asks for them by condition and not in
// an order, so that a write under way hides none: the column or its before column
// has the value, and one or the other is found at one moment. Records that are equal
// to the last one in the first column are left to the order.
func (tx *Tx) validateBefore(ctx context.Context, rec *scanned, hidden map[uint64]bool) error {
	r, want := rec.reach, rec.reach.before
	for _, h := range rec.returned[:min(r.before.rows, len(rec.returned))] {
		if hidden[h] {
			want.without(h)
		}
	}
	scan := rec.scan
	if r.last.Type() == model.Text {
		return nil // the database goes by a collation, and belongs by bytes
	}
	if scan.Where = r.ahead(scan); scan.Where == nil {
		return nil
	}
	scan.OrderBy, scan.Limit = nil, 0
	c := &cursor{tx: tx, table: rec.table, scan: scan, again: true, resolve: tx.resolveStrictly}
	var sum fingerprint
	for !c.over {
		page, err := c.next(ctx)
		if err != nil {
			return err
		}
		for _, f := range page {
			if h := recordHash(rec.table, f.row); !hidden[h] {
				sum.add(h)
			}
		}
	}
	if sum != want {
		return tx.scanChanged(rec)
	}
	return nil
}

// ahead is the scan's predicate for records whose first column of the order comes
// before that of the last one returned; nil if there is nothing to ask. On which
// side NULLs come is known from what was returned.
func (r *reach) ahead(scan Scan) model.Predicate {
	by := scan.OrderBy[0]
	conditions := []model.Condition{{Column: by.Column, Op: model.Lt, Value: r.last}}
	if by.Order == model.Desc {
		conditions[0].Op = model.Gt
	}
	switch {
	case !r.nulls && !r.values, r.last.IsNull() && !r.values:
		return nil
	case r.last.IsNull():
		conditions[0] = model.Condition{Column: by.Column, Op: model.IsNotNull}
	case r.nulls:
		conditions = append(conditions, model.Condition{Column: by.Column, Op: model.IsNull})
	}
	where := scan.Where
	if len(where) == 0 {
		where = model.Predicate{nil}
	}
	var out model.Predicate
	for _, and := range where {
		for _, c := range conditions {
			out = append(out, append(slices.Clone(and), c))
		}
	}
	return out
}

// movedFromBefore makes the predicate of writes under way to records that belong to
// the scan and whose version before does not come behind the last row. It goes by
// the first column of the order, so that the index of its before column serves; a
// record that was NULL there is not looked for.
func (c *cursor) movedFromBefore(last *model.Row) model.Predicate {
	by := c.scan.OrderBy[0]
	bound := model.Condition{Column: c.table.beforeColumn(by.Column), Op: model.Le, Value: last.Get(by.Column)}
	switch {
	case bound.Value.IsNull():
		bound = model.Condition{Column: bound.Column, Op: model.IsNotNull}
	case by.Order == model.Desc:
		bound.Op = model.Ge
	}
	where := c.scan.Where
	if len(where) == 0 {
		where = model.Predicate{nil}
	}
	out := make(model.Predicate, len(where))
	for i, and := range where {
		out[i] = append(c.table.beforeConditions(and), isValue(record.TxState, model.IntValue(int32(record.Prepared))), bound)
	}
	return out
}

// beforeColumn names the stored column that holds a user's column as it was before
// a write under way.
func (t *table) beforeColumn(column string) string {
	if twin := t.Twin[t.User.Position(column)]; twin >= 0 {
		return t.Physical.Columns()[twin].Name
	}
	return column // of the key, which does not change
}

// beforeConditions asks of the version before what conditions ask of a record.
func (t *table) beforeConditions(and []model.Condition) []model.Condition {
	out := slices.Clone(and)
	for i := range out {
		out[i].Column = t.beforeColumn(out[i].Column)
	}
	return out
}
