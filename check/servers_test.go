//go:build servers

package check_test

import (
	"testing"

	"github.com/stillpoint-db/stillpoint/internal/testenv"
	"github.com/stillpoint-db/stillpoint/storage"
	_ "github.com/stillpoint-db/stillpoint/storage/mysql"
	_ "github.com/stillpoint-db/stillpoint/storage/postgres"
)

func init() {
	clear(engines)
	slowEngines = true
	engines["PostgreSQL"] = func(t testing.TB, name string) storage.Storage {
		s := testenv.Postgres(t)
		return opened(t, storage.Config{Name: name, Driver: "postgres", URL: s.URL(s.Database(t)), User: s.User, Password: storage.Secret(s.Password)})
	}
	// Both storages of a world are one server, whose namespaces they share.
	engines["MariaDB"] = func(t testing.TB, name string) storage.Storage {
		s := testenv.MariaDB(t)
		if name == "one" {
			s.Exec(t, "DROP DATABASE IF EXISTS bank", "DROP DATABASE IF EXISTS vault", "DROP DATABASE IF EXISTS coordinator", "DROP DATABASE IF EXISTS scalardb")
		}
		return opened(t, storage.Config{Name: name, Driver: "mysql", URL: s.URL(), User: testenv.MariaDBUser, Password: testenv.MariaDBPassword})
	}
}
