//go:build servers

package restore_test

import (
	"testing"

	"github.com/stillpoint-db/stillpoint/internal/testenv"
	"github.com/stillpoint-db/stillpoint/storage"
	_ "github.com/stillpoint-db/stillpoint/storage/mysql"
	_ "github.com/stillpoint-db/stillpoint/storage/postgres"
)

func init() {
	delete(engines, "memory")
	engines["PostgreSQL"] = func(t testing.TB, name string) storage.Storage {
		s := testenv.Postgres(t)
		return open(t, storage.Config{Name: name, Driver: "postgres", URL: s.URL(s.Database(t)), User: s.User, Password: storage.Secret(s.Password)})
	}
	engines["MariaDB"] = func(t testing.TB, name string) storage.Storage {
		s := testenv.NewMariaDB(t, testenv.MariaDBOptions{})
		s.DB().SetMaxIdleConns(0) // or the server's own pool is somebody who is connected
		return open(t, storage.Config{Name: name, Driver: "mysql", URL: s.URL(), User: testenv.MariaDBUser, Password: testenv.MariaDBPassword})
	}
}
