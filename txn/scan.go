package txn

import (
	"context"
	"fmt"
	"iter"
	"reflect"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// Scan says which records to read. The fields mean what those of storage.Scan
// do; columns are the user's.
type Scan struct {
	Table model.TableName
	Kind  storage.ScanKind

	Partition  []model.Value
	Start, End storage.Bound
	Reverse    bool

	IndexColumn string
	IndexValue  model.Value

	OrderBy []storage.OrderBy
	Where   model.Predicate
	// Limit is the most rows to return; 0 = all.
	Limit int
}

// Scan reads records, page by page, as the loop over its result asks for them.
// An error ends the sequence as its last element. Rows are read at the moments
// when their pages are; together they are one picture only under Serializable,
// where Commit fails if they were not.
//
// A read-only transaction forgets the rows as they pass. Another one remembers
// some thousands, and of those beyond that 16 bytes each, because a later write
// to a row is guarded by the version that was read. Under Snapshot and
// Serializable the same scan again returns the same rows if they are remembered,
// or were few enough for one page.
//
// A record that the transaction has written itself and that belongs to the scan
// makes it model.ErrBadArgument: scan before writing. Commit is refused while a
// scan is under way.
func (tx *Tx) Scan(ctx context.Context, s Scan) iter.Seq2[*model.Row, error] {
	return func(yield func(*model.Row, error) bool) {
		if err := tx.usable("scan"); err != nil {
			yield(nil, err)
			return
		}
		tx.open++
		defer func() { tx.open-- }()
		if err := tx.scan(ctx, s, func(row *model.Row) bool { return yield(row, nil) }); err != nil {
			yield(nil, tx.readFailed("scan", err))
		}
	}
}

// scanned is a scan that was made, for validation and repetition.
type scanned struct {
	scan  Scan
	table *table
	rows  []*model.Row // of the user; nil if not kept
	kept  bool
	sum   fingerprint
	pages int  // that one reading took at most
	whole bool // it was read to its end
	// returned are the hashes of the first records that a scan by an index or in
	// an order returned; see fingerprint.
	returned []uint64
	reach    reach // of a scan in an order
}

// add notes that a record was returned.
func (rec *scanned) add(tx *Tx, stored *model.Row) {
	h := recordHash(rec.table, stored)
	inOrder := len(rec.scan.OrderBy) > 0
	if inOrder {
		rec.reach.pass(stored.Get(rec.scan.OrderBy[0].Column), rec.sum)
	}
	rec.sum.add(h)
	if tx.iso == Serializable && !tx.readOnly && (inOrder || rec.scan.Kind == storage.ScanIndex) && len(rec.returned) < tx.m.keep {
		rec.returned = append(rec.returned, h)
	}
}

func (tx *Tx) scan(ctx context.Context, s Scan, yield func(*model.Row) bool) error {
	t, err := tx.table(ctx, s.Table)
	if err != nil {
		return err
	}
	if err := s.check(t); err != nil {
		return err
	}
	if err := tx.overlaps(t, s); err != nil {
		return err
	}
	if rec := tx.repeated(s); rec != nil {
		for _, row := range rec.rows {
			if err := tx.notOwn(t, row.Key()); err != nil {
				return err
			}
			if !yield(row) {
				return nil
			}
		}
		return nil
	}
	rec := &scanned{scan: s, table: t, kept: tx.iso != ReadCommitted}
	if tx.iso == Serializable {
		tx.scans = append(tx.scans, rec) // validated even if it is left early
	}
	cur := &cursor{tx: tx, table: t, scan: s}
	for {
		page, err := cur.next(ctx)
		if err != nil {
			return err
		}
		rec.pages = cur.pages
		for _, f := range page {
			row := tx.rowOf(t, f.row)
			rec.add(tx, f.row)
			if rec.kept {
				rec.rows = append(rec.rows, row)
			}
			if !yield(row) {
				return nil
			}
			if s.Limit > 0 && rec.sum.rows == s.Limit {
				tx.scanDone(rec, cur)
				return nil
			}
		}
		if cur.over {
			rec.whole = true
			tx.scanDone(rec, cur)
			return nil
		}
		if tx.readOnly || len(rec.rows) > tx.m.keep {
			rec.kept, rec.rows = false, nil
		}
	}
}

// scanDone keeps a scan that was read to its end for repetition.
func (tx *Tx) scanDone(rec *scanned, cur *cursor) {
	if rec.kept && tx.iso == Snapshot && (!tx.readOnly || cur.pages == 1) {
		tx.scans = append(tx.scans, rec)
	}
}

// repeated finds the same scan made before.
func (tx *Tx) repeated(s Scan) *scanned {
	for _, rec := range tx.scans {
		finished := rec.whole || s.Limit > 0 && rec.sum.rows == s.Limit
		if rec.kept && finished && reflect.DeepEqual(rec.scan, s) {
			return rec
		}
	}
	return nil
}

// check tells whether table t can answer the scan.
func (s *Scan) check(t *table) error {
	u := t.User
	bad := func(format string, args ...any) error {
		return model.Errorf(model.ErrBadArgument, "scan of %s: %s", u.Name(), fmt.Sprintf(format, args...))
	}
	if s.Limit < 0 {
		return bad("a limit of %d", s.Limit)
	}
	if s.Kind != storage.ScanPartition && (len(s.Partition) > 0 || len(s.Start.Values) > 0 || len(s.End.Values) > 0 || s.Reverse) {
		return bad("only the scan of a partition has a partition key, bounds and a direction")
	}
	if s.Kind != storage.ScanTable && len(s.OrderBy) > 0 {
		return bad("only the scan of a whole table can be ordered by columns")
	}
	switch s.Kind {
	case storage.ScanPartition:
		if len(s.Partition) != u.PartitionLen() {
			return bad("the partition key has %d values, not %d", u.PartitionLen(), len(s.Partition))
		}
		for i, v := range s.Partition {
			if err := model.CheckKeyValue(u, i, v); err != nil {
				return err
			}
		}
		for _, b := range []storage.Bound{s.Start, s.End} {
			if len(b.Values) > u.ClusteringLen() {
				return bad("a bound has %d values; the clustering key has %d columns", len(b.Values), u.ClusteringLen())
			}
			for i, v := range b.Values {
				if err := model.CheckKeyValue(u, u.PartitionLen()+i, v); err != nil {
					return err
				}
			}
		}
	case storage.ScanIndex:
		at, err := u.Column(s.IndexColumn)
		if err != nil {
			return err
		}
		c := u.Columns()[at]
		if !u.Indexed(at) {
			return bad("column %s has no index", c.Name)
		}
		if s.IndexValue.Type() != c.Type || s.IndexValue.IsNull() {
			return bad("the index of %s is asked for a value of type %s, not NULL", c.Name, c.Type)
		}
		if err := s.IndexValue.Check(); err != nil {
			return err
		}
	case storage.ScanTable:
	default:
		return bad("kind %d is none", s.Kind)
	}
	for _, o := range s.OrderBy {
		if _, err := u.Column(o.Column); err != nil {
			return err
		}
	}
	return s.Where.Check(u)
}
