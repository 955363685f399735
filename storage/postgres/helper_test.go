//go:build servers

package postgres

import (
	"context"
	"testing"
	"time"

	"github.com/stillpoint-db/stillpoint/internal/testenv"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// shippedIdle is the fenceIdle of the product. Tests hold fences while they do
// much else, and repeat what was lost, on machines that may stand still for a while.
var shippedIdle = fenceIdle

func TestMain(m *testing.M) {
	fenceIdle, repeatWithin = time.Minute, time.Minute
	testenv.Main(m)
}

// fenceOf asks for a fence that nobody is in the way of: it comes at once, unless
// the machine is busy.
func fenceOf(tables ...model.TableName) storage.FenceOptions {
	return storage.FenceOptions{Tables: tables, Wait: 20 * time.Second}
}

// configOf is the configuration of a storage over a database of a server.
func configOf(s *testenv.PostgresServer, database string) storage.Config {
	return storage.Config{Name: "pg", Driver: "postgres", URL: s.URL(database), User: s.User, Password: storage.Secret(s.Password)}
}

// openOn opens a storage for one test.
func openOn(t testing.TB, cfg storage.Config) *db {
	t.Helper()
	d, err := open(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// openFresh opens a storage over an empty database of the shared server.
func openFresh(t testing.TB) *db {
	t.Helper()
	s := testenv.Postgres(t)
	return openOn(t, configOf(s, s.Database(t)))
}

// accounts creates bank.accounts (id TEXT; balance INT, note TEXT, before_balance INT).
func accounts(t testing.TB, d *db) *model.Table {
	t.Helper()
	return createTable(t, d, model.TableSpec{
		Name: model.TableName{Namespace: "bank", Name: "accounts"}, PartitionKey: []string{"id"},
		Columns: []model.Column{{Name: "id", Type: model.Text}, {Name: "balance", Type: model.Int}, {Name: "note", Type: model.Text}, {Name: "before_balance", Type: model.Int}},
	})
}

func createTable(t testing.TB, d *db, spec model.TableSpec) *model.Table {
	t.Helper()
	table, err := model.NewTable(spec)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	if err := d.Admin().CreateNamespace(ctx, spec.Name.Namespace); err != nil {
		t.Fatal(err)
	}
	if err := d.Admin().CreateTable(ctx, table); err != nil {
		t.Fatal(err)
	}
	return table
}

func key(id string) model.Key { return model.Key{Partition: []model.Value{model.TextValue(id)}} }

func balance(n int32) storage.Assignment {
	return storage.Assignment{Column: "balance", Value: model.IntValue(n)}
}

func insert(t *model.Table, id string, n int32) storage.Mutation {
	return storage.Mutation{Table: t, Key: key(id), Set: []storage.Assignment{balance(n)}, Guard: storage.Guard{Kind: storage.NotExists}}
}

// updateIf sets a balance if it is what it should be.
func updateIf(t *model.Table, id string, from, to int32) storage.Mutation {
	return storage.Mutation{Table: t, Key: key(id), Set: []storage.Assignment{balance(to)},
		Guard: storage.Guard{Kind: storage.If, Conditions: []model.Condition{{Column: "balance", Op: model.Eq, Value: model.IntValue(from)}}}}
}

func apply(t testing.TB, d *db, ms ...storage.Mutation) {
	t.Helper()
	if err := d.Mutate(context.Background(), storage.Batch{Mutations: ms}); err != nil {
		t.Fatal(err)
	}
}

// balances reads balances by key; -1 stands for a row that is not there.
func balances(t testing.TB, d *db, table *model.Table, ids ...string) []int64 {
	t.Helper()
	gets := make([]storage.Get, len(ids))
	for i, id := range ids {
		gets[i] = storage.Get{Table: table, Key: key(id)}
	}
	rows, err := d.Get(context.Background(), gets)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]int64, len(rows))
	for i, r := range rows {
		out[i] = -1
		if r != nil {
			out[i] = r.Get("balance").Int64()
		}
	}
	return out
}
