package stillpoint

import (
	"iter"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// Scan iterates over rows, holding one page of them in memory. Iteration ends
// at the first error, which is yielded with a zero T.
func (t *Table[T]) Scan(s Session, opts ...ScanOption) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		b, err := t.bind(s)
		if err != nil {
			yield(zero, err)
			return
		}
		req, err := scanOf(b.meta, opts)
		if err != nil {
			yield(zero, err)
			return
		}
		if err := s.allows(&req.scan); err != nil {
			yield(zero, err)
			return
		}
		for row, err := range s.scanRows(s.Context(), req) {
			var x T
			if err == nil {
				err = b.codec.decode(row, &x)
			}
			if err != nil {
				yield(zero, err)
				return
			}
			if !yield(x, nil) {
				return
			}
		}
	}
}

func scanOf(t *model.Table, opts []ScanOption) (scanRequest, error) {
	var o scanOptions
	for _, opt := range opts {
		if opt == nil {
			return scanRequest{}, model.Errorf(ErrBadArgument, "a scan of %s is given an option that is nil", t.Name())
		}
		opt(&o)
	}
	req := scanRequest{scan: storage.Scan{Table: t, Kind: storage.ScanTable, Reverse: o.reverse}, limit: o.limit}
	sc := &req.scan
	bad := func(what string) (scanRequest, error) {
		return req, model.Errorf(ErrBadArgument, "scan of %s: %s", t.Name(), what)
	}
	var err error
	switch {
	case o.limit < 0:
		return bad("the limit is negative")
	case o.hasPartition && o.hasIndex:
		return bad("Partition and ByIndex exclude each other")
	case !o.hasPartition && (o.start != nil || o.end != nil || o.reverse):
		return bad("bounds and Reverse need Partition")
	case (o.hasPartition || o.hasIndex) && len(o.orderBy) > 0:
		return bad("OrderBy is for scans of the whole table; a partition comes in clustering order")
	case o.hasPartition:
		if len(o.partition) != t.PartitionLen() {
			return bad("Partition needs all values of the partition key")
		}
		sc.Kind = storage.ScanPartition
		if sc.Partition, err = keyValues(t, 0, o.partition); err != nil {
			return req, err
		}
		if sc.Start.Values, err = keyValues(t, t.PartitionLen(), o.start); err != nil {
			return req, err
		}
		if sc.End.Values, err = keyValues(t, t.PartitionLen(), o.end); err != nil {
			return req, err
		}
		sc.Start.Exclusive, sc.End.Exclusive = o.startExcl, o.endExcl
	case o.hasIndex:
		i, err := t.Column(o.indexColumn)
		if err != nil {
			return req, err
		}
		if !t.Indexed(i) {
			return bad("column " + o.indexColumn + " has no index; use Where instead of ByIndex, or create one")
		}
		sc.Kind, sc.IndexColumn = storage.ScanIndex, o.indexColumn
		if sc.IndexValue, err = toValue(t.Columns()[i], o.indexValue); err != nil {
			return req, err
		}
	}
	for _, and := range o.where {
		conds, err := bindAll(t, and)
		if err != nil {
			return req, err
		}
		sc.Where = append(sc.Where, conds)
	}
	for _, ob := range o.orderBy {
		if _, err := t.Column(ob.column); err != nil {
			return req, err
		}
		if ob.order != Asc && ob.order != Desc {
			return bad("OrderBy takes Asc or Desc")
		}
		sc.OrderBy = append(sc.OrderBy, storage.OrderBy{Column: ob.column, Order: ob.order})
	}
	return req, nil
}
