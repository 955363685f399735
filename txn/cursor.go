package txn

import (
	"context"
	"slices"

	"github.com/stillpoint-db/stillpoint/internal/mutant"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

// cursor reads a scan's records page by page: asks the storage for all that
// could belong, works out what each means, and keeps what does belong.
type cursor struct {
	tx    *Tx
	table *table
	scan  Scan

	token string
	pages int
	over  bool

	// resolve turns stored rows into committed ones; that of the transaction
	// if nil.
	resolve func(context.Context, []fetched) error
	// again is set when the scan is made a second time, to validate the first.
	again bool
	first map[string]bool // keys of the first page of an index scan, or of an ordered one
	last  *model.Row      // the last one stored so far
}

// next returns the records of the next page that belong to the scan; there may
// be none. It sets over behind the last page.
func (c *cursor) next(ctx context.Context) ([]fetched, error) {
	start := c.tx.clock(c.tx.m.opts.Hooks.Read)
	if mutant.On("txn.before-index-first") && c.scan.Kind == storage.ScanIndex {
		if _, err := c.missed(ctx); err != nil {
			return nil, err
		}
	}
	page, err := c.tx.m.store.Scan(ctx, c.request())
	var fs []fetched
	if err == nil {
		fs, err = c.understand(ctx, page.Rows)
	}
	if !c.again {
		c.tx.hook(c.tx.m.opts.Hooks.Read, start, len(fs), err)
	}
	if err != nil {
		return nil, err
	}
	c.token, c.over = page.Next, page.Next == ""
	c.pages++
	if n := len(page.Rows); n > 0 {
		c.last = page.Rows[n-1]
	}
	if c.pages == 1 && !c.again && (c.scan.Kind == storage.ScanIndex || len(c.scan.OrderBy) > 0) {
		c.note(fs)
		if !c.over {
			if err := c.escaped(ctx, c.last); err != nil {
				return nil, err
			}
		}
	}
	if c.scan.Kind == storage.ScanIndex && c.over && c.orIndex() == "" && !mutant.On("txn.before-index-first") {
		more, err := c.missed(ctx)
		if err != nil {
			return nil, err
		}
		fs = append(fs, more...)
	}
	return fs, nil
}

// request makes the storage's scan. It must find records whose committed version
// belongs to the scan though a write under way hides it, so conditions are asked
// of the before columns too.
func (c *cursor) request() storage.Scan {
	s := storage.Scan{Table: c.table.Physical, Kind: c.scan.Kind, Partition: c.scan.Partition, Start: c.scan.Start, End: c.scan.End,
		Reverse: c.scan.Reverse, IndexColumn: c.scan.IndexColumn, IndexValue: c.scan.IndexValue, OrIndex: c.orIndex(), OrderBy: c.scan.OrderBy,
		Where: c.table.widen(c.scan.Where), Limit: c.tx.m.opts.PageSize, Token: c.token}
	if c.scan.Limit > 0 && c.scan.Limit < s.Limit {
		s.Limit = c.scan.Limit // more pages follow if some of these rows do not count
	}
	return s
}

// orIndex names the before column of an index scan's column, if the storage reads
// both indexes at one moment: whatever is being written or taken back meanwhile, a
// record is found by the one or by the other.
func (c *cursor) orIndex() string {
	if c.scan.Kind != storage.ScanIndex || !c.table.caps.AtomicScan || mutant.On("txn.no-before-index") || mutant.On("txn.before-index-first") {
		return ""
	}
	twin := c.table.Twin[c.table.User.Position(c.scan.IndexColumn)]
	if twin < 0 || !c.table.Physical.Indexed(twin) {
		return ""
	}
	return c.table.Physical.Columns()[twin].Name
}

// widen makes a predicate that also holds if it held before a write under way.
func (t *table) widen(p model.Predicate) model.Predicate {
	if len(p) == 0 || mutant.On("txn.after-image-only") {
		return p
	}
	out := slices.Clone(p)
	for _, and := range p {
		if before := t.beforeConditions(and); !slices.Equal(before, and) {
			out = append(out, before)
		}
	}
	return out
}

// understand resolves the rows of a page and drops those that do not belong.
func (c *cursor) understand(ctx context.Context, rows []*model.Row) ([]fetched, error) {
	fs := make([]fetched, len(rows))
	for i, r := range rows {
		fs[i] = fetched{table: c.table, key: r.Key(), row: r, placed: r}
	}
	if err := c.means(ctx, fs); err != nil {
		return nil, err
	}
	kept := fs[:0]
	for i := range fs {
		f := &fs[i]
		if f.row == nil || !c.belongs(f.row) {
			continue
		}
		if !c.again {
			if err := c.inPlace(f); err != nil {
				return nil, err
			}
			if err := c.tx.notOwn(c.table, f.key); err != nil {
				return nil, err
			}
			if err := c.enter(f); err != nil {
				return nil, err
			}
		}
		kept = append(kept, *f)
	}
	return kept, nil
}

// means resolves stored rows.
func (c *cursor) means(ctx context.Context, fs []fetched) error {
	if c.resolve != nil {
		return c.resolve(ctx, fs)
	}
	return c.tx.resolve(ctx, fs)
}

// belongs tells whether a committed row is in the scan.
func (c *cursor) belongs(stored *model.Row) bool {
	if c.scan.Kind == storage.ScanIndex && stored.Get(c.scan.IndexColumn) != c.scan.IndexValue {
		return false
	}
	return c.scan.Where.Holds(stored)
}

// enter adds a row to what the transaction has read.
func (c *cursor) enter(f *fetched) error {
	tx := c.tx
	tx.awaitLater(f.wait)
	if tx.readOnly {
		return nil
	}
	e := tx.entries.find(c.table, f.key)
	if e == nil && len(tx.entries.list) >= tx.m.keep {
		if !tx.passed.pass(f) && tx.iso == Serializable {
			return tx.conflict("scan", "another transaction has changed "+f.String(), nil)
		}
		return nil
	}
	if e == nil {
		e = tx.entries.add(c.table, f.key)
	}
	e.later = f.row
	if e.known {
		if tx.iso == Serializable && !sameVersion(c.table, e.base, f.row) {
			return tx.conflict("scan", "another transaction has changed "+e.String(), nil)
		}
		return nil
	}
	e.known, e.base, e.clean, e.wait = true, f.row, f.clean, f.wait
	e.doubted(tx, f)
	return nil
}

// note remembers the keys of the first page.
func (c *cursor) note(fs []fetched) {
	c.first = make(map[string]bool, len(fs))
	for _, f := range fs {
		c.first[f.key.Encode()] = true
	}
}

// missed returns the records that an index scan could not see because a write
// under way has changed the indexed column, and which keep the old value. It
// looks for them by the index of the before column, after the scan itself: in
// the other order a write that begins in between would be missed for certain.
func (c *cursor) missed(ctx context.Context) ([]fetched, error) {
	at := c.table.User.Position(c.scan.IndexColumn)
	twin := c.table.Twin[at]
	if twin < 0 || mutant.On("txn.no-before-index") {
		return nil, nil
	}
	if !c.table.Physical.Indexed(twin) {
		if c.tx.iso != Serializable {
			return nil, nil
		}
		return nil, &model.Error{Class: model.ErrRefused, Op: "scan", Subject: c.table.User.Name().String(),
			Detail: "under SERIALIZABLE the index of column " + c.scan.IndexColumn + " needs one on its before column, which this table does not have",
			Hint:   "Add an index on " + c.table.Physical.Columns()[twin].Name + ", scan the table with a condition instead, or use SNAPSHOT"}
	}
	s := storage.Scan{Table: c.table.Physical, Kind: storage.ScanIndex, IndexColumn: c.table.Physical.Columns()[twin].Name, IndexValue: c.scan.IndexValue,
		// Leftovers of old versions in committed records mean nothing.
		Where: model.Predicate{
			{{Column: record.TxState, Op: model.Eq, Value: model.IntValue(int32(record.Prepared))}},
			{{Column: record.TxState, Op: model.Eq, Value: model.IntValue(int32(record.Deleted))}},
		}, Limit: c.tx.m.opts.PageSize}
	var out []fetched
	for {
		page, err := c.tx.m.store.Scan(ctx, s)
		if err != nil {
			return nil, err
		}
		var hidden []*model.Row
		for _, r := range page.Rows {
			if !c.table.IsCommitted(r) && r.Get(c.scan.IndexColumn) != c.scan.IndexValue && !c.seen(r) {
				hidden = append(hidden, r)
			}
		}
		fs, err := c.understand(ctx, hidden)
		if err != nil {
			return nil, err
		}
		if out = append(out, fs...); len(out) > 0 && c.pages > 1 && c.tx.readOnly && !c.again {
			return nil, c.tx.conflict("scan", "records were being written while the index was read", nil)
		}
		if page.Next == "" {
			return out, nil
		}
		s.Token = page.Next
	}
}

// seen tells whether the scan has returned the record already, before the write
// that is under way now.
func (c *cursor) seen(stored *model.Row) bool {
	key := stored.Key()
	switch {
	case c.again:
		return false // only own records can be hidden then: they were prepared before
	case c.pages == 1:
		return c.first[key.Encode()]
	}
	if c.tx.passed.has(c.table, key, c.table.Before(stored)) {
		return true
	}
	e := c.tx.entries.find(c.table, key)
	return e != nil && e.known && e.base != nil && e.base.Get(c.scan.IndexColumn) == c.scan.IndexValue
}
