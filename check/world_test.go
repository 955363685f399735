package check_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stillpoint-db/stillpoint/check"
	"github.com/stillpoint-db/stillpoint/internal/testenv"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/memory"
	"github.com/stillpoint-db/stillpoint/storage/multi"
	_ "github.com/stillpoint-db/stillpoint/storage/sqlite"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

const (
	groupID = "0123456789abcdefghijklmn"
	t0      = int64(1_700_000_000_000) // when the test data was written
)

// world is two databases: bank.accounts, bank.history and the Coordinator's table
// in "one", vault.accounts in "two".
type world struct {
	t      testing.TB
	set    *multi.Set
	tables map[string]*model.Table // physical, by name
}

func name(s string) model.TableName {
	n, err := model.ParseTableName(s)
	if err != nil {
		panic(err)
	}
	return n
}

func newWorld(t testing.TB, open func(t testing.TB, name string) storage.Storage) *world {
	t.Helper()
	w := &world{t: t, tables: map[string]*model.Table{}}
	set, err := multi.New([]storage.Storage{open(t, "one"), open(t, "two")}, multi.Routing{Default: "one", Namespaces: map[string]string{"vault": "two"}})
	w.must(err)
	w.set = set
	t.Cleanup(func() { w.must(set.Close()) })
	accounts := []model.Column{{Name: "id", Type: model.Int}, {Name: "balance", Type: model.BigInt}, {Name: "note", Type: model.Text}}
	for _, spec := range []model.TableSpec{
		{Name: name("bank.accounts"), Columns: accounts, PartitionKey: []string{"id"}},
		{Name: name("vault.accounts"), Columns: accounts, PartitionKey: []string{"id"}},
		{Name: name("bank.history"), PartitionKey: []string{"account"}, ClusteringKey: []model.ClusteringColumn{{Name: "seq", Order: model.Asc}},
			Columns: []model.Column{{Name: "account", Type: model.BigInt}, {Name: "seq", Type: model.Int}, {Name: "amount", Type: model.Int}, {Name: "rate", Type: model.Double}}},
	} {
		user, err := model.NewTable(spec)
		w.must(err)
		phys, err := record.Physical(user)
		w.must(err)
		w.create(phys)
	}
	coord := record.CoordinatorTable("").Spec()
	coord.Columns = append(coord.Columns, model.Column{Name: record.ChildIDs, Type: model.Text}, model.Column{Name: record.WriteSet, Type: model.Blob})
	table, err := model.NewTable(coord)
	w.must(err)
	w.create(table)
	// Six committed accounts by one transaction over both databases.
	for i := range 3 {
		w.committed("bank.accounts", i, "base", 100)
		w.committed("vault.accounts", i, "base", 100)
	}
	w.decide("base", record.Committed, t0+1)
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) create(t *model.Table) {
	w.t.Helper()
	w.tables[t.Name().String()] = t
	st := w.set.Route(t.Name())
	w.must(st.Admin().CreateNamespace(w.t.Context(), t.Name().Namespace))
	w.must(st.Admin().CreateTable(w.t.Context(), t))
}

// columns are values by column name: int and int64 become whatever integer the
// column is.
type columns map[string]any

func (w *world) put(table string, cs columns) {
	w.t.Helper()
	t := w.tables[table]
	m := storage.Mutation{Table: t}
	values := make([]model.Value, t.KeyLen())
	for c, x := range cs {
		i, err := t.Column(c)
		w.must(err)
		v := value(t.Columns()[i].Type, x)
		if t.IsKey(i) {
			values[i] = v
		} else {
			m.Set = append(m.Set, storage.Assignment{Column: c, Value: v})
		}
	}
	m.Key = model.KeyOf(t, values)
	w.must(w.set.Mutate(w.t.Context(), storage.Batch{Mutations: []storage.Mutation{m}}))
}

func value(t model.DataType, x any) model.Value {
	switch x := x.(type) {
	case nil:
		return model.Null(t)
	case int:
		if t == model.Double {
			return model.DoubleValue(float64(x))
		}
		return model.RawValue(t, int64(x))
	case int64:
		return model.RawValue(t, x)
	case float64:
		return model.DoubleValue(x)
	case string:
		if t == model.Blob {
			return model.BlobStringValue(x)
		}
		return model.TextValue(x)
	}
	panic("value")
}

// committed puts a record that is committed at t0+1.
func (w *world) committed(table string, id int, tx string, balance int64) {
	w.t.Helper()
	w.put(table, columns{"id": id, "balance": balance, "tx_id": tx, "tx_state": 3, "tx_version": 1, "tx_prepared_at": t0, "tx_committed_at": t0 + 1})
}

// prepared is an update of a record of "base" by tx that is not committed.
func prepared(id int, tx string, balance int64) columns {
	return columns{"id": id, "balance": balance, "tx_id": tx, "tx_state": 1, "tx_version": 2, "tx_prepared_at": t0 + 10, "tx_committed_at": t0 + 1,
		"before_balance": 100, "before_tx_id": "base", "before_tx_state": 3, "before_tx_version": 1, "before_tx_prepared_at": t0, "before_tx_committed_at": t0 + 1}
}

// inserted is a new record by tx that is not committed.
func inserted(id int, tx string, balance int64) columns {
	return columns{"id": id, "balance": balance, "tx_id": tx, "tx_state": 1, "tx_version": 1, "tx_prepared_at": t0 + 10}
}

func (c columns) with(more columns) columns {
	out := columns{}
	for _, m := range []columns{c, more} {
		for k, v := range m {
			out[k] = v
		}
	}
	return out
}

func (w *world) decide(tx string, s record.State, at int64) {
	w.t.Helper()
	w.put("coordinator.state", columns{"tx_id": tx, "tx_state": int(s), "tx_created_at": at})
}

func (w *world) source() *check.Databases { return check.NewDatabases("test", w.set, "") }

// check checks the world as a copy, or as live databases.
func (w *world) check(live bool, opts check.Options) *check.Report {
	w.t.Helper()
	opts.Scratch = w.t.TempDir()
	var src check.Source = w.source()
	if !live {
		src = w.source().Still()
	}
	rep, err := check.Run(w.t.Context(), src, opts)
	w.must(err)
	return rep
}

func TestMain(m *testing.M) { testenv.Main(m) }

// engines open an empty database of their own.
var engines = map[string]func(t testing.TB, name string) storage.Storage{"memory": openMemory, "SQLite": openSQLite}

func openSQLite(t testing.TB, name string) storage.Storage {
	t.Helper()
	return opened(t, storage.Config{Name: name, Driver: "sqlite", URL: "jdbc:sqlite:" + filepath.Join(t.TempDir(), name+".db")})
}

func opened(t testing.TB, cfg storage.Config) storage.Storage {
	t.Helper()
	s, err := storage.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func openMemory(_ testing.TB, name string) storage.Storage { return memory.New(name) }

func later() int64 { return hourFromNow }

var hourFromNow = time.Now().Add(time.Hour).UnixMilli() // one, or rules that compare times see two
