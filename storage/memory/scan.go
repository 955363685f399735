package memory

import (
	"context"
	"slices"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// Scan implements storage.Storage. The token of a page is the place of its last
// row in the order of the scan.
func (s *Storage) Scan(ctx context.Context, scan storage.Scan) (storage.Page, error) {
	if err := checkScan(scan); err != nil {
		return storage.Page{}, err
	}
	after, err := parseToken(scan)
	if err != nil {
		return storage.Page{}, err
	}
	leave, err := s.enter(ctx)
	if err != nil {
		return storage.Page{}, err
	}
	defer leave()
	s.roundTrips.Add(1)
	rows, err := s.db.candidates(scan, !s.opts.NoAtomicScan)
	if err != nil {
		return storage.Page{}, err
	}
	compare := order(scan)
	slices.SortFunc(rows, compare)
	if after != nil {
		i, _ := slices.BinarySearchFunc(rows, after, func(r, a *model.Row) int {
			if compare(r, a) <= 0 {
				return -1
			}
			return 1
		})
		rows = rows[i:]
	}
	limit := s.opts.PageSize
	if scan.Limit > 0 {
		limit = scan.Limit
	}
	return s.page(scan, rows, limit)
}

// page makes the answer of the first rows that are still there and match.
func (s *Storage) page(scan storage.Scan, rows []*model.Row, limit int) (storage.Page, error) {
	var page storage.Page
	for i, r := range rows {
		at := r                  // its place as of the sorting
		if s.opts.NoAtomicScan { // read again, at a later moment
			now, err := s.db.get(storage.Get{Table: scan.Table, Key: r.Key()})
			if err != nil {
				return storage.Page{}, err
			}
			if now == nil || !inScan(scan, now) {
				continue
			}
			r = now
		}
		out, err := project(r, scan.Table)
		if err != nil {
			return storage.Page{}, err
		}
		page.Rows = append(page.Rows, out)
		if len(page.Rows) == limit && i+1 < len(rows) {
			page.Next = token(scan, at)
			break
		}
	}
	return page, nil
}

// candidates returns the rows of a scan as of one moment; without
// filter, all in range, to be looked at again.
func (db *Database) candidates(scan storage.Scan, filter bool) ([]*model.Row, error) {
	db.mu.RLock()
	defer db.mu.RUnlock()
	t, err := db.find(scan.Table.Name())
	if err != nil {
		return nil, err
	}
	if err := matches(t.def, scan.Table); err != nil {
		return nil, err
	}
	var rows []*model.Row
	for _, r := range t.rows {
		if inRange(scan, r) && (!filter || inScan(scan, r)) {
			rows = append(rows, r)
		}
	}
	return rows, nil
}

// inRange tells whether the key of a row is one that the scan runs over.
func inRange(scan storage.Scan, r *model.Row) bool {
	if scan.Kind != storage.ScanPartition {
		return true
	}
	k := r.Key()
	for i, v := range scan.Partition {
		if k.Partition[i].Compare(v) != 0 {
			return false
		}
	}
	return aboveStart(k.Clustering, scan.Start) && belowEnd(k.Clustering, scan.End)
}

// inScan tells whether the values of a row in range belong to the scan.
func inScan(scan storage.Scan, r *model.Row) bool {
	if scan.Kind == storage.ScanIndex {
		has := func(column string) bool {
			v := r.Get(column)
			return !v.IsNull() && v.Compare(scan.IndexValue) == 0
		}
		if !has(scan.IndexColumn) && (scan.OrIndex == "" || !has(scan.OrIndex)) {
			return false
		}
	}
	return scan.Where.Holds(r)
}

// comparePrefix compares a clustering key with a prefix of one.
func comparePrefix(key, prefix []model.Value) int {
	for i, v := range prefix {
		if c := key[i].Compare(v); c != 0 {
			return c
		}
	}
	return 0
}

// A bound of several values fixes all but its last one, as ScalarDB's does; the
// last is the one that ranges.
func aboveStart(key []model.Value, b storage.Bound) bool {
	n := len(b.Values)
	if n == 0 {
		return true
	}
	if comparePrefix(key, b.Values[:n-1]) != 0 {
		return false
	}
	c := key[n-1].Compare(b.Values[n-1])
	return c > 0 || c == 0 && !b.Exclusive
}

func belowEnd(key []model.Value, b storage.Bound) bool {
	n := len(b.Values)
	if n == 0 {
		return true
	}
	if comparePrefix(key, b.Values[:n-1]) != 0 {
		return false
	}
	c := key[n-1].Compare(b.Values[n-1])
	return c < 0 || c == 0 && !b.Exclusive
}

// order returns the order of a scan: total, so that a token is a place in it.
func order(scan storage.Scan) func(a, b *model.Row) int {
	return func(a, b *model.Row) int {
		for _, o := range scan.OrderBy {
			if c := a.Get(o.Column).Compare(b.Get(o.Column)); c != 0 {
				return directed(c, o.Order)
			}
		}
		ka, kb := a.Key(), b.Key()
		for i := range ka.Len() {
			c := ka.At(i).Compare(kb.At(i))
			if c == 0 {
				continue
			}
			if scan.Kind != storage.ScanPartition {
				return c
			}
			o := scan.Table.ClusteringOrder(i - scan.Table.PartitionLen())
			if scan.Reverse {
				o = o.Reverse()
			}
			return directed(c, o)
		}
		return 0
	}
}

func directed(c int, o model.Order) int {
	if o == model.Desc {
		return -c
	}
	return c
}
