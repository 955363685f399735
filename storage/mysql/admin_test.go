//go:build servers

package mysql

import (
	"context"
	"errors"
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
	server.Exec(t, "CREATE DATABASE bank")
	refused(s.Admin().CreateTable(ctx, table), "database bank")

	// The ways out.
	server.Exec(t, "CREATE DATABASE exact CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
	if err := s.Admin().CreateNamespace(ctx, "exact"); err != nil {
		t.Fatal(err)
	}
	if err := s.Admin().CreateTable(ctx, tableOf(t, "exact", "t")); err != nil {
		t.Fatal(err)
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
