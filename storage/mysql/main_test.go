//go:build servers

package mysql

import (
	"context"
	"testing"
	"time"

	"github.com/stillpoint-db/stillpoint/internal/testenv"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

func TestMain(m *testing.M) {
	probeTime = 4 * time.Second // the insert itself waits for five
	repeatWithin = time.Minute  // the machine may stand still for a while
	testenv.Main(m)
}

// open opens the shared server's storage and closes it with the test.
func open(t testing.TB, change ...func(*storage.Config)) *Store {
	t.Helper()
	return openURL(t, testenv.MariaDB(t).URL(), change...)
}

func openURL(t testing.TB, url string, change ...func(*storage.Config)) *Store {
	t.Helper()
	cfg := storage.Config{Name: "db", Driver: DriverName, URL: url, User: testenv.MariaDBUser, Password: testenv.MariaDBPassword}
	for _, c := range change {
		c(&cfg)
	}
	s, err := storage.Open(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s.(*Store)
}

// asMySQL makes a storage take the way that it takes on MySQL.
func asMySQL(s *Store) *Store {
	s.server.mariadb, s.server.compound = false, false
	return s
}

func property(key, value string) func(*storage.Config) {
	return func(c *storage.Config) {
		if c.Properties == nil {
			c.Properties = map[string]string{}
		}
		c.Properties[key] = value
	}
}

// newTable creates a table k TEXT, c INT; v INT, t TEXT, b BLOB, … and drops it
// with the test.
func newTable(t testing.TB, s *Store, ns, name string) *model.Table {
	t.Helper()
	table, err := model.NewTable(model.TableSpec{
		Name: model.TableName{Namespace: ns, Name: name},
		Columns: []model.Column{{Name: "k", Type: model.Text}, {Name: "c", Type: model.Int}, {Name: "v", Type: model.Int}, {Name: "w", Type: model.Int},
			{Name: "t", Type: model.Text}, {Name: "b", Type: model.Blob}, {Name: "f", Type: model.Float}, {Name: "d", Type: model.Double},
			{Name: "o", Type: model.Boolean}, {Name: "l", Type: model.BigInt},
			{Name: "day", Type: model.Date}, {Name: "clock", Type: model.Time}, {Name: "ts", Type: model.Timestamp}, {Name: "tz", Type: model.TimestampTZ}},
		PartitionKey: []string{"k"}, ClusteringKey: []model.ClusteringColumn{{Name: "c"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	if err := s.Admin().CreateNamespace(ctx, ns); err != nil {
		t.Fatal(err)
	}
	if err := s.Admin().CreateTable(ctx, table); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Admin().DropTable(ctx, table.Name()); err != nil {
			t.Errorf("drop %s: %v", table.Name(), err)
		}
	})
	return table
}

func key(k string, c int32) model.Key {
	return model.Key{Partition: []model.Value{model.TextValue(k)}, Clustering: []model.Value{model.IntValue(c)}}
}

func put(t *model.Table, k string, v int32, guard storage.Guard) storage.Mutation {
	return storage.Mutation{Kind: storage.Put, Table: t, Key: key(k, 1), Set: []storage.Assignment{{Column: "v", Value: model.IntValue(v)}}, Guard: guard}
}

func vIs(n int32) storage.Guard {
	return storage.Guard{Kind: storage.If, Conditions: []model.Condition{{Column: "v", Op: model.Eq, Value: model.IntValue(n)}}}
}

func batch(ms ...storage.Mutation) storage.Batch { return storage.Batch{Mutations: ms} }

func mustMutate(t testing.TB, s *Store, ms ...storage.Mutation) {
	t.Helper()
	if err := s.Mutate(context.Background(), batch(ms...)); err != nil {
		t.Fatal(err)
	}
}

func valueOf(t testing.TB, s *Store, table *model.Table, k string) model.Value {
	t.Helper()
	rows, err := s.Get(context.Background(), []storage.Get{{Table: table, Key: key(k, 1)}})
	if err != nil {
		t.Fatal(err)
	}
	if rows[0] == nil {
		return model.Value{}
	}
	return rows[0].Get("v")
}
