//go:build java && servers && failpoints

package drills

import (
	"database/sql"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/stillpoint-db/stillpoint"
	"github.com/stillpoint-db/stillpoint/internal/testenv"
	"github.com/stillpoint-db/stillpoint/internal/workload"
	_ "github.com/stillpoint-db/stillpoint/storage/all"
)

func TestMain(m *testing.M) {
	if writerMain() {
		return
	}
	testenv.Main(m)
}

// The size of the bank. Accounts are many enough for few conflicts, so that what
// holds writers up is the backup, if anything.
const (
	accounts = 100
	initial  = 1000
)

// patience is how long a drill waits for what must happen: the machine may be busy
// with other things for a long time, and only a drill that fails waits so long.
const patience = 5 * time.Minute

// place is one database.
type place struct {
	engine     string
	properties map[string]string // without "scalar.db."
	wipe       func(t testing.TB)
	file       string                     // of SQLite
	sessions   func(t *testing.T) *sql.DB // for a stranger to the product; no session stays when it is idle
}

// world is a set of databases that programs and backups share.
type world struct {
	properties map[string]string
	namespaces []string // of the bank, one in each database
	places     map[string]place
	config     string // the properties file
}

func sqlitePlace(t *testing.T) place {
	file := filepath.Join(t.TempDir(), "bank.db")
	return place{engine: "SQLite", file: file, properties: map[string]string{
		"storage": "jdbc", "contact_points": "jdbc:sqlite:" + file + "?busy_timeout=20000",
	}, wipe: func(t testing.TB) {
		for _, end := range []string{"", "-wal", "-shm"} {
			if err := os.Remove(file + end); err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
		}
	}}
}

func postgresPlace(t *testing.T) place {
	s := testenv.Postgres(t)
	return postgresOf(t, s, s.Database(t))
}

func postgresOf(t *testing.T, s *testenv.PostgresServer, db string) place {
	return place{engine: "PostgreSQL", properties: map[string]string{
		"storage": "jdbc", "contact_points": s.URL(db), "username": s.User, "password": s.Password,
	}, wipe: func(t testing.TB) {
		for _, schema := range owned {
			s.Exec(t, db, "DROP SCHEMA IF EXISTS "+schema+" CASCADE")
		}
	}, sessions: func(t *testing.T) *sql.DB {
		return strangers(t, "pgx", "postgres://"+s.User+":"+s.Password+"@"+s.Addr()+"/"+db)
	}}
}

func strangers(t *testing.T, driver, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxIdleConns(-1)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// owned are the schemas (on MariaDB, databases) that the drills make.
var owned = []string{"bank", "vault", "till", "coordinator", "scalardb", "stillpoint_restore"}

// mariadbPlace is the whole server, which the tests use one after the other.
func mariadbPlace(t *testing.T) place {
	s := testenv.MariaDB(t)
	s.DB().SetMaxIdleConns(-1) // no session of ours stays to be taken for an application's
	wipe := func(t testing.TB) {
		for _, db := range owned {
			s.Exec(t, "DROP DATABASE IF EXISTS `"+db+"`")
		}
	}
	t.Cleanup(func() { wipe(t) })
	return place{engine: "MariaDB", properties: map[string]string{
		"storage": "jdbc", "contact_points": s.URL(), "username": testenv.MariaDBUser, "password": testenv.MariaDBPassword,
	}, wipe: wipe, sessions: func(t *testing.T) *sql.DB {
		return strangers(t, "mysql", testenv.MariaDBUser+":"+testenv.MariaDBPassword+"@tcp("+s.Addr()+")/")
	}}
}

// alone is a world of one database.
func alone(t *testing.T, p place) *world {
	w := &world{properties: map[string]string{}, namespaces: []string{"bank"}, places: map[string]place{"db": p}}
	for k, v := range p.properties {
		w.properties["scalar.db."+k] = v
	}
	w.config = w.write(t)
	return w
}

// homes says which namespace lies in which storage of a world of several
// databases, and so the order of their names.
var homes = map[string]string{"pg": "bank", "my": "vault", "lite": "till"}

// together is a world of several databases; the Coordinator is in "pg".
func together(t *testing.T, places map[string]place) *world {
	names := slices.Sorted(maps.Keys(places))
	slices.Reverse(names)
	w := &world{places: places}
	mapping := []string{"coordinator:pg"}
	for _, name := range names {
		w.namespaces = append(w.namespaces, homes[name])
		mapping = append(mapping, homes[name]+":"+name)
	}
	w.properties = map[string]string{
		"scalar.db.storage":                         "multi-storage",
		"scalar.db.multi_storage.storages":          strings.Join(names, ","),
		"scalar.db.multi_storage.namespace_mapping": strings.Join(mapping, ","),
		"scalar.db.multi_storage.default_storage":   "pg",
	}
	for name, p := range places {
		for k, v := range p.properties {
			w.properties["scalar.db.multi_storage.storages."+name+"."+k] = v
		}
	}
	w.config = w.write(t)
	return w
}

func allThree(t *testing.T) *world {
	return together(t, map[string]place{"pg": postgresPlace(t), "my": mariadbPlace(t), "lite": sqlitePlace(t)})
}

// inSQLite is a world of the same shape whose databases are all new SQLite files.
func (w *world) inSQLite(t *testing.T) *world {
	places := map[string]place{}
	for name := range w.places {
		places[name] = sqlitePlace(t)
	}
	if len(places) == 1 {
		return alone(t, places["db"])
	}
	return together(t, places)
}

// without is the world as seen by a program that does not know one storage.
func (w *world) without(t *testing.T, name string) *world {
	places := maps.Clone(w.places)
	delete(places, name)
	return together(t, places)
}

// write writes the properties file.
func (w *world) write(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(w.properties)) {
		fmt.Fprintf(&b, "%s=%s\n", k, strings.ReplaceAll(w.properties[k], `\`, `\\`))
	}
	file := filepath.Join(t.TempDir(), "bank.properties")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// wipe loses all data.
func (w *world) wipe(t *testing.T) {
	t.Helper()
	for _, p := range w.places {
		p.wipe(t)
	}
}

// use opens the world for a moment.
func (w *world) use(t *testing.T, f func(db *stillpoint.DB, bank *workload.Bank)) {
	t.Helper()
	db, err := stillpoint.Open(t.Context(), stillpoint.Properties(w.properties))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	f(db, workload.NewBank(db, w.namespaces, accounts, initial))
}

// open makes the tables and the accounts.
func (w *world) open(t *testing.T) *world {
	t.Helper()
	w.use(t, func(_ *stillpoint.DB, bank *workload.Bank) {
		if err := bank.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	return w
}
