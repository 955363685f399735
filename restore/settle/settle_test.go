package settle_test

import (
	"context"
	"errors"
	"iter"
	"testing"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/restore/settle"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

const group = "0123456789abcdefghijklmn"

func layout(t *testing.T) *record.Layout {
	t.Helper()
	user, err := model.NewTable(model.TableSpec{
		Name:         model.TableName{Namespace: "bank", Name: "accounts"},
		Columns:      []model.Column{{Name: "id", Type: model.Int}, {Name: "balance", Type: model.BigInt}},
		PartitionKey: []string{"id"},
	})
	if err != nil {
		t.Fatal(err)
	}
	phys, err := record.Physical(user)
	if err != nil {
		t.Fatal(err)
	}
	l, err := record.NewLayout(phys)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// row makes a record: balance now, and, if before is not nil, the balance
// before, written by transaction "old".
func row(l *record.Layout, state int32, tx string, now int64, before *int64) *model.Row {
	r := &model.Row{Table: l.Physical}
	for _, c := range l.Physical.Columns() {
		r.Values = append(r.Values, model.Null(c.Type))
	}
	set := func(column string, v model.Value) { r.Values[l.Physical.Position(column)] = v }
	set("id", model.IntValue(1))
	set("balance", model.BigIntValue(now))
	set("tx_id", model.TextValue(tx))
	set("tx_state", model.IntValue(state))
	set("tx_version", model.IntValue(2))
	set("tx_prepared_at", model.BigIntValue(1000))
	if before != nil {
		set("before_balance", model.BigIntValue(*before))
		set("before_tx_id", model.TextValue("old"))
		set("before_tx_state", model.IntValue(3))
		set("before_tx_version", model.IntValue(1))
		set("before_tx_prepared_at", model.BigIntValue(500))
		set("before_tx_committed_at", model.BigIntValue(501))
	}
	return r
}

type coordinatorRow struct {
	id, children string
	state        int32
}

func rows(t *testing.T, rs ...coordinatorRow) settle.Rows {
	t.Helper()
	spec := record.CoordinatorTable("").Spec()
	spec.Columns = append(spec.Columns, model.Column{Name: record.ChildIDs, Type: model.Text})
	table, err := model.NewTable(spec)
	if err != nil {
		t.Fatal(err)
	}
	return func(context.Context) iter.Seq2[*model.Row, error] {
		return func(yield func(*model.Row, error) bool) {
			for _, r := range rs {
				out := &model.Row{Table: table, Values: make([]model.Value, len(table.Columns()))}
				for column, v := range map[string]model.Value{record.TxID: model.TextValue(r.id), record.TxState: model.IntValue(r.state),
					record.CreatedAt: model.BigIntValue(2000), record.ChildIDs: model.TextValue(r.children)} {
					out.Values[table.Position(column)] = v
				}
				if !yield(out, nil) {
					return
				}
			}
		}
	}
}

func TestRecordsAreSettledByTheCoordinatorOfTheCopy(t *testing.T) {
	l := layout(t)
	ten := int64(10)
	for _, c := range []struct {
		name   string
		record *model.Row
		coord  []coordinatorRow
		action settle.Action
		want   int64 // balance afterwards; -1: gone
	}{
		{"update, committed", row(l, 1, "t", 20, &ten), []coordinatorRow{{"t", "", 3}}, settle.RolledForward, 20},
		{"update, aborted", row(l, 1, "t", 20, &ten), []coordinatorRow{{"t", "", 4}}, settle.RolledBack, 10},
		{"update, no row", row(l, 1, "t", 20, &ten), []coordinatorRow{{"other", "", 3}}, settle.RolledBack, 10},
		{"insert, committed", row(l, 1, "t", 20, nil), []coordinatorRow{{"t", "", 3}}, settle.RolledForward, 20},
		{"insert, no row", row(l, 1, "t", 20, nil), nil, settle.RemovedBack, -1},
		{"delete, committed", row(l, 2, "t", 10, &ten), []coordinatorRow{{"t", "", 3}}, settle.RemovedForward, -1},
		{"delete, aborted", row(l, 2, "t", 10, &ten), []coordinatorRow{{"t", "", 4}}, settle.RolledBack, 10},
		{"group member listed", row(l, 1, group+"$c1", 20, &ten), []coordinatorRow{{group, "c0,c1", 3}}, settle.RolledForward, 20},
		{"group member not listed", row(l, 1, group+"$c1", 20, &ten), []coordinatorRow{{group, "c0,c2", 3}}, settle.RolledBack, 10},
		{"group member on its own", row(l, 1, group+"$c1", 20, &ten), []coordinatorRow{{group, "", 4}, {group + "$c1", "", 3}}, settle.RolledForward, 20},
		{"committed record of an aborted writer", row(l, 3, "t", 20, nil), []coordinatorRow{{"t", "", 4}}, settle.Kept, 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := settle.New()
			if _, err := d.Meet(l, c.record); err != nil {
				t.Fatal(err)
			}
			// The live Coordinator says the opposite of everything, and is not asked.
			live := rows(t, coordinatorRow{"t", "", 7 - max(3, first(c.coord))})
			if err := d.Learn(t.Context(), settle.Coordinators{Copy: rows(t, c.coord...), Live: live}); err != nil {
				t.Fatal(err)
			}
			out, action := d.Settle(l, c.record)
			if action != c.action {
				t.Errorf("action is %q, want %q", action, c.action)
			}
			if gone := out == nil; gone != (c.want < 0) {
				t.Fatalf("gone is %v", gone)
			}
			if out == nil {
				return
			}
			if got := out.Get("balance").Int64(); got != c.want {
				t.Errorf("balance is %d, want %d", got, c.want)
			}
			if !l.IsCommitted(out) || !out.Get("before_balance").IsNull() {
				t.Errorf("the settled record is not a clean committed one: %v", out.Values)
			}
		})
	}
}

func first(rs []coordinatorRow) int32 {
	if len(rs) == 0 {
		return 4
	}
	return rs[0].state
}

func TestBadCoordinatorRowSettlesNothing(t *testing.T) {
	l := layout(t)
	d := settle.New()
	if _, err := d.Meet(l, row(l, 1, "t", 20, nil)); err != nil {
		t.Fatal(err)
	}
	err := d.Learn(t.Context(), settle.Coordinators{Copy: rows(t, coordinatorRow{"t", "", 1})})
	if !errors.Is(err, model.ErrInconsistent) {
		t.Errorf("error is %v, want class inconsistent", err)
	}
}

func TestRecordInAStateNobodyWritesIsRefused(t *testing.T) {
	l := layout(t)
	if _, err := settle.New().Meet(l, row(l, 9, "t", 20, nil)); !errors.Is(err, model.ErrInconsistent) {
		t.Errorf("error is %v, want class inconsistent", err)
	}
}
