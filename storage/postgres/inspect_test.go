//go:build servers

package postgres

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/stillpoint-db/stillpoint/internal/testenv"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

func inspect(t testing.TB, d *db, opts storage.InspectOptions) storage.Inspection {
	t.Helper()
	in, err := d.Inspect(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func both(tables ...model.TableName) storage.InspectOptions {
	return storage.InspectOptions{Tables: tables, Backup: true, Restore: true}
}

func TestAPlainDatabaseHasNoFindings(t *testing.T) {
	d := openFresh(t)
	table := accounts(t, d)
	sql(t, d, "INSERT INTO bank.accounts SELECT i::text, i FROM generate_series(1, 1000) i", "ANALYZE bank.accounts")
	in := inspect(t, d, both(table.Name()))
	if len(in.Findings) != 0 {
		t.Errorf("findings: %+v", in.Findings)
	}
	if in.Engine != "PostgreSQL" || !strings.HasPrefix(in.Version, "1") || len(in.Tables) != 1 || in.Tables[0].Rows != 1000 || in.Bytes != in.Tables[0].Bytes || in.Bytes < 32<<10 {
		t.Errorf("%+v", in)
	}
	if strings.Contains(in.Endpoint, testenv.Postgres(t).Password) || !strings.HasSuffix(in.Endpoint, "/"+databaseOf(d)) {
		t.Errorf("endpoint %q", in.Endpoint)
	}
}

func TestIdentityIsTheDatabaseWhateverTheURL(t *testing.T) {
	d := openFresh(t)
	far, _ := through(t, d)
	other := openFresh(t)
	here, there := inspect(t, d, both()), inspect(t, far, both())
	a, b, c := here.Identity, there.Identity, inspect(t, other, both()).Identity
	if a != b || a == c || here.Instance == "" || here.Instance != there.Instance {
		t.Errorf("the same database: %q (%q) and %q (%q); another: %q", a, here.Instance, b, there.Instance, c)
	}
}

func TestFindings(t *testing.T) {
	d := openFresh(t)
	table := accounts(t, d)
	server := testenv.Postgres(t)
	setup := []string{
		"CREATE TABLE bank.unlogged (id text PRIMARY KEY)", "ALTER TABLE bank.unlogged SET UNLOGGED",
		"CREATE TABLE bank.parts (id int PRIMARY KEY) PARTITION BY RANGE (id)", "CREATE TABLE bank.part1 PARTITION OF bank.parts DEFAULT",
		"CREATE VIEW bank.view AS SELECT 1 AS id",
		"CREATE FOREIGN DATA WRAPPER dummy", "CREATE SERVER away FOREIGN DATA WRAPPER dummy", "CREATE FOREIGN TABLE bank.away (id int) SERVER away",
		"CREATE COLLATION bank.ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false)", `CREATE TABLE bank.ci (id text COLLATE bank.ci PRIMARY KEY)`,
		"CREATE FUNCTION bank.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'", "CREATE TRIGGER audit BEFORE INSERT ON bank.accounts FOR EACH ROW EXECUTE FUNCTION bank.f()",
		"CREATE TABLE bank.orders (id int PRIMARY KEY, account text REFERENCES bank.accounts)",
		"ALTER DATABASE " + databaseOf(d) + " SET synchronous_commit = off",
	}
	sql(t, d, setup...)
	name := func(n string) model.TableName { return model.TableName{Namespace: "bank", Name: n} }
	in := inspect(t, d, both(table.Name(), name("unlogged"), name("parts"), name("view"), name("away"), name("ci"), name("none"), name("orders")))
	type want struct {
		code, subject string
		severity      storage.Severity
	}
	var got []want
	for _, f := range in.Findings {
		if f.Text == "" {
			t.Errorf("%s of %s says nothing", f.Code, f.Subject)
		}
		got = append(got, want{f.Code, f.Subject, f.Severity})
	}
	endpoint := "PostgreSQL " + server.Addr() + "/" + databaseOf(d)
	for _, w := range []want{
		{"not-durable", "bank.unlogged", storage.Warning}, {"not-durable", endpoint, storage.Warning},
		{"partitioned-table", "bank.parts", storage.Info}, {"not-a-table", "bank.view", storage.Blocker}, {"foreign-table", "bank.away", storage.Blocker},
		{"collation", "bank.ci.id", storage.Warning}, {"missing-table", "bank.none", storage.Blocker}, {"trigger", "bank.accounts", storage.Warning},
		{"foreign-key", "bank.accounts", storage.Warning}, {"foreign-key", "bank.orders", storage.Warning},
	} {
		if !slices.Contains(got, w) {
			t.Errorf("%+v is missing", w)
		}
	}
}

// TestWhoForgetsCommitsIsNamed: applications' roles count, and the server's own
// setting does where our role has another one.
func TestWhoForgetsCommitsIsNamed(t *testing.T) {
	server := testenv.StartPostgres(t)
	name := server.Database(t)
	server.Exec(t, name, "ALTER SYSTEM SET synchronous_commit = no")
	server.Exec(t, name, "SELECT pg_reload_conf()")
	server.WaitForSetting(t, "synchronous_commit", "off")
	d := openOn(t, configOf(server, name))
	who := func() (texts []string) {
		for _, f := range inspect(t, d, both()).Findings {
			if rest, ok := strings.CutPrefix(f.Text, "synchronous_commit is off for "); ok {
				name, _, _ := strings.Cut(rest, ":")
				texts = append(texts, name)
			}
		}
		slices.Sort(texts)
		return texts
	}
	if got := who(); !slices.Equal(got, []string{"the server"}) {
		t.Errorf("%q", got)
	}
	server.Exec(t, name, "CREATE ROLE app", "ALTER ROLE app SET synchronous_commit = false", "ALTER ROLE ALL SET synchronous_commit = 0",
		"ALTER ROLE "+server.User+" SET synchronous_commit = on", "ALTER ROLE app IN DATABASE "+name+" SET synchronous_commit = local")
	d = openOn(t, configOf(server, name))
	if got := who(); !slices.Equal(got, []string{"all roles", "role app", "the server"}) {
		t.Errorf("%q", got)
	}
	cfg := configOf(server, name)
	cfg.URL += "?options=-c%20synchronous_commit%3Doff"
	d = openOn(t, cfg)
	if got := who(); !slices.Contains(got, "sessions with the options of this URL") {
		t.Errorf("%q", got)
	}
	for _, f := range inspect(t, d, both()).Findings {
		if strings.Contains(f.Text, "this URL") && strings.Contains(f.Fix, "ALTER") {
			t.Errorf("of no use: %s", f.Fix)
		}
	}
}

func TestRowsHiddenByRowSecurityAreNotLeftOutInSilence(t *testing.T) {
	d := openFresh(t)
	table := accounts(t, d)
	apply(t, d, insert(table, "a", 1))
	sql(t, d, "DROP ROLE IF EXISTS hidden", "CREATE ROLE hidden LOGIN PASSWORD 'h'", "GRANT USAGE ON SCHEMA bank, scalardb TO hidden",
		"GRANT ALL ON ALL TABLES IN SCHEMA bank, scalardb TO hidden", "ALTER TABLE bank.accounts ENABLE ROW LEVEL SECURITY")
	t.Cleanup(func() { sql(t, d, "DROP OWNED BY hidden", "DROP ROLE hidden") })
	cfg := configOf(testenv.Postgres(t), databaseOf(d))
	cfg.User, cfg.Password = "hidden", "h"
	blind := openOn(t, cfg)
	if f := finding(inspect(t, blind, both(table.Name())), "row-security"); f == nil || f.Severity != storage.Blocker {
		t.Error("row security is no finding")
	}
	p := prepare(t, blind, true, 1, table.Name())
	openSnapshot(t, p)
	parts, err := p.Split(t.Context(), table, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Read(t.Context(), table, parts[0], func(*model.Row) error { return nil }); !errors.Is(err, model.ErrRefused) {
		t.Errorf("read: %v", err)
	}
}

func TestWhoLocksATableOutIsNamed(t *testing.T) {
	d := openFresh(t)
	table := accounts(t, d)
	cfg := configOf(testenv.Postgres(t), databaseOf(d))
	cfg.URL += "?options=-c%20lock_timeout=100"
	impatient := openOn(t, cfg)
	other := testenv.Postgres(t).Connect(t, databaseOf(d))
	if _, err := other.Exec(t.Context(), "BEGIN; LOCK TABLE bank.accounts IN ACCESS EXCLUSIVE MODE").ReadAll(); err != nil {
		t.Fatal(err)
	}
	_, err := impatient.Inspect(t.Context(), both(table.Name()))
	if !errors.Is(err, model.ErrUnavailable) || !strings.Contains(err.Error(), "table bank.accounts is locked by session ") || !strings.Contains(err.Error(), "LOCK TABLE") {
		t.Errorf("a look at a table that somebody has locked: %v", err)
	}
}

func TestSessionsOfOtherUsersAreSeenWithoutRightsOnThem(t *testing.T) {
	d := openFresh(t)
	sql(t, d, "DROP ROLE IF EXISTS humble", "CREATE ROLE humble LOGIN PASSWORD 'h'")
	t.Cleanup(func() { sql(t, d, "DROP ROLE humble") })
	cfg := configOf(testenv.Postgres(t), databaseOf(d))
	cfg.User, cfg.Password = "humble", "h"
	humble := openOn(t, cfg)
	other := testenv.Postgres(t).Connect(t, databaseOf(d))
	if _, err := other.Exec(t.Context(), "SET application_name = 'shop'").ReadAll(); err != nil {
		t.Fatal(err)
	}
	got, err := humble.Sessions(t.Context())
	if err != nil || len(got) != 1 || got[0].App != "shop" || got[0].User != "postgres" {
		t.Errorf("sessions: %+v, %v", got, err)
	}
	if _, err := humble.TerminateSessions(t.Context()); !errors.Is(err, model.ErrRefused) || !strings.Contains(err.Error(), "pg_signal_backend") {
		t.Errorf("ending them: %v", err)
	}
}

func TestSessionsAreThoseOfOthersAndCanBeEnded(t *testing.T) {
	d := openFresh(t)
	accounts(t, d)
	again := openOn(t, configOf(testenv.Postgres(t), databaseOf(d)))
	other := testenv.Postgres(t).Connect(t, databaseOf(d))
	if _, err := other.Exec(t.Context(), "SET application_name = 'shop'; SELECT 41 + 1").ReadAll(); err != nil {
		t.Fatal(err)
	}
	got, err := again.Sessions(t.Context())
	if err != nil || len(got) != 1 || got[0].App != "shop" || got[0].User != "postgres" || !strings.Contains(got[0].Query, "SELECT 41 + 1") {
		t.Errorf("sessions: %+v, %v", got, err)
	}
	if _, err := other.Exec(t.Context(), "SELECT 'sesame' AS\n password").ReadAll(); err != nil {
		t.Fatal(err)
	}
	if got, err := again.Sessions(t.Context()); err != nil || len(got) != 1 || strings.Contains(got[0].Query, "sesame") || strings.Contains(got[0].Query, "\n") {
		t.Errorf("what may hold a password is shown: %+v, %v", got, err)
	}
	if n, err := again.TerminateSessions(t.Context()); err != nil || n != 1 {
		t.Errorf("ended %d, %v", n, err)
	}
	if got, err := again.Sessions(t.Context()); err != nil || len(got) != 0 {
		t.Errorf("sessions left: %+v, %v", got, err)
	}
	if _, err := other.Exec(t.Context(), "SELECT 1").ReadAll(); err == nil {
		t.Error("the session still works")
	}
	balances(t, d, accountsOf(t, d), "a")
}

func accountsOf(t testing.TB, d *db) *model.Table {
	t.Helper()
	table, err := d.Admin().Table(t.Context(), model.TableName{Namespace: "bank", Name: "accounts"})
	if err != nil {
		t.Fatal(err)
	}
	return table
}
