package sqldb

import (
	"math"

	"github.com/stillpoint-db/stillpoint/model"
)

// after writes the condition that a row comes behind the one with these values
// in the order of the scan. values has one element for each order column.
func (w *scanWriter) after(values []model.Value) {
	order := w.sc.order
	if len(order) == 0 { // a partition of one row: nothing comes behind it
		w.str("1=0")
		return
	}
	if w.d.RowValues && uniform(order) && len(order) > 1 {
		w.rowAfter(values)
		return
	}
	// For one index range also where the engine cannot use the rest.
	if o := order[0]; len(order) > 1 && !o.null {
		low, high := w.ends(o, values[0])
		if o.desc {
			w.compare(o.pos, "<=", high)
		} else {
			w.compare(o.pos, ">=", low)
		}
		w.str(" AND ")
	}
	w.str("(")
	any := false
	for i, o := range order {
		if !w.canFollow(o, values[i]) {
			continue
		}
		if any {
			w.str(" OR ")
		}
		any = true
		w.str("(")
		for j := range i {
			w.same(order[j], values[j])
			w.str(" AND ")
		}
		w.follows(o, values[i])
		w.str(")")
	}
	if !any {
		w.str("1=0")
	}
	w.str(")")
}

func (w *scanWriter) rowAfter(values []model.Value) {
	w.str("(")
	for i, o := range w.sc.order {
		if i > 0 {
			w.str(",")
		}
		w.column(o.pos)
	}
	w.str(")" + direction(w.sc.order[0].desc) + "(")
	for i, v := range values {
		if i > 0 {
			w.str(",")
		}
		w.arg()
		w.sc.Args = append(w.sc.Args, v)
	}
	w.str(")")
}

func uniform(order []orderColumn) bool {
	for _, o := range order {
		if o.desc != order[0].desc || o.null {
			return false
		}
	}
	return true
}

func direction(desc bool) string {
	if desc {
		return "<"
	}
	return ">"
}

// nullsLast tells where the NULLs of a column come in the order of the scan.
func (w *scanWriter) nullsLast(o orderColumn) bool { return w.d.NullsHigh != o.desc }

// canFollow tells whether any value comes behind v.
func (w *scanWriter) canFollow(o orderColumn, v model.Value) bool {
	return !v.IsNull() || !w.nullsLast(o)
}

// follows writes that the column's value comes behind v.
func (w *scanWriter) follows(o orderColumn, v model.Value) {
	low, high := w.ends(o, v)
	if o.desc {
		high = low
	}
	switch {
	case v.IsNull():
		w.column(o.pos)
		w.str(" IS NOT NULL")
	case o.null && w.nullsLast(o):
		w.str("(")
		w.compare(o.pos, direction(o.desc), high)
		w.str(" OR ")
		w.column(o.pos)
		w.str(" IS NULL)")
	default:
		w.compare(o.pos, direction(o.desc), high)
	}
}

// same writes that the column has the value v.
func (w *scanWriter) same(o orderColumn, v model.Value) {
	if v.IsNull() {
		w.column(o.pos)
		w.str(" IS NULL")
		return
	}
	low, high := w.ends(o, v)
	if low == high {
		w.compare(o.pos, "=", v)
		return
	}
	w.compare(o.pos, ">=", low)
	w.str(" AND ")
	w.compare(o.pos, "<=", high)
}

// ends are the least and the greatest that the column can hold where v was read:
// both v, unless the column may be a narrow float.
func (w *scanWriter) ends(o orderColumn, v model.Value) (low, high model.Value) {
	if !w.d.NarrowFloats || v.Type() != model.Float || v.IsNull() {
		return v, v
	}
	l, h := rounded(v.Float32())
	return model.DoubleValue(l), model.DoubleValue(h)
}

// rounded returns the ends of the numbers of 64 bits whose nearest one of 32 bits
// is f.
func rounded(f float32) (low, high float64) {
	end := func(towards float32) float64 {
		next := math.Nextafter32(f, towards)
		if math.IsInf(float64(next), 0) {
			return math.Copysign(math.MaxFloat64, float64(next)) // nothing lies behind it
		}
		half := (float64(f) + float64(next)) / 2
		if float32(half) != f { // it goes to the even one
			half = math.Nextafter(half, float64(f))
		}
		return half
	}
	inf := float32(math.Inf(1))
	return end(-inf), end(inf)
}
