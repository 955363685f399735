package mysql

import (
	"context"
	"database/sql/driver"
	"slices"
	"strconv"
	"strings"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

const (
	// minPartBytes is the least that a part is worth cutting for.
	minPartBytes = 8 << 20
	// maxProbes bounds the questions asked of the optimizer for one cut.
	maxProbes = 24
	// tolerance is how far from its place a cut may be, in thousandths.
	tolerance = 20
)

// keyRange is a range over the first key column; an unset end is open.
type keyRange struct{ from, to model.Value } // from <= column < to

// Split implements storage.Snapshot. It cuts by ranges of the first key column,
// choosing the cuts by what the optimizer thinks of ranges, which costs it a
// few page reads each. Any cuts cover each row exactly once.
func (n *snapshot) Split(ctx context.Context, table *model.Table, want int) (parts []storage.Part, err error) {
	var rows, bytes int64 = -1, -1
	var cuts []model.Value
	err = n.with(ctx, func(ses *session) error {
		info, err := tableInfo(ctx, ses, table.Name())
		if err != nil {
			return err
		}
		rows, bytes = info.rows, info.bytes
		want = min(want, int(max(1, bytes/minPartBytes)))
		if want > 1 {
			cuts, err = n.cuts(ctx, ses, table, want)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	share := func(x int64) int64 {
		if x < 0 {
			return x
		}
		return x / int64(len(cuts)+1)
	}
	r := keyRange{}
	for _, c := range cuts {
		r.to = c
		parts = append(parts, storage.Part{Where: r, Rows: share(rows), Bytes: share(bytes)})
		r = keyRange{from: c}
	}
	return append(parts, storage.Part{Where: r, Rows: share(rows), Bytes: share(bytes)}), nil
}

// rangeOf makes the WHERE clause of a part.
func rangeOf(s *Store, table *model.Table, part storage.Part) (where string, args []model.Value, err error) {
	r, ok := part.Where.(keyRange)
	if !ok {
		return "", nil, model.Errorf(model.ErrBadArgument, "the part of %s is not one of this snapshot", table.Name())
	}
	column := s.dialect.Ident(table.Columns()[0].Name)
	var conditions []string
	if r.from.IsSet() {
		conditions, args = append(conditions, column+">=?"), append(args, r.from)
	}
	if r.to.IsSet() {
		conditions, args = append(conditions, column+"<?"), append(args, r.to)
	}
	if len(conditions) == 0 {
		return "", nil, nil
	}
	return " WHERE " + strings.Join(conditions, " AND "), args, nil
}

// cuts finds values of the first key column that cut the table into about
// equal parts, in the order of the server. Fewer or none if the type or the
// collation of the column gives no order that is known here.
func (n *snapshot) cuts(ctx context.Context, ses *session, table *model.Table, want int) ([]model.Value, error) {
	s := n.store
	first := table.Columns()[0]
	scale, err := scaleOf(ctx, ses, s, table)
	if err != nil || scale == nil {
		return nil, err
	}
	name, column := s.dialect.Table(table.Name()), s.dialect.Ident(first.Name)
	count := func(v model.Value, op string) (int64, error) {
		columns, rows, err := ses.table(ctx, "EXPLAIN SELECT 1 FROM "+name+" FORCE INDEX (PRIMARY) WHERE "+column+op+string(appendLiteral(nil, v)))
		if err != nil || len(rows) == 0 {
			return 0, err
		}
		at := slices.Index(columns, "rows")
		if at < 0 {
			return 0, nil
		}
		n, err := strconv.ParseInt(rows[0][at], 10, 64)
		if err != nil {
			return 0, nil // no number: nothing is there
		}
		return n, nil
	}
	// below estimates the share of rows below a value, in thousandths.
	below := func(v model.Value) (int64, error) {
		less, err := count(v, "<")
		if err != nil {
			return 0, err
		}
		more, err := count(v, ">=")
		return less * 1000 / max(1, less+more), err
	}
	var cuts []model.Value
	last := scale.low
	for i := 1; i < want; i++ {
		goal := 1000 * int64(i) / int64(want)
		low, high := last, scale.high
		for probes := 0; probes < maxProbes && high-low > 1; probes++ {
			mid := low + (high-low)/2
			share, err := below(scale.value(mid))
			if err != nil {
				return nil, err
			}
			if near := share - goal; near >= -tolerance && near <= tolerance {
				low = mid
				break
			}
			if share < goal {
				low = mid
			} else {
				high = mid
			}
		}
		v := scale.value(low)
		if low > last && (len(cuts) == 0 || v.Compare(cuts[len(cuts)-1]) > 0) {
			cuts, last = append(cuts, v), low
		}
	}
	return cuts, nil
}

// scale maps an interval of numbers onto values of a column, in order.
type scale struct {
	low, high uint64
	value     func(uint64) model.Value
}

// scaleOf returns the scale of the first key column between its least and
// greatest value; nil if there is none.
func scaleOf(ctx context.Context, ses *session, s *Store, table *model.Table) (*scale, error) {
	first := table.Columns()[0]
	name, column := s.dialect.Table(table.Name()), s.dialect.Ident(first.Name)
	var ends [2]model.Value
	for i, f := range []string{"MIN", "MAX"} {
		rows, err := ses.query(ctx, "SELECT "+f+"("+column+") FROM "+name, nil)
		if err != nil {
			return nil, err
		}
		dest := make([]driver.Value, 1)
		ends[i], err = oneValue(rows, dest, first.Type)
		if err = ses.finish(rows, err); err != nil {
			return nil, err
		}
		if ends[i].IsNull() {
			return nil, nil
		}
	}
	switch first.Type {
	case model.Int, model.BigInt:
		return numberScale(first.Type, ends[0].Raw(), ends[1].Raw()), nil
	case model.Date, model.Time, model.Timestamp, model.TimestampTZ:
		sc := numberScale(first.Type, ends[0].Raw(), ends[1].Raw())
		if first.Type == model.Time {
			raw := sc.value
			sc.value = func(n uint64) model.Value { return model.RawValue(model.Time, raw(n).Raw()/1000*1000) }
		}
		return sc, nil
	case model.Blob:
		return byteScale(ends[0].Str(), ends[1].Str()), nil
	case model.Text:
		rows, err := ses.strings(ctx, "SELECT collation_name FROM information_schema.columns WHERE table_schema=? AND table_name=? AND column_name=?",
			table.Name().Namespace, table.Name().Name, first.Name)
		if err != nil || len(rows) != 1 || rows[0][0] != "utf8mb4_bin" {
			return nil, err
		}
		return runeScale(ends[0].Str(), ends[1].Str()), nil
	}
	return nil, nil
}
