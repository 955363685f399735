//go:build servers

package stillpoint_test

import (
	"runtime"
	"strings"
	"testing"

	"github.com/stillpoint-db/stillpoint"
	"github.com/stillpoint-db/stillpoint/internal/testenv"
	_ "github.com/stillpoint-db/stillpoint/storage/postgres"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// behind opens a PostgreSQL database behind a proxy that counts round trips.
func behind(t *testing.T) (*testenv.Proxy, stillpoint.Properties) {
	t.Helper()
	s := testenv.Postgres(t)
	p := testenv.NewProxy(t, s.Addr())
	return p, stillpoint.Properties{
		"scalar.db.storage":        "jdbc",
		"scalar.db.contact_points": strings.Replace(s.URL(s.Database(t)), s.Addr(), p.Addr(), 1),
		"scalar.db.username":       s.User,
		"scalar.db.password":       s.Password,
		// One session, so that all statements are prepared in it by the warm-up.
		"scalar.db.jdbc.connection_pool.max_total": "1",
	}
}

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
	proxy, props := behind(t)
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
	before := proxy.RoundTrips()
	for range n {
		change()
	}
	if got := proxy.RoundTrips() - before; got != 2*n {
		t.Errorf("%d transactions took %d round trips; want %d", n, got, 2*n)
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
	beforeA, beforeB := pa.RoundTrips(), pb.RoundTrips()
	for range n {
		change()
	}
	// The Coordinator's database: the read, and the commit point with its record.
	if got := pa.RoundTrips() - beforeA; got != 2*n {
		t.Errorf("%d transactions took %d round trips to the Coordinator's database; want %d", n, got, 2*n)
	}
	// The other one: the read, the preparation, and behind the answer the settling.
	if got := pb.RoundTrips() - beforeB; got != 3*n {
		t.Errorf("%d transactions took %d round trips to the other database; want %d", n, got, 3*n)
	}
}
