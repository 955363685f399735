//go:build java && servers && failpoints

package interop

import (
	"context"
	"database/sql"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	_ "github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"github.com/stillpoint-db/stillpoint"
	"github.com/stillpoint-db/stillpoint/internal/javapeer"
	"github.com/stillpoint-db/stillpoint/internal/testenv"
	_ "github.com/stillpoint-db/stillpoint/storage/all"
)

func TestMain(m *testing.M) {
	if childMain() {
		return
	}
	testenv.Main(m)
}

// world is an empty place on one engine, or on two, as both languages see it.
type world struct {
	name       string
	properties map[string]string
	namespaces []string // one in each database
	dump       func(t *testing.T) []string
}

func sqlite(t *testing.T) world {
	file := filepath.Join(t.TempDir(), "shared.db")
	return world{"SQLite", map[string]string{
		"scalar.db.storage":        "jdbc",
		"scalar.db.contact_points": "jdbc:sqlite:" + file + "?busy_timeout=20000",
	}, []string{"bank"}, func(t *testing.T) []string { return dumpSQLite(t, file) }}
}

func postgres(t *testing.T) world {
	s := testenv.Postgres(t)
	db := s.Database(t)
	return world{"PostgreSQL", map[string]string{
		"scalar.db.storage":        "jdbc",
		"scalar.db.contact_points": s.URL(db),
		"scalar.db.username":       s.User,
		"scalar.db.password":       s.Password,
	}, []string{"bank"}, func(t *testing.T) []string {
		return dumpSQL(t, "pgx", "postgres://"+s.User+":"+s.Password+"@"+s.Addr()+"/"+db, pgDump)
	}}
}

// mariadb is a server of its own: a namespace is a database there, and tests
// must not meet.
func mariadb(t *testing.T) world {
	s := testenv.NewMariaDB(t, testenv.MariaDBOptions{})
	return world{"MariaDB", map[string]string{
		"scalar.db.storage":        "jdbc",
		"scalar.db.contact_points": s.URL(),
		"scalar.db.username":       testenv.MariaDBUser,
		"scalar.db.password":       testenv.MariaDBPassword,
	}, []string{"bank"}, func(t *testing.T) []string {
		return dumpSQL(t, "mysql", testenv.MariaDBUser+":"+testenv.MariaDBPassword+"@tcp("+s.Addr()+")/", mariaDump)
	}}
}

// both is PostgreSQL with the Coordinator, and MariaDB.
func both(t *testing.T) world {
	pg, my := postgres(t), mariadb(t)
	w := world{name: "PostgreSQL+MariaDB", namespaces: []string{"bank", "vault"}, properties: map[string]string{
		"scalar.db.storage":                         "multi-storage",
		"scalar.db.multi_storage.storages":          "pg,my",
		"scalar.db.multi_storage.namespace_mapping": "bank:pg,vault:my,coordinator:pg",
		"scalar.db.multi_storage.default_storage":   "pg",
	}}
	for name, from := range map[string]world{"pg": pg, "my": my} {
		for k, v := range from.properties {
			w.properties["scalar.db.multi_storage.storages."+name+"."+strings.TrimPrefix(k, "scalar.db.")] = v
		}
	}
	return w
}

var singles = map[string]func(*testing.T) world{"SQLite": sqlite, "PostgreSQL": postgres, "MariaDB": mariadb}

// each runs a test on every engine.
func each(t *testing.T, worlds map[string]func(*testing.T) world, f func(t *testing.T, w world)) {
	for _, name := range slices.Sorted(maps.Keys(worlds)) {
		t.Run(name, func(t *testing.T) { f(t, worlds[name](t)) })
	}
}

// with returns the properties with some more.
func (w world) with(more map[string]string) map[string]string {
	p := maps.Clone(w.properties)
	maps.Copy(p, more)
	return p
}

// stepping makes Java die at a step when armed.
func (w world) stepping() map[string]string {
	p := maps.Clone(w.properties)
	for k, v := range p {
		if strings.HasSuffix(k, ".storage") && v == "jdbc" {
			p[k] = "stepping-jdbc"
		}
	}
	return p
}

func (w world) open(t *testing.T, more map[string]string) *stillpoint.DB {
	t.Helper()
	db, err := stillpoint.Open(context.Background(), stillpoint.Properties(w.with(more)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func (w world) java(t *testing.T, more map[string]string) *javapeer.Peer {
	t.Helper()
	return javapeer.Start(t, w.with(more))
}

// dumpSQL runs queries and returns their rows as sorted lines.
func dumpSQL(t *testing.T, driver, dsn string, queries []string) []string {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var out []string
	for _, q := range queries {
		rows, err := db.Query(q)
		if err != nil {
			t.Fatalf("%s: %v", q, err)
		}
		cols, err := rows.Columns()
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			cells := make([]sql.NullString, len(cols))
			dest := make([]any, len(cols))
			for i := range cells {
				dest[i] = &cells[i]
			}
			if err := rows.Scan(dest...); err != nil {
				t.Fatal(err)
			}
			parts := make([]string, len(cells))
			for i, c := range cells {
				parts[i] = c.String
				if !c.Valid {
					parts[i] = "NULL"
				}
			}
			out = append(out, strings.Join(parts, " | "))
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(out)
	return out
}

var pgDump = []string{
	`SELECT 'column', table_schema, table_name, column_name, data_type, character_maximum_length, is_nullable FROM information_schema.columns
	 WHERE table_schema IN ('bank','types','coordinator','scalardb')`,
	`SELECT 'index', schemaname, tablename, indexname, indexdef FROM pg_indexes WHERE schemaname IN ('bank','types','coordinator','scalardb')`,
	metadataDump(`"scalardb"."metadata"`, "CAST(indexed AS text)"),
}

var mariaDump = []string{
	`SELECT 'column', table_schema, table_name, column_name, column_type, is_nullable, character_set_name, collation_name FROM information_schema.columns
	 WHERE table_schema IN ('bank','types','coordinator','scalardb')`,
	`SELECT 'index', table_schema, table_name, index_name, non_unique, seq_in_index, column_name, collation FROM information_schema.statistics
	 WHERE table_schema IN ('bank','types','coordinator','scalardb')`,
	metadataDump("`scalardb`.`metadata`", "indexed"),
}

// metadataDump reads ScalarDB's own record. The order of before columns is that
// of a hash in Java, so their ordinals are left out.
func metadataDump(table, indexed string) string {
	return `SELECT 'metadata', full_table_name, column_name, data_type, key_type, clustering_order, ` + indexed + `,
	 CASE WHEN column_name LIKE 'before%' AND column_name NOT LIKE 'before_tx%' THEN 0 ELSE ordinal_position END FROM ` + table
}

func dumpSQLite(t *testing.T, file string) []string {
	return dumpSQL(t, "sqlite", "file:"+file, []string{
		`SELECT 'column', m.name, c.name, c.type, c."notnull", c.pk FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table'`,
		`SELECT 'index', tbl_name, name, sql FROM sqlite_master WHERE type = 'index'`,
		metadataDump(`"scalardb$metadata"`, "indexed"),
	})
}
