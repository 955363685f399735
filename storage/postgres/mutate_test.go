//go:build servers

package postgres

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

func TestFailedGuardTakesTheWholeBatchBack(t *testing.T) {
	d := openFresh(t)
	table := accounts(t, d)
	apply(t, d, insert(table, "a", 1), insert(table, "b", 2))
	del := storage.Mutation{Kind: storage.Delete, Table: table, Key: key("none"), Guard: storage.Guard{Kind: storage.Exists}}
	check := storage.Mutation{Kind: storage.Check, Table: table, Key: key("a"), Guard: storage.Guard{Kind: storage.NotExists}}
	checkIf := storage.Mutation{Kind: storage.Check, Table: table, Key: key("a"), Guard: updateIf(table, "a", 7, 0).Guard}
	for name, bad := range map[string]storage.Mutation{
		"update": updateIf(table, "a", 9, 3), "insert": insert(table, "a", 3), "delete": del, "check not exists": check, "check if": checkIf,
	} {
		for _, alone := range []bool{true, false} {
			ms, index := []storage.Mutation{bad}, 0
			if !alone {
				ms, index = []storage.Mutation{updateIf(table, "b", 2, 5), bad, insert(table, "c", 1)}, 1
			}
			err := d.Mutate(context.Background(), storage.Batch{Mutations: ms})
			ce, ok := errors.AsType[*storage.ConditionError](err)
			if !ok || ce.Index != index || !errors.Is(err, model.ErrConditionNotMet) {
				t.Errorf("%s (alone %v): %v, want a failed condition at %d", name, alone, err, index)
			}
			if got := balances(t, d, table, "a", "b", "c"); !slices.Equal(got, []int64{1, 2, -1}) {
				t.Errorf("%s (alone %v) left %v", name, alone, got)
			}
		}
	}
}

func TestGoodGuardsApplyTheWholeBatch(t *testing.T) {
	d := openFresh(t)
	table := accounts(t, d)
	apply(t, d, insert(table, "a", 1), insert(table, "b", 2), insert(table, "c", 3))
	copying := updateIf(table, "a", 1, 10)
	copying.Set = append(copying.Set, storage.Assignment{Column: "before_balance", From: "balance"})
	apply(t, d, copying,
		storage.Mutation{Kind: storage.Delete, Table: table, Key: key("b"), Guard: storage.Guard{Kind: storage.Exists}},
		storage.Mutation{Kind: storage.Check, Table: table, Key: key("c"), Guard: updateIf(table, "c", 3, 0).Guard},
		storage.Mutation{Kind: storage.Check, Table: table, Key: key("d"), Guard: storage.Guard{Kind: storage.NotExists}},
		storage.Mutation{Table: table, Key: key("e"), Set: []storage.Assignment{balance(5)}},
		insert(table, "f", 6))
	if got := balances(t, d, table, "a", "b", "c", "d", "e", "f"); !slices.Equal(got, []int64{10, -1, 3, -1, 5, 6}) {
		t.Errorf("left %v", got)
	}
	rows, err := d.Get(context.Background(), []storage.Get{{Table: table, Key: key("a")}})
	if err != nil || rows[0].Get("before_balance") != model.IntValue(1) || !rows[0].Get("note").IsNull() {
		t.Errorf("copied %v, %v", rows[0], err)
	}
}
