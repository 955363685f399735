//go:build servers

package mysql

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/stillpoint-db/stillpoint/internal/testenv"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

func tableOf(t *testing.T, ns, name string) *model.Table {
	t.Helper()
	table, err := model.NewTable(model.TableSpec{Name: model.TableName{Namespace: ns, Name: name},
		Columns: []model.Column{{Name: "k", Type: model.Text}, {Name: "v", Type: model.Text}}, PartitionKey: []string{"k"}})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestACaseInsensitiveDefaultCollationIsRefusedUnlessAccepted(t *testing.T) {
	server := testenv.NewMariaDB(t, testenv.MariaDBOptions{Collation: "utf8mb4_general_ci"})
	ctx := context.Background()
	s := openURL(t, server.URL())
	refused := func(err error, want string) {
		t.Helper()
		if !errors.Is(err, model.ErrRefused) || !strings.Contains(err.Error(), want) || !strings.Contains(model.Hint(err), "stillpoint.collation=accept") {
			t.Fatalf("%v", err)
		}
	}
	refused(s.Admin().CreateNamespace(ctx, "bank"), "utf8mb4_general_ci")
	if ns := server.DB().QueryRow("SELECT 1 FROM information_schema.schemata WHERE schema_name='bank'"); ns.Scan(new(int)) == nil {
		t.Fatal("the namespace was made all the same")
	}
	table := tableOf(t, "bank", "t")
	refused(s.Admin().CheckTable(ctx, table), "default collation")
	refused(s.Admin().CreateTable(ctx, table), "CREATE DATABASE `bank` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
	server.Exec(t, "CREATE DATABASE bank")
	refused(s.Admin().CreateTable(ctx, table), "database bank")
	refused(s.Admin().CreateTable(ctx, table), "ALTER DATABASE `bank` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")

	// The ways out.
	server.Exec(t, "CREATE DATABASE exact CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
	if err := s.Admin().CreateNamespace(ctx, "exact"); err != nil {
		t.Fatal(err)
	}
	if err := s.Admin().CreateTable(ctx, tableOf(t, "exact", "t")); err != nil {
		t.Fatal(err)
	}
	var collation string
	if err := server.DB().QueryRow("SELECT default_collation_name FROM information_schema.schemata WHERE schema_name='scalardb'").Scan(&collation); err != nil || collation != "utf8mb4_bin" {
		t.Errorf("the metadata's database has collation %q, %v: tables that differ in case would be one", collation, err)
	}
	accepting := openURL(t, server.URL(), property(propCollation, "accept"))
	if err := accepting.Admin().CreateTable(ctx, table); err != nil {
		t.Fatal(err)
	}

	// A table that exists is used, with a warning.
	if err := s.Mutate(ctx, batch(storage.Mutation{Kind: storage.Put, Table: table, Key: model.Key{Partition: []model.Value{model.TextValue("a")}}, Guard: notExists})); err != nil {
		t.Fatal(err)
	}
	in, err := s.Inspect(ctx, storage.InspectOptions{Tables: []model.TableName{table.Name(), {Namespace: "exact", Name: "t"}}})
	if err != nil {
		t.Fatal(err)
	}
	want(t, in, "collation", storage.Warning, "bank.t")
	for _, f := range in.Findings {
		if f.Code == "collation" && f.Subject == "exact.t" {
			t.Errorf("%+v", f)
		}
	}
	// "A" is the row "a" to the server; both ways of reading agree on it.
	at := func(k string) storage.Get {
		return storage.Get{Table: table, Key: model.Key{Partition: []model.Value{model.TextValue(k)}}}
	}
	rows, err := s.Get(ctx, []storage.Get{at("A"), at("x")})
	if err != nil || rows[0] == nil || rows[1] != nil {
		t.Fatal(rows, err)
	}
}

func TestCollationsThatTellAllLettersApartAreAccepted(t *testing.T) {
	s := open(t)
	for collation, loose := range map[string]bool{
		"utf8mb4_bin": false, "binary": false, "utf8_bin": false, "latin1_bin": false, "latin1_general_cs": false,
		"utf8mb4_general_ci": true, "utf8mb4_unicode_ci": true, "latin1_swedish_ci": true, "utf8mb4_general_nopad_ci": true, "utf8mb4_nopad_bin": false,
	} {
		got, err := s.admin.loose(context.Background(), collation)
		if err != nil || got != loose {
			t.Errorf("%s: %v, %v", collation, got, err)
		}
	}
}

func TestKeyColumnsHaveTheConfiguredSize(t *testing.T) {
	server := testenv.MariaDB(t)
	ctx := context.Background()
	for _, c := range []struct {
		url, size, want string
	}{
		{server.MySQLURL(), "", "varchar(128)"}, {server.MySQLURL(), "300", "varchar(300)"},
		{server.URL(), "300", "varchar(128)"}, // as ScalarDB does
	} {
		s := openURL(t, c.url, property(propKeySize, c.size))
		ns := server.Namespace(t)
		table := newTable(t, s, ns, "t")
		var typ string
		if err := server.DB().QueryRowContext(ctx, "SELECT COLUMN_TYPE FROM information_schema.columns WHERE table_schema=? AND table_name='t' AND column_name='k'", ns).Scan(&typ); err != nil {
			t.Fatal(err)
		}
		if typ != c.want {
			t.Errorf("%s, %q: %s", c.url, c.size, typ)
		}
		_ = table
	}
}

func TestTablesAreMadeAsScalarDBMakesThem(t *testing.T) {
	server := testenv.MariaDB(t)
	s := open(t)
	ns := server.Namespace(t)
	ctx := context.Background()
	table, err := model.NewTable(model.TableSpec{Name: model.TableName{Namespace: ns, Name: "tbl"},
		Columns: []model.Column{{Name: "pk", Type: model.Text}, {Name: "ck", Type: model.Int}, {Name: "ck2", Type: model.Text}, {Name: "o", Type: model.Boolean},
			{Name: "i", Type: model.Int}, {Name: "l", Type: model.BigInt}, {Name: "f", Type: model.Float}, {Name: "d", Type: model.Double}, {Name: "t", Type: model.Text},
			{Name: "b", Type: model.Blob}, {Name: "da", Type: model.Date}, {Name: "ti", Type: model.Time}, {Name: "ts", Type: model.Timestamp}, {Name: "tz", Type: model.TimestampTZ}},
		PartitionKey: []string{"pk"}, ClusteringKey: []model.ClusteringColumn{{Name: "ck"}, {Name: "ck2", Order: model.Desc}}, Indexes: []string{"i", "t"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Admin().CreateNamespace(ctx, ns); err != nil {
		t.Fatal(err)
	}
	if err := s.Admin().CreateTable(ctx, table); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Admin().DropTable(ctx, table.Name()); err != nil {
			t.Error(err)
		}
	}()
	var name, ddl string
	if err := server.DB().QueryRow("SHOW CREATE TABLE "+s.dialect.Table(table.Name())).Scan(&name, &ddl); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"`pk` varchar(128)", "`ck` int(11) NOT NULL", "`ck2` varchar(128)", "`o` tinyint(1)", "`i` int(11)", "`l` bigint(20)", "`f` double", "`d` double",
		"`t` varchar(128)", "`b` longblob", "`da` date", "`ti` time(6)", "`ts` datetime(3)", "`tz` datetime(3)",
		"PRIMARY KEY (`pk`,`ck`,`ck2` DESC)", "KEY `index_" + ns + "_tbl_i` (`i`)", "KEY `index_" + ns + "_tbl_t` (`t`)", "ENGINE=InnoDB",
	} {
		if !strings.Contains(ddl, line) {
			t.Errorf("%s is not in\n%s", line, ddl)
		}
	}
}

func TestACreateTableThatFailedHalfWayIsCompletedByTheNext(t *testing.T) {
	server := testenv.MariaDB(t)
	s := open(t)
	ns := server.Namespace(t)
	ctx := context.Background()
	table, err := model.NewTable(model.TableSpec{Name: model.TableName{Namespace: ns, Name: "t"},
		Columns:      []model.Column{{Name: "k", Type: model.Text}, {Name: "i", Type: model.Int}, {Name: "j", Type: model.Int}},
		PartitionKey: []string{"k"}, Indexes: []string{"i", "j"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Admin().CreateNamespace(ctx, ns); err != nil {
		t.Fatal(err)
	}
	statements := s.Admin().Statements(table)
	for n := range len(statements) + 1 {
		server.Exec(t, statements[:n]...)
		if err := s.Admin().CreateTable(ctx, table); err != nil {
			t.Fatalf("after %d statements: %v", n, err)
		}
		got, err := s.Admin().Table(ctx, table.Name())
		if err != nil || !got.Equal(table) {
			t.Fatal(got, err)
		}
		if err := s.Admin().CreateTable(ctx, table); !errors.Is(err, model.ErrExists) {
			t.Fatal(err)
		}
		if err := s.Admin().DropTable(ctx, table.Name()); err != nil {
			t.Fatal(err)
		}
	}
}

// want fails the test if an inspection lacks a finding.
func want(t *testing.T, in storage.Inspection, code string, severity storage.Severity, subject string) storage.Finding {
	t.Helper()
	for _, f := range in.Findings {
		if f.Code == code && strings.Contains(f.Subject, subject) {
			if f.Severity != severity {
				t.Errorf("%s is %s, not %s", code, f.Severity, severity)
			}
			return f
		}
	}
	t.Errorf("no finding %s about %s in %+v", code, subject, in.Findings)
	return storage.Finding{}
}

// Databases made by older ScalarDB releases have three-byte characters.
func TestTablesOfThreeByteCharactersWork(t *testing.T) {
	server := testenv.MariaDB(t)
	for _, way := range []string{"compound", "text"} {
		t.Run(way, func(t *testing.T) {
			s := open(t)
			if way == "text" {
				asMySQL(s)
			}
			ns := server.Namespace(t)
			server.Exec(t, "CREATE DATABASE "+ns+" CHARACTER SET utf8mb3 COLLATE utf8mb3_bin")
			table := newTable(t, s, ns, "t")
			text := func(v string) []storage.Assignment {
				return []storage.Assignment{{Column: "t", Value: model.TextValue(v)}}
			}
			is := func(v string) storage.Guard {
				return storage.Guard{Kind: storage.If, Conditions: []model.Condition{{Column: "t", Op: model.Eq, Value: model.TextValue(v)}}}
			}
			ctx := context.Background()
			for _, k := range []string{"a", "A", "größe", `back\slash'`, "日本", "\x01"} {
				mustMutate(t, s, storage.Mutation{Kind: storage.Put, Table: table, Key: key(k, 1), Set: text(k), Guard: notExists},
					storage.Mutation{Kind: storage.Put, Table: table, Key: key(k, 2), Set: text(k), Guard: notExists})
				mustMutate(t, s, storage.Mutation{Kind: storage.Put, Table: table, Key: key(k, 1), Set: text(k + "2"), Guard: is(k)},
					storage.Mutation{Kind: storage.Check, Table: table, Key: key(k, 2), Guard: is(k)})
				rows, err := s.Get(ctx, []storage.Get{{Table: table, Key: key(k, 1)}, {Table: table, Key: key(k, 2)}})
				if err != nil || rows[0] == nil || rows[1] == nil || rows[0].Get("t").Str() != k+"2" {
					t.Fatalf("%q: %v %v", k, rows, err)
				}
			}
			// The index is used whatever the character sets are.
			ses, err := s.lend(ctx)
			if err != nil {
				t.Fatal(err)
			}
			defer s.giveBack(ctx, ses)
			for _, k := range []string{"a", `back\slash'`} {
				query := appendFilled([]byte("EXPLAIN "), s.builder.Get(table), []model.Value{model.TextValue(k), model.IntValue(1)})
				columns, rows, err := ses.table(ctx, string(query))
				if err != nil || rows[0][slices.Index(columns, "type")] != "const" {
					t.Errorf("%s: %v %v", query, rows, err)
				}
			}
			for _, ms := range [][]storage.Mutation{
				{{Kind: storage.Put, Table: table, Key: key("w", 1), Set: text("𝒜"), Guard: notExists}},
				{{Kind: storage.Put, Table: table, Key: key("w", 1), Set: text("𝒜"), Guard: notExists}, put(table, "x", 1, notExists)},
			} {
				if err := s.Mutate(ctx, batch(ms...)); storage.OutcomeOf(err) != storage.Refused {
					t.Errorf("a character that the column cannot hold: %v", err)
				}
			}
			if v := valueOf(t, s, table, "x"); v.IsSet() {
				t.Error("half a batch")
			}
		})
	}
}

func TestWritesWorkUnderEachIsolationLevel(t *testing.T) {
	server := testenv.MariaDB(t)
	for _, level := range []string{"READ_COMMITTED", "REPEATABLE_READ", "SERIALIZABLE"} {
		s := open(t, property(propIsolation, level))
		table := newTable(t, s, server.Namespace(t), "t")
		mustMutate(t, s, put(table, "a", 1, notExists))
		for i := range int32(3) {
			mustMutate(t, s, put(table, "a", i+2, vIs(i+1)), put(table, "b", i, always))
			if v := valueOf(t, s, table, "a"); v != model.IntValue(i+2) {
				t.Errorf("%s: %v", level, v)
			}
		}
		ses, err := s.lend(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		rows, err := ses.strings(context.Background(), "SELECT @@tx_isolation")
		if want := strings.ReplaceAll(level, "_", "-"); err != nil || rows[0][0] != want {
			t.Errorf("%s: sessions are %v, %v", level, rows, err)
		}
		s.giveBack(context.Background(), ses)
	}
}

func TestNamesThatDifferInCaseAloneAreRefusedWhereTheyAreOne(t *testing.T) {
	ctx := context.Background()
	named := func(ns, name string, columns ...string) *model.Table {
		spec := model.TableSpec{Name: model.TableName{Namespace: ns, Name: name}, PartitionKey: columns[:1]}
		for _, c := range columns {
			spec.Columns = append(spec.Columns, model.Column{Name: c, Type: model.Int})
		}
		table, err := model.NewTable(spec)
		if err != nil {
			t.Fatal(err)
		}
		return table
	}
	for _, folds := range []bool{false, true} {
		flags := []string{"--lower-case-table-names=0"}
		if folds {
			flags = []string{"--lower-case-table-names=1"}
		}
		server := testenv.NewMariaDB(t, testenv.MariaDBOptions{Flags: flags})
		s := openURL(t, server.URL())
		if err := s.Admin().CreateNamespace(ctx, "bank"); err != nil {
			t.Fatal(err)
		}
		if err := s.Admin().CreateTable(ctx, named("bank", "t", "id")); err != nil {
			t.Fatal(err)
		}
		if err := s.Admin().CreateTable(ctx, named("bank", "twice", "id", "ID")); !errors.Is(err, model.ErrBadArgument) || !strings.Contains(err.Error(), "differ in upper and lower case alone") {
			t.Errorf("columns: %v", err)
		}
		err := s.Admin().CreateTable(ctx, named("bank", "T", "id"))
		if folds && (!errors.Is(err, model.ErrBadArgument) || !strings.Contains(err.Error(), "case alone")) || !folds && err != nil {
			t.Errorf("tables that are one: %v: %v", folds, err)
		}
	}
}

// DDL is not transactional here: a run that failed leaves a table of which the
// metadata does not know, and the definition may be another one by the next.
func TestATableOfAFailedRunIsCompletedOnlyIfItIsTheSame(t *testing.T) {
	s := open(t)
	server := testenv.MariaDB(t)
	ns := server.Namespace(t)
	server.Exec(t, "CREATE DATABASE IF NOT EXISTS `"+ns+"` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
	table, err := model.NewTable(model.TableSpec{Name: model.TableName{Namespace: ns, Name: "t"},
		Columns:      []model.Column{{Name: "a", Type: model.Text}, {Name: "b", Type: model.Boolean}, {Name: "f", Type: model.Float}, {Name: "n", Type: model.Int}, {Name: "s", Type: model.Text}},
		PartitionKey: []string{"a"}, ClusteringKey: []model.ClusteringColumn{{Name: "n"}}})
	if err != nil {
		t.Fatal(err)
	}
	const columns = "(a VARCHAR(128), b BOOLEAN, f REAL, n INT, s LONGTEXT, "
	for left, want := range map[string]string{
		columns + "PRIMARY KEY (a))":    "another primary key",
		columns + "PRIMARY KEY (n, a))": "another primary key",
		columns + "KEY (a, n))":         "another primary key",
		"(a VARCHAR(128), b BOOLEAN, f REAL, n BIGINT, s LONGTEXT, PRIMARY KEY (a, n))":     "a column n of type bigint",
		"(a VARCHAR(128), b BOOLEAN, f REAL, n INT, s VARCHAR(128), PRIMARY KEY (a, n))":    "a column s of type varchar",
		"(a VARCHAR(128), b BOOLEAN, f REAL, n INT, s LONGTEXT, x INT, PRIMARY KEY (a, n))": "other columns",
		columns + "PRIMARY KEY (a, n))": "",
	} {
		server.Exec(t, "DROP TABLE IF EXISTS `"+ns+"`.t", "CREATE TABLE `"+ns+"`.t "+left)
		err := s.Admin().CreateTable(t.Context(), table)
		if want == "" {
			if err != nil {
				t.Errorf("%s: %v", left, err)
			} else if err := s.Admin().DropTable(t.Context(), table.Name()); err != nil {
				t.Error(err)
			}
			continue
		}
		if !errors.Is(err, model.ErrExists) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", left, err)
		}
	}
}
