//go:build servers

package postgres

import (
	"context"
	"strconv"
	"strings"
	"testing"

	"github.com/stillpoint-db/stillpoint/internal/testenv"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// TestWireCounts gates what calls cost, seen from outside: round trips at a
// proxy, write transactions by the ids that the server has given out.
func TestWireCounts(t *testing.T) {
	near := openFresh(t)
	table := accounts(t, near)
	server := testenv.Postgres(t)
	server.Set(t, "autovacuum", "off") // it writes, too
	server.WaitForSetting(t, "autovacuum", "off")
	waitFor(t, near, "SELECT 1 FROM pg_stat_activity WHERE backend_type = 'autovacuum worker' HAVING count(*) = 0")
	proxy := testenv.NewProxy(t, server.Addr())
	traffic := testenv.CountPostgres(proxy)
	cfg := configOf(server, databaseOf(near))
	cfg.URL = strings.Replace(cfg.URL, server.Addr(), proxy.Addr(), 1)
	d := openOn(t, cfg)
	apply(t, d, insert(table, "x", 1))
	put := func(id string) storage.Mutation {
		return storage.Mutation{Table: table, Key: key(id), Set: []storage.Assignment{balance(1)}}
	}
	xid := func() int64 {
		n, err := strconv.ParseInt(sql(t, near, "SELECT pg_current_xact_id()")[0][0], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for _, c := range []struct {
		name                       string
		trips, statements, commits int64
		call                       func()
	}{
		{"get 1", 1, 1, 0, func() { balances(t, d, table, "a") }},
		{"get 5", 1, 5, 0, func() { balances(t, d, table, "a", "b", "c", "d", "e") }},
		{"scan", 1, 1, 0, func() {
			if _, err := d.Scan(context.Background(), storage.Scan{Table: table, Kind: storage.ScanTable}); err != nil {
				t.Fatal(err)
			}
		}},
		{"put 1", 1, 1, 1, func() { apply(t, d, put("a")) }},
		{"update 1", 1, 1, 1, func() { apply(t, d, updateIf(table, "x", 1, 1)) }},
		{"batch 4", 1, 4, 1, func() {
			apply(t, d, put("a"), updateIf(table, "x", 1, 1), put("c"), storage.Mutation{Kind: storage.Delete, Table: table, Key: key("d")})
		}},
		{"batch 100", 1, 100, 1, func() {
			ms := make([]storage.Mutation, 100)
			for i := range ms {
				ms[i] = put("n" + strconv.Itoa(i))
			}
			apply(t, d, ms...)
		}},
	} {
		c.call() // opens the connection and prepares
		trips, before, first := proxy.RoundTrips(), traffic(), xid()
		c.call()
		if got := proxy.RoundTrips() - trips; got != c.trips {
			t.Errorf("%s: %d round trips, want %d", c.name, got, c.trips)
		}
		if got, want := traffic().Sub(before), (testenv.PostgresTraffic{Statements: c.statements, Syncs: 1}); got != want {
			t.Errorf("%s: sent %+v, want %+v", c.name, got, want)
		}
		if got := xid() - first - 1; got != c.commits {
			t.Errorf("%s: %d write transactions, want %d", c.name, got, c.commits)
		}
	}
}

// TestAllocations gates what calls allocate beside the answer itself.
func TestAllocations(t *testing.T) {
	d := openFresh(t)
	table := accounts(t, d)
	apply(t, d, insert(table, "a", 1), insert(table, "b", 1))
	one := storage.Batch{Mutations: []storage.Mutation{updateIf(table, "a", 1, 1)}}
	two := storage.Batch{Mutations: []storage.Mutation{updateIf(table, "a", 1, 1), updateIf(table, "b", 1, 1)}}
	gets := []storage.Get{{Table: table, Key: key("a")}, {Table: table, Key: key("b")}}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for _, c := range []struct {
		name string
		most float64
		call func(context.Context) error
	}{
		{"mutate 1", 0, func(ctx context.Context) error { return d.Mutate(ctx, one) }},
		{"mutate 2", 0, func(ctx context.Context) error { return d.Mutate(ctx, two) }},
		{"get 1", 5, func(ctx context.Context) error { _, err := d.Get(ctx, gets[:1]); return err }},
		{"get 2", 6, func(ctx context.Context) error { _, err := d.Get(ctx, gets); return err }},
	} {
		for ctx, more := range map[context.Context]float64{context.Background(): 0, ctx: 3} {
			got := c.most + more + 1
			for try := 0; got > c.most+more && try < 3; try++ { // once in a while something else allocates beside
				got = testing.AllocsPerRun(200, func() {
					if err := c.call(ctx); err != nil {
						t.Fatal(err)
					}
				})
			}
			if got > c.most+more {
				t.Errorf("%s: %v allocations, want at most %v", c.name, got, c.most+more)
			}
		}
	}
}

func TestATableMadeAgainWithOtherTypesIsWrittenRight(t *testing.T) {
	d := openFresh(t)
	table := accounts(t, d)
	apply(t, d, insert(table, "a", 7))
	if err := d.Admin().DropTable(t.Context(), table.Name()); err != nil {
		t.Fatal(err)
	}
	spec := table.Spec()
	for i, c := range spec.Columns {
		if c.Name == "balance" {
			spec.Columns[i].Type = model.Float // as many bytes as INT
		}
	}
	table = createTable(t, d, spec)
	set := []storage.Assignment{{Column: "balance", Value: model.FloatValue(1.5)}}
	apply(t, d, storage.Mutation{Table: table, Key: key("a"), Set: set, Guard: storage.Guard{Kind: storage.NotExists}})
	rows, err := d.Get(t.Context(), []storage.Get{{Table: table, Key: key("a")}})
	if err != nil || rows[0].Get("balance") != model.FloatValue(1.5) {
		t.Errorf("read %v, %v", rows, err)
	}
}
