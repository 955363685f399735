package sqldb

import "github.com/stillpoint-db/stillpoint/model"

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
		w.compare(o.pos, direction(o.desc)+"=", values[0])
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
	switch {
	case v.IsNull():
		w.column(o.pos)
		w.str(" IS NOT NULL")
	case o.null && w.nullsLast(o):
		w.str("(")
		w.compare(o.pos, direction(o.desc), v)
		w.str(" OR ")
		w.column(o.pos)
		w.str(" IS NULL)")
	default:
		w.compare(o.pos, direction(o.desc), v)
	}
}

// same writes that the column has the value v.
func (w *scanWriter) same(o orderColumn, v model.Value) {
	if v.IsNull() {
		w.column(o.pos)
		w.str(" IS NULL")
		return
	}
	w.compare(o.pos, "=", v)
}
