package storagetest

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// Options tell the suite what it cannot find out.
type Options struct {
	// Second opens another Storage on the database of s, as another process
	// would. Tests that need two (fences, snapshots beside writers, several
	// processes) fail without it, unless OneProcess is set.
	Second     func(t testing.TB, s storage.Storage) storage.Storage
	OneProcess bool // the database cannot be opened twice

	// Server and Through make the tests of lost answers: Through opens a
	// Storage on the same database by way of a proxy at addr, which forwards
	// to Server. Without them these tests are left out.
	Server  string
	Through func(t testing.TB, s storage.Storage, addr string) storage.Storage

	LongNames []string // names for a namespace, table or column that must be refused
}

// suite is one run.
type suite struct {
	s    storage.Storage
	open func(t testing.TB) storage.Storage
	opts Options
	n    atomic.Int64
}

// Run runs the suite. open returns a Storage on an empty database of its own
// each time; the suite calls Close on none but those that it says it closes, so
// open should register a cleanup.
func Run(t *testing.T, open func(t testing.TB) storage.Storage, opts Options) {
	x := &suite{s: open(t), open: open, opts: opts}
	for _, part := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"Schema", x.testSchema}, {"Types", x.testTypes}, {"Mutate", x.testMutate}, {"Batch", x.testBatch}, {"Refusal", x.testRefusal},
		{"ScanPartition", x.testScanPartition}, {"ScanIndex", x.testScanIndex}, {"ScanOfTwoIndexes", x.testScanOfTwoIndexes}, {"ScanTable", x.testScanTable}, {"Paging", x.testPaging},
		{"Concurrency", x.testConcurrency}, {"Life", x.testLife}, {"LostAnswers", x.testLostAnswers},
		{"Fence", x.testFence}, {"Snapshot", x.testSnapshot}, {"Load", x.testLoad}, {"Inspect", x.testInspect}, {"Big", x.testBig},
	} {
		t.Run(part.name, part.run)
	}
}

// second opens another Storage on the suite's database; nil if there can be none.
func (x *suite) second(t *testing.T) storage.Storage {
	t.Helper()
	if x.opts.Second == nil {
		if !x.opts.OneProcess {
			t.Fatal("Options.Second is not given; set OneProcess if the database cannot be opened twice")
		}
		return nil
	}
	return x.opts.Second(t, x.s)
}

// name makes a table name in a namespace that no other test uses.
func (x *suite) name() model.TableName {
	return model.TableName{Namespace: fmt.Sprintf("st%d", x.n.Add(1)), Name: "things"}
}

// table creates a table in a namespace of its own.
func (x *suite) table(t *testing.T, spec model.TableSpec) *model.Table {
	t.Helper()
	if spec.Name.Name == "" {
		spec.Name = x.name()
	}
	table, err := model.NewTable(spec)
	if err != nil {
		t.Fatal(err)
	}
	create(t, x.s, table)
	return table
}

func create(t *testing.T, s storage.Storage, table *model.Table) {
	t.Helper()
	if err := s.Admin().CreateNamespace(t.Context(), table.Name().Namespace); err != nil {
		t.Fatal(err)
	}
	if err := s.Admin().CreateTable(t.Context(), table); err != nil {
		t.Fatal(err)
	}
}

// things is a table with one TEXT partition column p, one INT clustering column
// c, and the columns i INT (indexed), s TEXT, and copies before_i and before_s.
func things() model.TableSpec {
	return model.TableSpec{
		Columns: []model.Column{{Name: "p", Type: model.Text}, {Name: "c", Type: model.Int}, {Name: "i", Type: model.Int}, {Name: "s", Type: model.Text},
			{Name: "before_i", Type: model.Int}, {Name: "before_s", Type: model.Text}},
		PartitionKey: []string{"p"}, ClusteringKey: []model.ClusteringColumn{{Name: "c"}}, Indexes: []string{"i"},
	}
}

func key(p string, c int32) model.Key {
	return model.Key{Partition: []model.Value{model.TextValue(p)}, Clustering: []model.Value{model.IntValue(c)}}
}

func set(column string, v model.Value) storage.Assignment {
	return storage.Assignment{Column: column, Value: v}
}

// upsert makes an unconditional put.
func upsert(table *model.Table, k model.Key, as ...storage.Assignment) storage.Mutation {
	return storage.Mutation{Kind: storage.Put, Table: table, Key: k, Set: as}
}

func write(t *testing.T, s storage.Storage, ms ...storage.Mutation) {
	t.Helper()
	if err := mutate(t.Context(), s, ms...); err != nil {
		t.Fatalf("writing: %v", err)
	}
}

func mutate(ctx context.Context, s storage.Storage, ms ...storage.Mutation) error {
	return s.Mutate(ctx, storage.Batch{Mutations: ms})
}

// read returns a row, or nil.
func read(t testing.TB, s storage.Storage, table *model.Table, k model.Key) *model.Row {
	t.Helper()
	rows, err := s.Get(context.Background(), []storage.Get{{Table: table, Key: k}})
	if err != nil {
		t.Fatalf("reading %s: %v", k, err)
	}
	if len(rows) != 1 {
		t.Fatalf("one get was answered by %d rows", len(rows))
	}
	return rows[0]
}

// scanAll reads all pages. page is the limit of each.
func scanAll(t testing.TB, s storage.Storage, scan storage.Scan, page int) []*model.Row {
	t.Helper()
	var rows []*model.Row
	for n := 0; ; n++ {
		scan.Limit = page
		p, err := s.Scan(context.Background(), scan)
		if err != nil {
			t.Fatalf("scan: %v", err)
		}
		if page > 0 && len(p.Rows) > page {
			t.Fatalf("a page of at most %d rows has %d", page, len(p.Rows))
		}
		rows = append(rows, p.Rows...)
		if p.Next == "" {
			return rows
		}
		if n > 100000 {
			t.Fatal("the scan does not end")
		}
		scan.Token = p.Next
	}
}

// wide reports a failed comparison of values at once.
func wantRow(t testing.TB, row *model.Row, want map[string]model.Value) {
	t.Helper()
	if row == nil {
		t.Errorf("there is no row; want %v", want)
		return
	}
	for name, v := range want {
		if got := row.Get(name); got != v {
			t.Errorf("column %s is %s, want %s", name, got, v)
		}
	}
}
