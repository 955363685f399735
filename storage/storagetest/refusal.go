package storagetest

import (
	"testing"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// testRefusal tries requests that cannot be right.
func (x *suite) testRefusal(t *testing.T) {
	table := x.table(t, things())
	k := key("a", 1)
	one, exists := model.IntValue(1), storage.Guard{Kind: storage.Exists}
	always := func(m storage.Mutation) storage.Mutation {
		m.Table = table
		if m.Key.Len() == 0 {
			m.Key = k
		}
		return m
	}
	like := storage.Guard{Kind: storage.If, Conditions: []model.Condition{{Column: "s", Op: model.Like, Value: model.TextValue("%")}}}
	for what, ms := range map[string][]storage.Mutation{
		"an empty batch":              nil,
		"a key that is too short":     {always(storage.Mutation{Key: model.Key{Partition: k.Partition}})},
		"a key of a wrong type":       {always(storage.Mutation{Key: model.Key{Partition: k.Partition, Clustering: []model.Value{model.TextValue("1")}}})},
		"a set of a key column":       {always(storage.Mutation{Set: []storage.Assignment{set("c", one)}})},
		"a column that is not there":  {always(storage.Mutation{Set: []storage.Assignment{set("j", one)}})},
		"a column set twice":          {always(storage.Mutation{Set: []storage.Assignment{set("i", one), set("i", one)}})},
		"a value of a wrong type":     {always(storage.Mutation{Set: []storage.Assignment{set("i", model.BigIntValue(1))}})},
		"a copy without a row":        {always(storage.Mutation{Set: []storage.Assignment{{Column: "before_i", From: "i"}}})},
		"a copy to another type":      {always(storage.Mutation{Set: []storage.Assignment{{Column: "before_s", From: "i"}}, Guard: exists})},
		"LIKE in a guard":             {always(storage.Mutation{Kind: storage.Delete, Guard: like})},
		"a guard without a condition": {always(storage.Mutation{Guard: storage.Guard{Kind: storage.If}})},
		"a comparison with NULL":      {always(storage.Mutation{Guard: storage.Guard{Kind: storage.If, Conditions: []model.Condition{{Column: "i", Op: model.Eq, Value: model.Null(model.Int)}}}})},
		"a check without a guard":     {always(storage.Mutation{Kind: storage.Check})},
		"two mutations of one row":    {always(storage.Mutation{}), always(storage.Mutation{Kind: storage.Delete})},
	} {
		if err := mutate(t.Context(), x.s, ms...); storage.OutcomeOf(err) != storage.Refused {
			t.Errorf("%s: %v", what, err)
		}
	}
	if read(t, x.s, table, k) != nil {
		t.Error("a refused batch was applied")
	}
	p := []model.Value{model.TextValue("a")}
	bound := func(vs ...model.Value) storage.Bound { return storage.Bound{Values: vs} }
	for what, scan := range map[string]storage.Scan{
		"no partition key":         {},
		"a partition key too long": {Partition: []model.Value{p[0], p[0]}},
		"a bound too long":         {Partition: p, Start: bound(one, one)},
		"a bound of a wrong type":  {Partition: p, End: bound(model.TextValue("a"))},
		"a column without index":   {Kind: storage.ScanIndex, IndexColumn: "s", IndexValue: model.TextValue("a")},
		"an index asked for NULL":  {Kind: storage.ScanIndex, IndexColumn: "i", IndexValue: model.Null(model.Int)},
		"an unknown order column":  {Kind: storage.ScanTable, OrderBy: []storage.OrderBy{{Column: "nope"}}},
		"an unknown filter column": {Kind: storage.ScanTable, Where: model.Predicate{{{Column: "nope", Op: model.IsNull}}}},
		"LIKE on a number":         {Kind: storage.ScanTable, Where: model.Predicate{{{Column: "i", Op: model.Like, Value: model.TextValue("1")}}}},
		"a negative limit":         {Kind: storage.ScanTable, Limit: -1},
		"a token of nobody":        {Kind: storage.ScanTable, Token: "AQAAAAAAAAAA"},
		"a token that is garbage":  {Kind: storage.ScanTable, Token: "§"},
	} {
		scan.Table = table
		if _, err := x.s.Scan(t.Context(), scan); storage.OutcomeOf(err) != storage.Refused {
			t.Errorf("scan with %s: %v", what, err)
		}
	}
	missing, err := model.NewTable(model.TableSpec{Name: x.name(), Columns: table.Columns(), PartitionKey: []string{"p"}, ClusteringKey: []model.ClusteringColumn{{Name: "c"}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := mutate(t.Context(), x.s, upsert(missing, k)); storage.OutcomeOf(err) != storage.Refused {
		t.Errorf("writing to a missing table: %v", err)
	}
	if _, err := x.s.Get(t.Context(), []storage.Get{{Table: missing, Key: k}}); storage.OutcomeOf(err) != storage.Refused {
		t.Errorf("reading a missing table: %v", err)
	}
}
