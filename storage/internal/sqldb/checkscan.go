package sqldb

import (
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// CheckScan refuses a scan that cannot be right: model.ErrBadArgument. The
// rules for bounds are ScalarDB's: if both are given, they differ in the last
// column only.
func (d *Dialect) CheckScan(s *storage.Scan) error {
	if s.Table == nil {
		return model.Errorf(model.ErrBadArgument, "a scan names no table")
	}
	t := s.Table
	bad := func(format string, args ...any) error {
		return model.Errorf(model.ErrBadArgument, "scan of "+t.Name().String()+": "+format, args...)
	}
	if s.Limit < 0 {
		return bad("the limit %d is negative", s.Limit)
	}
	if s.Kind != storage.ScanPartition && (len(s.Partition) > 0 || len(s.Start.Values) > 0 || len(s.End.Values) > 0 || s.Reverse) {
		return bad("a partition key, bounds and reversal are for scans of a partition")
	}
	if s.Kind != storage.ScanTable && len(s.OrderBy) > 0 {
		return bad("an order is for scans of the whole table")
	}
	if s.Kind != storage.ScanIndex && s.OrIndex != "" {
		return bad("a second index is for scans of an index")
	}
	var err error
	switch s.Kind {
	case storage.ScanPartition:
		err = d.checkPartitionScan(s, bad)
	case storage.ScanIndex:
		err = d.checkIndexScan(s, bad)
	case storage.ScanTable:
		for _, o := range s.OrderBy {
			if _, err := t.Column(o.Column); err != nil {
				return err
			}
		}
	default:
		err = bad("it is of no known kind")
	}
	if err != nil {
		return err
	}
	for _, and := range s.Where {
		for i := range and {
			if err := d.checkCondition(t, &and[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *Dialect) checkPartitionScan(s *storage.Scan, bad func(string, ...any) error) error {
	t := s.Table
	if len(s.Partition) != t.PartitionLen() {
		return bad("it needs %d partition key values, not %d", t.PartitionLen(), len(s.Partition))
	}
	check := func(i int, v model.Value) error {
		if err := model.CheckKeyValue(t, i, v); err != nil {
			return err
		}
		return d.checkValue(t, i, v)
	}
	for i, v := range s.Partition {
		if err := check(i, v); err != nil {
			return err
		}
	}
	for _, b := range []storage.Bound{s.Start, s.End} {
		if len(b.Values) > t.ClusteringLen() {
			return bad("a bound has %d values; the clustering key has %d columns", len(b.Values), t.ClusteringLen())
		}
		for i, v := range b.Values {
			if err := check(t.PartitionLen()+i, v); err != nil {
				return err
			}
		}
	}
	start, end := s.Start.Values, s.End.Values
	if len(start) > 0 && len(end) > 0 {
		if len(start) != len(end) {
			return bad("its bounds have %d and %d values", len(start), len(end))
		}
		for i := range len(start) - 1 {
			if start[i] != end[i] {
				return bad("its bounds differ before their last column")
			}
		}
	}
	return nil
}

func (d *Dialect) checkIndexScan(s *storage.Scan, bad func(string, ...any) error) error {
	if err := d.checkIndexed(s, s.IndexColumn, bad); err != nil || s.OrIndex == "" {
		return err
	}
	return d.checkIndexed(s, s.OrIndex, bad)
}

func (d *Dialect) checkIndexed(s *storage.Scan, column string, bad func(string, ...any) error) error {
	pos, err := s.Table.Column(column)
	if err != nil {
		return err
	}
	v := s.IndexValue
	switch {
	case !s.Table.Indexed(pos):
		return bad("column %s has no index", column)
	case v.Type() != s.Table.Columns()[pos].Type:
		return bad("index column %s is %s, not %s", column, s.Table.Columns()[pos].Type, v.Type())
	case v.IsNull():
		return bad("an index cannot be asked for NULL")
	}
	if err := v.Check(); err != nil {
		return err
	}
	return d.checkValue(s.Table, pos, v)
}
