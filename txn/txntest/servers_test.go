//go:build servers

package txntest_test

import (
	"context"
	"testing"

	"github.com/stillpoint-db/stillpoint/internal/testenv"
	"github.com/stillpoint-db/stillpoint/storage"
	_ "github.com/stillpoint-db/stillpoint/storage/mysql"
	_ "github.com/stillpoint-db/stillpoint/storage/postgres"
	"github.com/stillpoint-db/stillpoint/txn/txntest"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func onPostgres(t testing.TB) func(context.Context, string) (storage.Storage, error) {
	s := testenv.Postgres(t)
	return onDriver("postgres", s.URL(s.Database(t)), s.User, s.Password)
}

func onMariaDB(t testing.TB) func(context.Context, string) (storage.Storage, error) {
	s := testenv.MariaDB(t)
	s.DropAfter(t, "coordinator", "w0", "w1", "w2", "scalardb")
	return onDriver("mysql", s.URL(), testenv.MariaDBUser, testenv.MariaDBPassword)
}

func TestHistoriesOnPostgresAreRight(t *testing.T) {
	one, two := several(onPostgres(t)), several(onPostgres(t), onPostgres(t))
	histories(t, func(_ *testing.T, seed uint64) txntest.Bed {
		if seed%2 == 0 {
			return one
		}
		return two
	})
}

func TestHistoriesOnMariaDBAreRight(t *testing.T) {
	bed := several(onMariaDB(t))
	histories(t, func(*testing.T, uint64) txntest.Bed { return bed })
}

func TestHistoriesOverThreeEnginesAreRight(t *testing.T) {
	engines := []func(context.Context, string) (storage.Storage, error){onPostgres(t), onMariaDB(t), onSQLite(t)}
	histories(t, func(_ *testing.T, seed uint64) txntest.Bed {
		i := seed % 3 // whose database holds the Coordinator
		return several(engines[i], engines[(i+1)%3], engines[(i+2)%3])
	})
}
