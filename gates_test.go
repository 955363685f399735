//go:build servers

package stillpoint_test

import (
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/stillpoint-db/stillpoint"
	"github.com/stillpoint-db/stillpoint/internal/testenv"
	_ "github.com/stillpoint-db/stillpoint/storage/postgres"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// meter counts what reaches a PostgreSQL database.
type meter struct {
	t       *testing.T
	server  *testenv.PostgresServer
	proxy   *testenv.Proxy
	traffic func() testenv.PostgresTraffic
}

// costs are what a number of transactions cost one database.
type costs struct {
	Trips      int64 // round trips
	Statements int64
	Commits    int64 // in the server's log of changes, which it flushes for each
}

// behind starts a PostgreSQL server behind a proxy. Nothing but what comes through
// the proxy writes to it.
func behind(t *testing.T) (*meter, stillpoint.Properties) {
	t.Helper()
	s := testenv.StartPostgres(t, "autovacuum=off", "synchronous_commit=on")
	s.Exec(t, "postgres", "CREATE EXTENSION pg_walinspect")
	p := testenv.NewProxy(t, s.Addr())
	return &meter{t, s, p, testenv.CountPostgres(p)}, stillpoint.Properties{
		"scalar.db.storage":        "jdbc",
		"scalar.db.contact_points": strings.Replace(s.URL(s.Database(t)), s.Addr(), p.Addr(), 1),
		"scalar.db.username":       s.User,
		"scalar.db.password":       s.Password,
		// One session, so that all statements are prepared in it by the warm-up.
		"scalar.db.jdbc.connection_pool.max_total": "1",
	}
}

// during counts what f costs.
func (m *meter) during(f func()) costs {
	m.t.Helper()
	trips, traffic, lsn := m.proxy.RoundTrips(), m.traffic(), m.lsn()
	f()
	spent := m.traffic().Sub(traffic)
	records := m.server.Exec(m.t, "postgres", fmt.Sprintf(
		`SELECT coalesce(sum(count), 0) FROM pg_get_wal_stats('%s', '%s', true) WHERE "resource_manager/record_type" = 'Transaction/COMMIT'`, lsn, m.lsn()))
	commits, err := strconv.ParseInt(records[0][0], 10, 64)
	must(m.t, err)
	return costs{m.proxy.RoundTrips() - trips, spent.Statements, commits}
}

func (m *meter) lsn() string {
	return m.server.Exec(m.t, "postgres", "SELECT pg_current_wal_flush_lsn()")[0][0]
}

// times multiplies the costs of one transaction.
func (c costs) times(n int64) costs { return costs{c.Trips * n, c.Statements * n, c.Commits * n} }

func openPlain(t *testing.T, p stillpoint.Properties, defs ...stillpoint.TableDef) *stillpoint.DB {
	t.Helper()
	db, err := stillpoint.Open(t.Context(), p)
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	must(t, db.CreateTables(t.Context(), defs...))
	return db
}

// The counts of docs/transactions.md, on the wire of a real server.
func TestAReadModifyWriteOfOneDatabaseCostsTwoRoundTrips(t *testing.T) {
	server, props := behind(t)
	db := openPlain(t, props, stillpoint.Define[Account]("bank.accounts"))
	accounts := stillpoint.TableOf[Account](db, "bank.accounts")
	change := func() {
		must(t, db.Transact(t.Context(), func(tx *stillpoint.Tx) error {
			a, _, err := accounts.Find(tx, 1)
			if err != nil {
				return err
			}
			return accounts.Put(tx, Account{ID: 1, Balance: a.Balance + 1})
		}))
	}
	for range 5 {
		change()
	}
	const n = 50
	got := server.during(func() {
		for range n {
			change()
		}
	})
	if want := (costs{Trips: 2, Statements: 2, Commits: 1}).times(n); got != want {
		t.Errorf("%d transactions cost %+v; want %+v", n, got, want)
	}

	var m0, m1 runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m0)
	for range n {
		change()
	}
	runtime.ReadMemStats(&m1)
	allocs, bytes := (m1.Mallocs-m0.Mallocs)/n, (m1.TotalAlloc-m0.TotalAlloc)/n
	t.Logf("%d allocations, %d bytes a transaction", allocs, bytes) // the proxy's own included
	if allocs > 60 || bytes > 12<<10 {
		t.Errorf("a transaction takes %d allocations and %d bytes; want at most 60 and 12 kB", allocs, bytes)
	}
}

func TestATransactionOverTwoDatabasesCostsThreeRoundTripsUpToItsAnswer(t *testing.T) {
	pa, a := behind(t)
	pb, b := behind(t)
	props := stillpoint.Properties{
		"scalar.db.storage":                         "multi-storage",
		"scalar.db.multi_storage.storages":          "a,b",
		"scalar.db.multi_storage.namespace_mapping": "bank:a,vault:b,coordinator:a",
		"scalar.db.multi_storage.default_storage":   "a",
	}
	for name, from := range map[string]stillpoint.Properties{"a": a, "b": b} {
		for k, v := range from {
			props["scalar.db.multi_storage.storages."+name+"."+strings.TrimPrefix(k, "scalar.db.")] = v
		}
	}
	db := openPlain(t, props, stillpoint.Define[Account]("bank.accounts"), stillpoint.Define[Account]("vault.accounts"))
	checking, savings := stillpoint.TableOf[Account](db, "bank.accounts"), stillpoint.TableOf[Account](db, "vault.accounts")
	change := func() {
		must(t, db.Transact(t.Context(), func(tx *stillpoint.Tx) error {
			var x, y Account
			var foundX, foundY bool
			if err := tx.GetAll(checking.IntoIfFound(&x, &foundX, 1), savings.IntoIfFound(&y, &foundY, 1)); err != nil {
				return err
			}
			if err := checking.Put(tx, Account{ID: 1, Balance: x.Balance - 1}); err != nil {
				return err
			}
			return savings.Put(tx, Account{ID: 1, Balance: y.Balance + 1})
		}))
		must(t, db.Flush(t.Context())) // so that what goes on behind the answer is counted with its own transaction
	}
	for range 5 {
		change()
	}
	const n = 30
	var gotA, gotB costs
	gotB = pb.during(func() {
		gotA = pa.during(func() {
			for range n {
				change()
			}
		})
	})
	// The Coordinator's database: the read, and the commit point with its record.
	if want := (costs{Trips: 2, Statements: 3, Commits: 1}).times(n); gotA != want {
		t.Errorf("%d transactions cost the Coordinator's database %+v; want %+v", n, gotA, want)
	}
	// The other one: the read, the preparation, and behind the answer the settling.
	if want := (costs{Trips: 3, Statements: 3, Commits: 2}).times(n); gotB != want {
		t.Errorf("%d transactions cost the other database %+v; want %+v", n, gotB, want)
	}
}
