package storagetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// canBatch tells whether n mutations of two tables may share a batch.
func (x *suite) canBatch(a, b *model.Table, n int) bool {
	most := x.s.Capabilities(a.Name()).MaxMutations
	return x.s.Unit(a.Name(), key("a", 1)) == x.s.Unit(b.Name(), key("b", 1)) && (most == 0 || n <= most)
}

func (x *suite) testBatch(t *testing.T) {
	a, b := x.table(t, things()), x.table(t, wideSpec())
	if !x.canBatch(a, b, 3) {
		t.Skip("a batch does not span tables here")
	}
	column := valueColumn(model.BigInt)
	exists := storage.Guard{Kind: storage.Exists}
	t.Run("SeveralTablesAtOnce", func(t *testing.T) {
		write(t, x.s, upsert(a, key("x", 1), set("i", model.IntValue(1))), upsert(b, key("x", 1), set(column, model.BigIntValue(2))),
			storage.Mutation{Kind: storage.Check, Table: a, Key: key("x", 2), Guard: storage.Guard{Kind: storage.NotExists}},
			storage.Mutation{Kind: storage.Delete, Table: a, Key: key("x", 3)})
		rows, err := x.s.Get(t.Context(), []storage.Get{{Table: b, Key: key("x", 1)}, {Table: a, Key: key("x", 9)}, {Table: a, Key: key("x", 1)}, {Table: b, Key: key("x", 1)}})
		if err != nil || len(rows) != 4 || rows[1] != nil {
			t.Fatalf("%v, %v", rows, err)
		}
		wantRow(t, rows[0], map[string]model.Value{column: model.BigIntValue(2)})
		wantRow(t, rows[2], map[string]model.Value{"i": model.IntValue(1)})
		wantRow(t, rows[3], map[string]model.Value{column: model.BigIntValue(2)})
	})
	t.Run("AllOrNothing", func(t *testing.T) {
		write(t, x.s, upsert(a, key("y", 1), set("i", model.IntValue(1))))
		for bad := range 3 {
			ms := []storage.Mutation{
				{Kind: storage.Put, Table: a, Key: key("y", 1), Set: []storage.Assignment{set("i", model.IntValue(2))}, Guard: exists},
				{Kind: storage.Put, Table: b, Key: key("y", 1), Set: []storage.Assignment{set(column, model.BigIntValue(2))}, Guard: storage.Guard{Kind: storage.NotExists}},
				{Kind: storage.Check, Table: a, Key: key("y", 1), Guard: exists},
			}
			if bad == 2 {
				ms[2].Key = key("y", 7)
			} else {
				ms[bad].Guard = storage.Guard{Kind: storage.If, Conditions: []model.Condition{{Column: "p", Op: model.Eq, Value: model.TextValue("nobody")}}}
			}
			if bad == 0 { // another row than that of the check, which must see it unchanged or changed as a whole
				ms[2].Key, ms[2].Guard = key("y", 8), storage.Guard{Kind: storage.NotExists}
			} else if bad == 1 {
				ms[2].Key, ms[2].Guard = key("y", 9), storage.Guard{Kind: storage.NotExists}
			}
			err := mutate(t.Context(), x.s, ms...)
			var cond *storage.ConditionError
			if !errors.As(err, &cond) || cond.Index != bad || cond.Mutation.Key.Compare(ms[bad].Key) != 0 || storage.OutcomeOf(err) != storage.ConditionFailed {
				t.Errorf("mutation %d cannot hold, but: %v", bad, err)
			}
			wantRow(t, read(t, x.s, a, key("y", 1)), map[string]model.Value{"i": model.IntValue(1)})
			if row := read(t, x.s, b, key("y", 1)); row != nil {
				t.Errorf("mutation %d failed, but another one stayed: %s", bad, show(row))
			}
		}
	})
	t.Run("ManyMutations", func(t *testing.T) {
		n := 300
		if most := x.s.Capabilities(a.Name()).MaxMutations; most > 0 {
			n = min(n, most)
		}
		ms := make([]storage.Mutation, n)
		for i := range ms {
			ms[i] = storage.Mutation{Kind: storage.Put, Table: a, Key: key("many", int32(i)), Set: []storage.Assignment{set("i", model.IntValue(int32(i)))}, Guard: storage.Guard{Kind: storage.NotExists}}
		}
		write(t, x.s, ms...)
		if rows := scanAll(t, x.s, storage.Scan{Table: a, Partition: []model.Value{model.TextValue("many")}}, 0); len(rows) != n {
			t.Errorf("%d rows, want %d", len(rows), n)
		}
		ms[n-1].Key = key("many", int32(n)) // new, the others are there
		if err := mutate(t.Context(), x.s, ms...); storage.OutcomeOf(err) != storage.ConditionFailed {
			t.Errorf("inserting rows that exist: %v", err)
		}
		if read(t, x.s, a, key("many", int32(n))) != nil {
			t.Error("one row of a failed batch stayed")
		}
	})
	t.Run("NothingAfterTheDeadline", func(t *testing.T) {
		err := x.s.Mutate(t.Context(), storage.Batch{Mutations: []storage.Mutation{upsert(a, key("late", 1))}, Deadline: time.Now().Add(-time.Second)})
		if storage.OutcomeOf(err) != storage.NotApplied {
			t.Errorf("a deadline that has passed: %v", err)
		}
		if read(t, x.s, a, key("late", 1)) != nil {
			t.Error("the batch was applied")
		}
	})
	t.Run("NothingWithACancelledContext", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := mutate(ctx, x.s, upsert(a, key("cancelled", 1)))
		if err == nil {
			t.Error("no error")
		}
		if row := read(t, x.s, a, key("cancelled", 1)); row != nil && storage.OutcomeOf(err) != storage.Unknown {
			t.Errorf("the batch was applied though its outcome is %s", storage.OutcomeOf(err))
		}
		if _, err := x.s.Get(ctx, []storage.Get{{Table: a, Key: key("x", 1)}}); err == nil {
			t.Error("a get with a cancelled context succeeded")
		}
		if _, err := x.s.Scan(ctx, storage.Scan{Table: a, Kind: storage.ScanTable}); err == nil {
			t.Error("a scan with a cancelled context succeeded")
		}
	})
}
