// Package bank makes small sets of databases for the tests of backups: a
// Coordinator's table, transactional tables of accounts and of every type, and
// one table that is not transactional.
package bank

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/memory"
	"github.com/stillpoint-db/stillpoint/storage/multi"
	_ "github.com/stillpoint-db/stillpoint/storage/sqlite" // for SQLite
	"github.com/stillpoint-db/stillpoint/txn/record"
)

// Opener opens an empty database as a storage of a name.
type Opener func(t testing.TB, name string) storage.Storage

// Memory opens a database in memory.
func Memory(_ testing.TB, name string) storage.Storage { return memory.New(name) }

// SQLite opens a SQLite file in a temporary folder.
func SQLite(t testing.TB, name string) storage.Storage {
	t.Helper()
	return OpenSQLite(t, name, filepath.Join(t.TempDir(), name+".db"))
}

// OpenSQLite opens a SQLite file.
func OpenSQLite(t testing.TB, name, file string) storage.Storage {
	t.Helper()
	s, err := storage.Open(t.Context(), storage.Config{Name: name, Driver: "sqlite", URL: "jdbc:sqlite:" + file})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Set makes a set of storages, the first of which is the default and holds the
// Coordinator's table; the namespace of each is its name. It is closed at the
// end of the test.
func Set(t testing.TB, storages ...storage.Storage) *multi.Set {
	t.Helper()
	routing := multi.Routing{Default: storages[0].Name(), Namespaces: map[string]string{}}
	for _, s := range storages {
		routing.Namespaces[s.Name()] = s.Name()
	}
	set, err := multi.New(storages, routing)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := set.Close(); err != nil {
			t.Error(err)
		}
	})
	return set
}

// Create creates a table and its namespace.
func Create(t testing.TB, s storage.Storage, table *model.Table) {
	t.Helper()
	ctx := context.Background()
	if err := s.Admin().CreateNamespace(ctx, table.Name().Namespace); err != nil {
		t.Fatal(err)
	}
	if err := s.Admin().CreateTable(ctx, table); err != nil {
		t.Fatal(err)
	}
}

// New makes a set of databases, each with a table of accounts that holds some
// rows, and the Coordinator's table in the first.
func New(t testing.TB, open Opener, rows int, names ...string) *multi.Set {
	t.Helper()
	var storages []storage.Storage
	for _, name := range names {
		storages = append(storages, open(t, name))
	}
	set := Set(t, storages...)
	Create(t, storages[0], record.CoordinatorTable(""))
	for _, s := range storages {
		table := Accounts(s.Name())
		Create(t, s, table)
		for i := range rows {
			Put(t, s, table, int32(i), 1000)
		}
	}
	return set
}

// Accounts is the table of accounts of a namespace, as it is stored.
func Accounts(namespace string) *model.Table {
	return physical(model.TableSpec{
		Name:         model.TableName{Namespace: namespace, Name: "accounts"},
		Columns:      []model.Column{{Name: "id", Type: model.Int}, {Name: "balance", Type: model.BigInt}},
		PartitionKey: []string{"id"},
	})
}

// Plain is a table that is not transactional.
func Plain(namespace string) *model.Table {
	t, err := model.NewTable(model.TableSpec{
		Name:         model.TableName{Namespace: namespace, Name: "log"},
		Columns:      []model.Column{{Name: "id", Type: model.Int}, {Name: "text", Type: model.Text}},
		PartitionKey: []string{"id"},
	})
	return must(t, err)
}

// Every is a table with a column of each type, as it is stored.
func Every(namespace string) *model.Table {
	spec := model.TableSpec{
		Name:          model.TableName{Namespace: namespace, Name: "every"},
		Columns:       []model.Column{{Name: "p", Type: model.Text}, {Name: "c", Type: model.Int}},
		PartitionKey:  []string{"p"},
		ClusteringKey: []model.ClusteringColumn{{Name: "c", Order: model.Desc}},
		Indexes:       []string{"v_bigint"},
	}
	for typ := model.Boolean; typ <= model.TimestampTZ; typ++ {
		spec.Columns = append(spec.Columns, model.Column{Name: "v_" + lower(typ.String()), Type: typ})
	}
	return physical(spec)
}

// Limits returns rows of Every that hold the limits of every type, and NULLs.
func Limits(table *model.Table) []*model.Row {
	first := model.CivilDate{Year: 1000, Month: 1, Day: 1}
	last := model.CivilDate{Year: 9999, Month: 12, Day: 31}
	late := model.CivilTime{Hour: 23, Minute: 59, Second: 59, Nanosecond: 999_000_000}
	vs := [][]model.Value{
		{model.BooleanValue(false), model.IntValue(math.MinInt32), model.BigIntValue(-1 << 53),
			model.FloatValue(-math.MaxFloat32), model.DoubleValue(-math.MaxFloat64), model.TextValue(""), model.BlobValue(nil),
			model.DateValue(first), model.TimeValue(model.CivilTime{}), model.TimestampValue(model.CivilDateTime{Date: first}), model.TimestampTZMilli(-30610224000000)},
		{model.BooleanValue(true), model.IntValue(math.MaxInt32), model.BigIntValue(1 << 53),
			model.FloatValue(math.SmallestNonzeroFloat32), model.DoubleValue(0.1), model.TextValue("naïve ☃ 𝄞 'x'"), model.BlobValue([]byte{0, 255, 128}),
			model.DateValue(last), model.TimeValue(late), model.TimestampValue(model.CivilDateTime{Date: last, Time: late}), model.TimestampTZMilli(253402300799999)},
		nil,
	}
	var rows []*model.Row
	for i, values := range vs {
		row := &model.Row{Table: table, Values: make([]model.Value, len(table.Columns()))}
		for j, c := range table.Columns() {
			row.Values[j] = model.Null(c.Type)
		}
		row.Values[0], row.Values[1] = model.TextValue("k"), model.IntValue(int32(i))
		for j, v := range values {
			row.Values[table.Position("v_"+lower((model.Boolean+model.DataType(j)).String()))] = v
		}
		rows = append(rows, row)
	}
	return rows
}

// PutRow writes a whole row.
func PutRow(t testing.TB, s storage.Storage, row *model.Row) {
	t.Helper()
	m := storage.Mutation{Kind: storage.Put, Table: row.Table, Key: row.Key()}
	for i := row.Table.KeyLen(); i < len(row.Values); i++ {
		m.Set = append(m.Set, storage.Assignment{Column: row.Table.Columns()[i].Name, Value: row.Values[i]})
	}
	if err := s.Mutate(context.Background(), storage.Batch{Mutations: []storage.Mutation{m}}); err != nil {
		t.Fatal(err)
	}
}

// Put writes an account as one transaction would have left it.
func Put(t testing.TB, s storage.Storage, table *model.Table, id int32, balance int64) {
	t.Helper()
	if err := Set1(context.Background(), s, table, id, balance); err != nil {
		t.Fatal(err)
	}
}

// Set1 writes an account as a one-phase commit does.
func Set1(ctx context.Context, s storage.Storage, table *model.Table, id int32, balance int64) error {
	set := func(column string, v model.Value) storage.Assignment {
		return storage.Assignment{Column: column, Value: v}
	}
	return s.Mutate(ctx, storage.Batch{Mutations: []storage.Mutation{{
		Kind: storage.Put, Table: table, Key: model.Key{Partition: []model.Value{model.IntValue(id)}},
		Set: []storage.Assignment{
			set("balance", model.BigIntValue(balance)), set(record.TxID, model.TextValue(fmt.Sprintf("tx-%d-%d", id, balance))),
			set(record.TxState, model.IntValue(int32(record.Committed))), set(record.TxVersion, model.IntValue(1)),
			set(record.PreparedAt, model.BigIntValue(1)), set(record.CommittedAt, model.BigIntValue(1)),
		},
	}}})
}

// All reads all rows of a table, in the order of their keys.
func All(t testing.TB, s storage.Storage, table *model.Table) [][]model.Value {
	t.Helper()
	var all [][]model.Value
	for token := ""; ; {
		page, err := s.Scan(context.Background(), storage.Scan{Table: table, Kind: storage.ScanTable, Token: token})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.Rows {
			all = append(all, r.Values)
		}
		if token = page.Next; token == "" {
			Sort(table, all)
			return all
		}
	}
}

// Sort orders rows by their keys.
func Sort(table *model.Table, rows [][]model.Value) {
	slices.SortFunc(rows, func(a, b []model.Value) int { return model.KeyOf(table, a).Compare(model.KeyOf(table, b)) })
}

func physical(spec model.TableSpec) *model.Table {
	user, err := model.NewTable(spec)
	t, perr := record.Physical(must(user, err))
	return must(t, perr)
}

func must(t *model.Table, err error) *model.Table {
	if err != nil {
		panic(err)
	}
	return t
}

func lower(s string) string {
	b := []byte(s)
	for i := range b {
		b[i] |= 0x20
	}
	return string(b)
}
