package multi_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/memory"
	"github.com/stillpoint-db/stillpoint/storage/multi"
)

var (
	accounts = mustTable("bank", "accounts")
	log      = mustTable("bank", "log")
	boxes    = mustTable("vault", "boxes")
	others   = mustTable("other", "things")
)

func mustTable(ns, name string) *model.Table {
	t, err := model.NewTable(model.TableSpec{
		Name:         model.TableName{Namespace: ns, Name: name},
		Columns:      []model.Column{{Name: "id", Type: model.Int}, {Name: "v", Type: model.Text}},
		PartitionKey: []string{"id"},
	})
	if err != nil {
		panic(err)
	}
	return t
}

// newSet has storage a for namespace bank but for bank.log, and b for the rest.
func newSet(t *testing.T) (set *multi.Set, a, b storage.Storage) {
	t.Helper()
	a, b = memory.New("a"), memory.New("b")
	set, err := multi.New([]storage.Storage{a, b}, multi.Routing{
		Default:    "b",
		Namespaces: map[string]string{"bank": "a", "vault": "b"},
		Tables:     map[model.TableName]string{log.Name(): "b"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := set.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, table := range []*model.Table{accounts, log, boxes, others} {
		if err := set.Admin().CreateNamespace(t.Context(), table.Name().Namespace); err != nil {
			t.Fatal(err)
		}
		if err := set.Admin().CreateTable(t.Context(), table); err != nil {
			t.Fatal(err)
		}
	}
	return set, a, b
}

func key(id int32) model.Key { return model.Key{Partition: []model.Value{model.IntValue(id)}} }

func put(table *model.Table, id int32, v string) storage.Mutation {
	return storage.Mutation{Kind: storage.Put, Table: table, Key: key(id), Set: []storage.Assignment{{Column: "v", Value: model.TextValue(v)}}}
}

func TestTableRouteWinsOverNamespaceOverDefault(t *testing.T) {
	set, a, b := newSet(t)
	for table, want := range map[*model.Table]storage.Storage{accounts: a, log: b, boxes: b, others: b} {
		if got := set.Route(table.Name()); got != want {
			t.Errorf("%s is in %q, not %q", table.Name(), got.Name(), want.Name())
		}
		if got := set.Unit(table.Name(), key(1)); got != want.Unit(table.Name(), key(1)) || got.Storage != want.Name() {
			t.Errorf("unit of %s: %+v", table.Name(), got)
		}
	}
}

func TestGetOfSeveralStoragesKeepsTheOrderOfTheRequests(t *testing.T) {
	set, _, _ := newSet(t)
	for _, table := range []*model.Table{accounts, log, boxes} {
		for id := range int32(3) {
			if err := set.Mutate(t.Context(), storage.Batch{Mutations: []storage.Mutation{put(table, id, table.Name().Name+string('0'+id))}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	get := func(table *model.Table, id int32) storage.Get { return storage.Get{Table: table, Key: key(id)} }
	for _, gets := range [][]storage.Get{
		{get(boxes, 2), get(accounts, 1), get(log, 0), get(accounts, 9), get(boxes, 0), get(accounts, 0)},
		{get(accounts, 0), get(accounts, 2)},
		{get(boxes, 1), get(log, 1)},
		{},
	} {
		rows, err := set.Get(t.Context(), gets)
		if err != nil {
			t.Fatal(err)
		}
		var got, want []string
		for i, g := range gets {
			id := g.Key.At(0).Int64()
			if id == 9 {
				if rows[i] != nil {
					t.Errorf("a row out of nothing: %v", rows[i])
				}
				continue
			}
			want = append(want, g.Table.Name().Name+string('0'+rune(id)))
			got = append(got, rows[i].Get("v").Str())
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
}

func TestGetReportsTheErrorOfOneStorage(t *testing.T) {
	set, _, _ := newSet(t)
	missing := mustTable("bank", "nowhere")
	_, err := set.Get(t.Context(), []storage.Get{{Table: boxes, Key: key(1)}, {Table: missing, Key: key(1)}})
	if !errors.Is(err, model.ErrNotFound) {
		t.Error(err)
	}
}

func TestOneBatchOverTwoStoragesIsRefusedAndNothingIsWritten(t *testing.T) {
	set, _, _ := newSet(t)
	err := set.Mutate(t.Context(), storage.Batch{Mutations: []storage.Mutation{put(accounts, 1, "x"), put(boxes, 1, "x")}})
	if storage.OutcomeOf(err) != storage.Refused || !strings.Contains(err.Error(), `bank.accounts in storage "a" and vault.boxes in storage "b"`) {
		t.Errorf("%v", err)
	}
	rows, err := set.Get(t.Context(), []storage.Get{{Table: accounts, Key: key(1)}, {Table: boxes, Key: key(1)}})
	if err != nil || rows[0] != nil || rows[1] != nil {
		t.Errorf("%v %v", rows, err)
	}
	if err := set.Mutate(t.Context(), storage.Batch{Mutations: []storage.Mutation{put(log, 1, "x"), put(boxes, 1, "x")}}); err != nil {
		t.Errorf("two tables of one storage: %v", err)
	}
}

func TestNamespacesAndTablesAreThoseThatCanBeReached(t *testing.T) {
	set, a, b := newSet(t)
	// A table that lies where nobody looks for it: namespace vault is mapped to b.
	for _, stray := range []*model.Table{mustTable("vault", "stray"), mustTable("hidden", "stray")} {
		if err := errors.Join(a.Admin().CreateNamespace(t.Context(), stray.Name().Namespace), a.Admin().CreateTable(t.Context(), stray)); err != nil {
			t.Fatal(err)
		}
	}
	namespaces, err := set.Admin().Namespaces(t.Context())
	if diff := cmp.Diff([]string{"bank", "other", "vault"}, namespaces); err != nil || diff != "" {
		t.Error(err, diff)
	}
	for ns, want := range map[string][]model.TableName{
		"bank": {accounts.Name(), log.Name()}, "vault": {boxes.Name()}, "other": {others.Name()}, "hidden": nil,
	} {
		got, err := set.Admin().Tables(t.Context(), ns)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Error(ns, err, diff)
		}
	}
	if _, err := b.Admin().Table(t.Context(), log.Name()); err != nil {
		t.Errorf("bank.log is not in b: %v", err)
	}
	if err := errors.Join(set.Admin().DropTable(t.Context(), log.Name()), set.Admin().DropTable(t.Context(), accounts.Name()), set.Admin().DropNamespace(t.Context(), "bank")); err != nil {
		t.Error(err)
	}
}

func TestWrongRoutingIsRefused(t *testing.T) {
	a, b := memory.New("a"), memory.New("b")
	for name, c := range map[string]struct {
		storages []storage.Storage
		routing  multi.Routing
	}{
		"no storage":         {},
		"two of one name":    {[]storage.Storage{a, memory.New("a")}, multi.Routing{Default: "a"}},
		"no default":         {[]storage.Storage{a, b}, multi.Routing{}},
		"unknown default":    {[]storage.Storage{a, b}, multi.Routing{Default: "c"}},
		"unknown namespace":  {[]storage.Storage{a, b}, multi.Routing{Default: "a", Namespaces: map[string]string{"x": "c"}}},
		"unknown table home": {[]storage.Storage{a, b}, multi.Routing{Default: "a", Tables: map[model.TableName]string{log.Name(): "c"}}},
	} {
		if _, err := multi.New(c.storages, c.routing); !errors.Is(err, model.ErrBadArgument) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestASetOfOneIsThatStorage(t *testing.T) {
	a := memory.New("only")
	set := multi.Single(a)
	if set.Name() != "only" || set.Route(boxes.Name()) != storage.Storage(a) || len(set.Storages()) != 1 {
		t.Error(set.Name())
	}
	if _, err := set.Storage("onyl"); !errors.Is(err, model.ErrNotFound) || !strings.Contains(err.Error(), `did you mean "only"`) {
		t.Error(err)
	}
	if err := set.Close(); err != nil {
		t.Error(err)
	}
}
