//go:build servers

package restore_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stillpoint-db/stillpoint/internal/testenv"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/restore"
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

// TestConnectedSessionsAreSeenAndEnded restores over databases to which somebody
// is connected.
func TestConnectedSessionsAreSeenAndEnded(t *testing.T) {
	for engine, connect := range map[string]func(t *testing.T) (st storage.Storage, broken func() bool){
		"PostgreSQL": func(t *testing.T) (storage.Storage, func() bool) {
			s := testenv.Postgres(t)
			db := s.Database(t)
			st := open(t, storage.Config{Name: "pg", Driver: "postgres", URL: s.URL(db), User: s.User, Password: storage.Secret(s.Password)})
			c := s.Connect(t, db)
			return st, func() bool { return c.Ping(t.Context()) != nil }
		},
		"MariaDB": func(t *testing.T) (storage.Storage, func() bool) {
			s := testenv.NewMariaDB(t, testenv.MariaDBOptions{})
			st := open(t, storage.Config{Name: "pg", Driver: "mysql", URL: s.URL(), User: testenv.MariaDBUser, Password: testenv.MariaDBPassword})
			s.DB().SetMaxIdleConns(0)
			c, err := s.DB().Conn(t.Context())
			must(t, err)
			t.Cleanup(func() { _ = c.Close() })
			return st, func() bool { _, err := c.ExecContext(t.Context(), "SELECT 1"); return err != nil }
		},
	} {
		t.Run(engine, func(t *testing.T) {
			st, broken := connect(t)
			defer func() { must(t, st.Close()) }()
			b := bank(t)
			w := newWorld(t, b)
			opts := w.opts
			opts.Target.Storages = []storage.Storage{st}
			opts.Target.Into = map[string]string{"my": "pg"}
			_, err := restore.Run(t.Context(), opts)
			if !errors.Is(err, model.ErrRefused) || !strings.Contains(err.Error(), "still connected") || broken() {
				t.Fatalf("error is %v", err)
			}
			opts.TerminateSessions = true
			rep, err := restore.Run(t.Context(), opts)
			must(t, err)
			if rep.Ended < 1 || !broken() {
				t.Errorf("%d sessions ended", rep.Ended)
			}
		})
	}
}
