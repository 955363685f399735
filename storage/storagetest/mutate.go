package storagetest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// expected says what one mutation does to a row, by the contract: whether its
// guard holds, and the row afterwards.
func expected(m storage.Mutation, row *model.Row) (holds bool, after *model.Row) {
	switch m.Guard.Kind {
	case storage.Always:
		holds = true
	case storage.NotExists:
		holds = row == nil
	case storage.Exists:
		holds = row != nil
	case storage.If:
		holds = model.Predicate{m.Guard.Conditions}.Holds(row)
	}
	if !holds || m.Kind == storage.Check {
		return holds, row
	}
	if m.Kind == storage.Delete {
		return true, nil
	}
	after = &model.Row{Table: m.Table, Values: make([]model.Value, len(m.Table.Columns()))}
	for i, c := range m.Table.Columns() {
		switch {
		case i < m.Table.KeyLen():
			after.Values[i] = m.Key.At(i)
		case row != nil:
			after.Values[i] = row.Values[i]
		default:
			after.Values[i] = model.Null(c.Type)
		}
	}
	for _, a := range m.Set {
		v := a.Value
		if a.From != "" {
			v = row.Get(a.From)
		}
		after.Values[m.Table.Position(a.Column)] = v
	}
	return true, after
}

func sameRow(a, b *model.Row) bool {
	if a == nil || b == nil {
		return a == b
	}
	for i := range a.Values {
		if a.Values[i] != b.Values[i] {
			return false
		}
	}
	return true
}

func show(r *model.Row) string {
	if r == nil {
		return "no row"
	}
	return fmt.Sprint(r.Values)
}

// guards returns every kind of guard over the table of things.
func guards() []storage.Guard {
	gs := []storage.Guard{{Kind: storage.Always}, {Kind: storage.NotExists}, {Kind: storage.Exists}}
	cond := func(column string, op model.Op, v model.Value) model.Condition {
		return model.Condition{Column: column, Op: op, Value: v}
	}
	for op := model.Eq; op <= model.Le; op++ {
		gs = append(gs, storage.Guard{Kind: storage.If, Conditions: []model.Condition{cond("i", op, model.IntValue(5))}},
			storage.Guard{Kind: storage.If, Conditions: []model.Condition{cond("s", op, model.TextValue("m"))}})
	}
	for _, op := range []model.Op{model.IsNull, model.IsNotNull} {
		gs = append(gs, storage.Guard{Kind: storage.If, Conditions: []model.Condition{cond("s", op, model.Value{})}})
	}
	return append(gs,
		storage.Guard{Kind: storage.If, Conditions: []model.Condition{cond("i", model.Eq, model.IntValue(5)), cond("s", model.Eq, model.TextValue("m"))}},
		storage.Guard{Kind: storage.If, Conditions: []model.Condition{cond("i", model.Eq, model.IntValue(5)), cond("s", model.IsNull, model.Value{})}},
		storage.Guard{Kind: storage.If, Conditions: []model.Condition{cond("p", model.Eq, model.TextValue("a")), cond("c", model.Lt, model.IntValue(1000000))}})
}

func (x *suite) testMutate(t *testing.T) {
	table := x.table(t, things())
	copies := x.s.Capabilities(table.Name()).CopyColumns
	int5, m := model.IntValue(5), model.TextValue("m")
	states := map[string][]storage.Assignment{
		"missing": nil,
		"full":    {set("i", int5), set("s", m), set("before_i", model.IntValue(1)), set("before_s", model.TextValue("b"))},
		"nulls":   {set("i", model.IntValue(4)), set("s", model.Null(model.Text))},
	}
	from := func(column, source string) storage.Assignment {
		return storage.Assignment{Column: column, From: source}
	}
	sets := map[string][]storage.Assignment{
		"nothing": nil,
		"values":  {set("s", model.TextValue("new")), set("i", model.IntValue(9))},
		"same":    {set("i", int5), set("s", m)},
		"nulls":   {set("s", model.Null(model.Text))},
		"copies":  {from("before_i", "i"), from("before_s", "s"), set("i", model.IntValue(6)), set("s", model.TextValue("new"))},
		"late":    {set("i", model.IntValue(6)), set("s", model.TextValue("new")), from("before_s", "s"), from("before_i", "i")},
		"chain":   {from("i", "before_i"), from("before_i", "c"), from("s", "before_s"), set("before_s", model.TextValue("x"))},
	}
	n := int32(0)
	try := func(state string, kind storage.MutationKind, g storage.Guard, what string, as []storage.Assignment) {
		n++
		k := key("a", n)
		if state != "missing" {
			write(t, x.s, upsert(table, k, states[state]...))
		}
		before := read(t, x.s, table, k)
		mu := storage.Mutation{Kind: kind, Table: table, Key: k, Set: as, Guard: g}
		holds, after := expected(mu, before)
		err := mutate(t.Context(), x.s, mu)
		var cond *storage.ConditionError
		switch {
		case holds && err != nil, !holds && (!errors.As(err, &cond) || cond.Index != 0 || storage.OutcomeOf(err) != storage.ConditionFailed):
			t.Errorf("%s %s, guard %d %v, on row %s: %v, want applied: %v", kind, what, g.Kind, g.Conditions, state, err, holds)
		}
		if got := read(t, x.s, table, k); !sameRow(got, after) {
			t.Errorf("%s %s, guard %d %v, on row %s: left %s, want %s", kind, what, g.Kind, g.Conditions, state, show(got), show(after))
		}
	}
	for state := range states {
		for _, g := range guards() {
			for what, as := range sets {
				updates := g.Kind == storage.If || g.Kind == storage.Exists
				if (what == "copies" || what == "late" || what == "chain") && !(updates && copies) {
					continue
				}
				try(state, storage.Put, g, what, as)
			}
			if g.Kind != storage.NotExists {
				try(state, storage.Delete, g, "", nil)
			}
			if g.Kind != storage.Always {
				try(state, storage.Check, g, "", nil)
			}
		}
	}
	if copies {
		t.Run("Swap", func(t *testing.T) { x.testSwap(t, table) })
	}
}

// testSwap copies two columns into each other: done right, or refused.
func (x *suite) testSwap(t *testing.T, table *model.Table) {
	k := key("swap", 1)
	write(t, x.s, upsert(table, k, set("i", model.IntValue(1)), set("before_i", model.IntValue(2))))
	err := mutate(t.Context(), x.s, storage.Mutation{Kind: storage.Put, Table: table, Key: k, Guard: storage.Guard{Kind: storage.Exists},
		Set: []storage.Assignment{{Column: "i", From: "before_i"}, {Column: "before_i", From: "i"}}})
	i, before := model.IntValue(2), model.IntValue(1)
	if err != nil {
		if storage.OutcomeOf(err) != storage.Refused {
			t.Errorf("swapping two columns: %v", err)
		}
		i, before = before, i
	}
	wantRow(t, read(t, x.s, table, k), map[string]model.Value{"i": i, "before_i": before})
}
