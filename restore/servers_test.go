//go:build servers

package restore_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

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
		return alone(t, open(t, storage.Config{Name: name, Driver: "mysql", URL: s.URL(), User: testenv.MariaDBUser, Password: testenv.MariaDBPassword}))
	}
}

// alone waits until nobody else is connected: a session that was closed takes the
// server a moment.
func alone(t testing.TB, st storage.Storage) storage.Storage {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(5 * time.Millisecond) {
		list, err := st.(storage.Inspector).Sessions(t.Context())
		must(t, err)
		if len(list) == 0 {
			return st
		}
		if time.Now().After(end) {
			t.Fatalf("still connected: %+v", list)
		}
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

// TestMarkIsMadeWhateverTheServersDefaultCollation restores into a server that
// takes different letters as equal by default: into a database that was made
// exact by hand it works, and where one would have to be made the plan says no.
func TestMarkIsMadeWhateverTheServersDefaultCollation(t *testing.T) {
	s := testenv.NewMariaDB(t, testenv.MariaDBOptions{Collation: "latin1_swedish_ci"})
	s.DB().SetMaxIdleConns(0)
	my := alone(t, open(t, storage.Config{Name: "my", Driver: "mysql", URL: s.URL(), User: testenv.MariaDBUser, Password: testenv.MariaDBPassword}))
	defer func() { must(t, my.Close()) }()
	w := newWorld(t, bank(t))
	w.opts.Target.Storages[1] = my
	if _, err := restore.Run(t.Context(), w.opts); !errors.Is(err, model.ErrRefused) || !strings.Contains(err.Error(), "vault.accounts cannot be made") || !strings.Contains(err.Error(), "Nothing was changed") {
		t.Fatalf("without the database: error is %v", err)
	}
	s.Exec(t, "CREATE DATABASE vault CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
	alone(t, my)
	_, err := restore.Run(t.Context(), w.opts)
	must(t, err)
	if got := rowsOf(t, my, w.opts.Backup.Tables()[1].Table); len(got) != 3 {
		t.Errorf("vault.accounts holds %q", got)
	}
	var left int
	must(t, s.DB().QueryRowContext(t.Context(), "SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name='stillpoint_restore'").Scan(&left))
	if left != 0 {
		t.Error("the mark's database is still there")
	}
}

// TestTablesThatWereDroppedByHandAreRestored drops namespace and table, which the
// metadata still knows, and restores without --replace: nothing is in the way.
func TestTablesThatWereDroppedByHandAreRestored(t *testing.T) {
	pg, my := testenv.Postgres(t), testenv.NewMariaDB(t, testenv.MariaDBOptions{})
	my.DB().SetMaxIdleConns(0)
	db := pg.Database(t)
	w := newWorld(t, bank(t))
	w.opts.Target.Storages = []storage.Storage{
		open(t, storage.Config{Name: "pg", Driver: "postgres", URL: pg.URL(db), User: pg.User, Password: storage.Secret(pg.Password)}),
		open(t, storage.Config{Name: "my", Driver: "mysql", URL: my.URL(), User: testenv.MariaDBUser, Password: testenv.MariaDBPassword})}
	for _, st := range w.opts.Target.Storages {
		defer func() { must(t, st.Close()) }()
		alone(t, st)
	}
	_, err := restore.Run(t.Context(), w.opts)
	must(t, err)
	accounts, vault := w.opts.Backup.Tables()[0].Table, w.opts.Backup.Tables()[1].Table
	want := rowsOf(t, w.opts.Target.Storages[0], accounts)
	for _, loss := range []string{"DROP TABLE vault.accounts, vault.log", "DROP DATABASE vault"} {
		c := pg.Connect(t, db)
		_, err := c.Exec(t.Context(), "DROP TABLE bank.accounts; DROP TABLE coordinator.state").ReadAll()
		must(t, err)
		must(t, c.Close(t.Context()))
		my.Exec(t, loss)
		for _, st := range w.opts.Target.Storages {
			alone(t, st)
		}
		p, err := restore.Make(t.Context(), w.opts)
		must(t, err)
		must(t, p.Err())
		_, err = restore.Run(t.Context(), w.opts)
		must(t, err)
		if got := rowsOf(t, w.opts.Target.Storages[0], accounts); !slices.Equal(got, want) {
			t.Errorf("%s: bank.accounts holds %q", loss, got)
		}
		if got := rowsOf(t, w.opts.Target.Storages[1], vault); len(got) != 3 {
			t.Errorf("%s: vault.accounts holds %q", loss, got)
		}
	}
}

func TestTextThatPostgreSQLCannotKeepIsFoundBeforeAnythingIsChanged(t *testing.T) {
	s := testenv.Postgres(t)
	pg := open(t, storage.Config{Name: "pg", Driver: "postgres", URL: s.URL(s.Database(t)), User: s.User, Password: storage.Secret(s.Password)})
	defer func() { must(t, pg.Close()) }()
	b := bank(t)
	b.rows["vault.log"][0].Values[1] = model.TextValue("a\x00b")
	w := newWorld(t, b)
	w.opts.Target.Storages = []storage.Storage{pg}
	w.opts.Target.Into = map[string]string{"my": "pg"}
	_, err := restore.Run(t.Context(), w.opts)
	if !errors.Is(err, model.ErrRefused) || !strings.Contains(err.Error(), `row (1) of vault.log cannot be kept in "pg"`) || !strings.Contains(err.Error(), "Nothing was changed") {
		t.Errorf("error is %v", err)
	}
	if names, err := pg.Admin().Namespaces(t.Context()); err != nil || len(names) != 0 {
		t.Errorf("there is %v, %v", names, err)
	}
}
