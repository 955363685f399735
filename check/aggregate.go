package check

import (
	"fmt"
	"slices"

	"github.com/stillpoint-db/stillpoint/check/internal/extsort"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

// term is what one table gives to one side of one query.
type term struct {
	query int
	side  byte // 0: left, 1: right
	value int  // index into the table's needed columns; -1: count
	by    int  // index into the table's needed columns; -1: no grouping
}

// evaluator computes all queries while the rows go by.
type evaluator struct {
	queries []Query
	totals  [][2]total
	groups  *extsort.Sorter // contributions of grouped queries: key = query and group, value = side and number
	buf     []byte
	val     []byte
}

func newEvaluator(queries []Query, groups *extsort.Sorter) *evaluator {
	e := &evaluator{queries: queries, totals: make([][2]total, len(queries)), groups: groups}
	for i, q := range queries {
		if q.Right == nil {
			e.totals[i][1] = parseTotal(q.Number)
		}
	}
	return e
}

// bind finds the tables and columns of the queries: model.ErrBadArgument for
// those that are not there.
func (e *evaluator) bind(targets []*target) error {
	for qi, q := range e.queries {
		sides := []Aggregate{q.Left}
		if q.Right != nil {
			sides = append(sides, *q.Right)
		}
		for side, a := range sides {
			for i := range a.terms() {
				if err := e.bindTerm(targets, qi, side, a, i); err != nil {
					return fmt.Errorf("query %q: %w", q.Name, err)
				}
			}
		}
	}
	return nil
}

func (e *evaluator) bindTerm(targets []*target, query, side int, a Aggregate, i int) error {
	name := a.term(i)
	at := slices.IndexFunc(targets, func(t *target) bool { return t.Name() == name })
	if at < 0 {
		near := model.Nearest(name.String(), func(yield func(string) bool) {
			for _, t := range targets {
				if !yield(t.Name().String()) {
					return
				}
			}
		})
		if near != "" {
			near = fmt.Sprintf("; did you mean %s?", near)
		}
		return model.Errorf(model.ErrBadArgument, "there is no transactional table %s%s", name, near)
	}
	t := targets[at]
	tm := term{query: query, side: byte(side), value: -1, by: -1}
	if len(a.Sum) > 0 {
		var err error
		if tm.value, err = t.need(a.Sum[i].Column, func(d model.DataType) bool {
			return d == model.Int || d == model.BigInt || d == model.Float || d == model.Double
		}, "summed"); err != nil {
			return err
		}
	}
	if len(a.By) > 0 {
		var err error
		if tm.by, err = t.need(a.By[i].Column, func(d model.DataType) bool {
			return d != model.Float && d != model.Double
		}, "grouped by"); err != nil {
			return err
		}
	}
	t.terms = append(t.terms, tm)
	return nil
}

// need notes that the queries need a user's column, and returns its index among
// the needed ones.
func (t *target) need(column string, ok func(model.DataType) bool, use string) (int, error) {
	i, err := t.layout.User.Column(column)
	if err != nil {
		return 0, err
	}
	if c := t.layout.User.Columns()[i]; !ok(c.Type) {
		return 0, model.Errorf(model.ErrBadArgument, "%s.%s is %s and cannot be %s", t.Name(), column, c.Type, use)
	}
	at := t.layout.Column[i]
	if j := slices.Index(t.needed, at); j >= 0 {
		return j, nil
	}
	t.needed = append(t.needed, at)
	return len(t.needed) - 1, nil
}

// row adds a settled row; nil adds nothing.
func (e *evaluator) row(t *target, row *model.Row) error {
	if row == nil || len(t.terms) == 0 {
		return nil
	}
	t.scratch = t.scratch[:0]
	for _, at := range t.needed {
		t.scratch = append(t.scratch, row.Values[at])
	}
	return e.values(t, t.scratch)
}

// values adds the needed columns of a settled row.
func (e *evaluator) values(t *target, needed []model.Value) error {
	for _, tm := range t.terms {
		if tm.by >= 0 {
			if err := e.grouped(tm, needed); err != nil {
				return err
			}
			continue
		}
		sum := &e.totals[tm.query][tm.side]
		if tm.value < 0 {
			sum.addInt(1)
		} else {
			sum.addValue(needed[tm.value])
		}
	}
	return nil
}

func (e *evaluator) grouped(tm term, needed []model.Value) error {
	by, v := needed[tm.by], model.BigIntValue(1)
	if by.Type() == model.Int { // so that INT and BIGINT of one number are one group
		by = widened(by)
	}
	if tm.value >= 0 {
		v = needed[tm.value]
	}
	e.buf = appendValue(append(e.buf[:0], byte(tm.query>>8), byte(tm.query)), by)
	e.val = appendValue(append(e.val[:0], tm.side), v)
	return e.groups.Add(e.buf, e.val)
}

func widened(v model.Value) model.Value {
	if v.IsNull() {
		return model.Null(model.BigInt)
	}
	return model.BigIntValue(v.Int64())
}

// appendImages notes what the queries need of an undecided record: the version
// after, the version before.
func (t *target) appendImages(b []byte, row *model.Row) []byte {
	if len(t.terms) == 0 {
		return b
	}
	for _, image := range []*model.Row{t.layout.After(row, 1), t.layout.Before(row)} {
		if image == nil {
			b = append(b, 0)
			continue
		}
		b = append(b, 1)
		for _, at := range t.needed {
			b = appendValue(b, image.Values[at])
		}
	}
	return b
}

// undecided adds what remains of an undecided record after a decision.
func (e *evaluator) undecided(t *target, images []byte, committed bool) error {
	if len(t.terms) == 0 {
		return nil
	}
	d := decoder{b: images}
	for i := range 2 {
		if d.byte() == 0 {
			continue
		}
		vs := d.values(len(t.needed))
		if err := d.err(); err != nil {
			return err
		}
		if after := i == 0; after == committed {
			return e.values(t, vs)
		}
	}
	return d.err()
}

// decided tells whether a decision makes the version after.
func decided(d record.Decision) bool { return d.State == record.Committed }
