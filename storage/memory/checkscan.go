package memory

import (
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// checkScan refuses a scan that its table cannot answer.
func checkScan(scan storage.Scan) error {
	t := scan.Table
	if t == nil {
		return model.Errorf(model.ErrBadArgument, "a scan without a table")
	}
	if scan.Limit < 0 {
		return model.Errorf(model.ErrBadArgument, "a scan of %s with the limit %d", t.Name(), scan.Limit)
	}
	if err := scan.Where.Check(t); err != nil {
		return err
	}
	if scan.OrIndex != "" && scan.Kind != storage.ScanIndex {
		return model.Errorf(model.ErrBadArgument, "a second index for a scan of %s that is not of an index", t.Name())
	}
	switch scan.Kind {
	case storage.ScanPartition:
		return checkPartitionScan(scan)
	case storage.ScanIndex:
		if err := checkIndexed(scan, scan.IndexColumn); err != nil {
			return err
		}
		if scan.OrIndex != "" {
			if err := checkIndexed(scan, scan.OrIndex); err != nil {
				return err
			}
		}
	case storage.ScanTable:
		for _, o := range scan.OrderBy {
			if _, err := t.Column(o.Column); err != nil {
				return err
			}
		}
		return nil
	}
	if len(scan.OrderBy) > 0 {
		return model.Errorf(model.ErrBadArgument, "an order for a scan of %s that is not of the whole table", t.Name())
	}
	return nil
}

func checkIndexed(scan storage.Scan, column string) error {
	t := scan.Table
	i, err := t.Column(column)
	if err != nil {
		return err
	}
	if !t.Indexed(i) {
		return model.Errorf(model.ErrBadArgument, "column %s of %s has no index", column, t.Name())
	}
	if scan.IndexValue.Type() != t.Columns()[i].Type || scan.IndexValue.IsNull() {
		return model.Errorf(model.ErrBadArgument, "an index scan of %s by the value %s", t.Name(), scan.IndexValue)
	}
	return nil
}

func checkPartitionScan(scan storage.Scan) error {
	t := scan.Table
	if len(scan.Partition) != t.PartitionLen() {
		return model.Errorf(model.ErrBadArgument, "a scan of a partition of %s needs %d key values, not %d", t.Name(), t.PartitionLen(), len(scan.Partition))
	}
	for i, v := range scan.Partition {
		if err := model.CheckKeyValue(t, i, v); err != nil {
			return err
		}
	}
	for _, b := range []storage.Bound{scan.Start, scan.End} {
		if len(b.Values) > t.ClusteringLen() {
			return model.Errorf(model.ErrBadArgument, "a bound of %d values over the %d clustering columns of %s", len(b.Values), t.ClusteringLen(), t.Name())
		}
		for i, v := range b.Values {
			if err := model.CheckKeyValue(t, t.PartitionLen()+i, v); err != nil {
				return err
			}
		}
	}
	if len(scan.OrderBy) > 0 {
		return model.Errorf(model.ErrBadArgument, "an order for a scan of %s that is not of the whole table", t.Name())
	}
	return nil
}
