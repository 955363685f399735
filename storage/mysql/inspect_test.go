//go:build servers

package mysql

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stillpoint-db/stillpoint/internal/testenv"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

func TestAHealthyServerHasNoFindings(t *testing.T) {
	s := open(t)
	table := newTable(t, s, testenv.MariaDB(t).Namespace(t), "t")
	in, err := s.Inspect(context.Background(), storage.InspectOptions{Tables: []model.TableName{table.Name()}, Backup: true, Restore: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(in.Findings) != 0 || in.Engine != "MariaDB" || !strings.HasPrefix(in.Version, "10.") || in.Identity == "" || len(in.Tables) != 1 || in.Bytes < 0 {
		t.Fatalf("%+v", in)
	}
	if other := openURL(t, testenv.MariaDB(t).MySQLURL()); other.server.identity != in.Identity || other.server.instance != in.Instance || in.Instance == "" {
		t.Error("one server has two identities")
	}
}

func TestACopyOfAServerOnAnotherMachineIsAnotherServer(t *testing.T) {
	s := open(t)
	ses, err := s.lend(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.giveBack(t.Context(), ses)
	vars, err := ses.variables(t.Context(), "hostname", "port", "datadir", "server_id", "server_uid")
	if err != nil || vars["server_uid"] == "" || identity(vars, true) != s.server.identity {
		t.Fatal(vars, err)
	}
	vars["server_uid"] = "of another machine"
	if identity(vars, true) == s.server.identity {
		t.Error("two servers with one identity: a backup would copy only one of them")
	}
	a := map[string]string{"server_uuid": "of both", "hostname": "a", "port": "3306", "datadir": "/var/lib/mysql/"}
	b := maps.Clone(a)
	b["hostname"] = "b"
	if identity(a, false) != identity(b, false) || instance(a) == instance(b) {
		t.Error("MySQL, whose files were copied with its server_uuid")
	}
}

func TestWhatMakesABackupUnsafeIsFound(t *testing.T) {
	server := testenv.NewMariaDB(t, testenv.MariaDBOptions{Flags: []string{"--innodb-flush-log-at-trx-commit=2", "--log-bin", "--binlog-format=ROW", "--sync-binlog=0"}})
	s := openURL(t, server.URL())
	good, bad := newTable(t, s, "ns", "good"), newTable(t, s, "ns", "bad")
	server.Exec(t, "ALTER TABLE ns.bad ENGINE=Aria")
	ctx := context.Background()
	in, err := s.Inspect(ctx, storage.InspectOptions{Tables: []model.TableName{good.Name(), bad.Name(), {Namespace: "ns", Name: "gone"}}, Backup: true})
	if err != nil {
		t.Fatal(err)
	}
	fix := want(t, in, "not-transactional", storage.Blocker, "ns.bad").Fix
	want(t, in, "table-missing", storage.Blocker, "ns.gone")
	want(t, in, "commits-may-be-lost", storage.Warning, "innodb_flush_log_at_trx_commit=2")
	want(t, in, "commits-may-be-lost", storage.Info, "sync_binlog=0")
	session, err := server.DB().Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	for _, sql := range []string{"XA START 'pay 7'", "INSERT INTO ns.good (k, c) VALUES ('x', 1)", "XA END 'pay 7'", "XA PREPARE 'pay 7'"} {
		if _, err := session.ExecContext(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	if in, err = s.Inspect(ctx, storage.InspectOptions{Tables: []model.TableName{good.Name()}, Backup: true}); err != nil {
		t.Fatal(err)
	}
	want(t, in, "prepared-transaction", storage.Warning, `XA "pay 7"`)
	if _, err := session.ExecContext(ctx, "XA ROLLBACK 'pay 7'"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.PrepareSnapshot(ctx, storage.SnapshotOptions{Tables: []model.TableName{bad.Name()}}); !errors.Is(err, model.ErrRefused) {
		t.Fatalf("a snapshot of a table without snapshots: %v", err)
	}
	server.Exec(t, fix)
	if in, err = s.Inspect(ctx, storage.InspectOptions{Tables: []model.TableName{bad.Name()}, Backup: true}); err != nil || slices.ContainsFunc(in.Findings, func(f storage.Finding) bool { return f.Code == "not-transactional" }) {
		t.Fatalf("after %s: %v %+v", fix, err, in.Findings)
	}
}

func TestATableThatIsLockedIsNamed(t *testing.T) {
	server := testenv.MariaDB(t)
	s := open(t)
	table := newTable(t, s, server.Namespace(t), "busy")
	ctx := context.Background()
	if err := s.read(ctx, "make impatient", func(ses *session) error { return ses.execText(ctx, "SET SESSION lock_wait_timeout=1") }); err != nil {
		t.Fatal(err)
	}
	other, err := server.DB().Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := other.ExecContext(ctx, "LOCK TABLES "+s.dialect.Table(table.Name())+" WRITE"); err != nil {
		t.Fatal(err)
	}
	_, err = s.Inspect(ctx, storage.InspectOptions{Tables: []model.TableName{table.Name()}, Backup: true})
	if !errors.Is(err, model.ErrUnavailable) || !strings.Contains(err.Error(), "table "+table.Name().String()+" is locked") {
		t.Errorf("a look at a table that somebody has locked: %v", err)
	}
	if _, err := other.ExecContext(ctx, "UNLOCK TABLES"); err != nil {
		t.Fatal(err)
	}
}

func TestEachMissingRightIsFoundWithTheGrantThatHelps(t *testing.T) {
	server := testenv.MariaDB(t)
	admin := open(t)
	ns := server.Namespace(t)
	table := newTable(t, admin, ns, "t")
	name, password := server.User(t, "INSERT ON `"+ns+"`.*", "SELECT ON `scalardb`.*")
	as := func(c *storage.Config) { c.User, c.Password = name, storage.Secret(password) }
	s := openURL(t, server.URL(), as)
	ctx := context.Background()
	opts := storage.InspectOptions{Tables: []model.TableName{table.Name()}, Backup: true, Restore: true}
	// Each round grants what is asked for, until nothing is missing.
	var granted []string
	for range 6 {
		in, err := s.Inspect(ctx, opts)
		if err != nil {
			t.Fatal(err)
		}
		if len(in.Findings) == 0 {
			break
		}
		for _, f := range in.Findings {
			if f.Code != "missing-right" || f.Fix == "" {
				t.Fatalf("%+v", f)
			}
			server.Exec(t, f.Fix)
			granted = append(granted, f.Subject)
		}
		s = openURL(t, server.URL(), as) // global rights are taken when a session begins
	}
	for _, right := range []string{"SELECT", "LOCK TABLES", "PROCESS", "SLAVE MONITOR"} {
		if !slices.ContainsFunc(granted, func(g string) bool { return strings.HasPrefix(g, right+" ") }) {
			t.Errorf("%s was not asked for: %v", right, granted)
		}
	}
	if err := s.ProveFence(ctx, fenceOf(table)); err != nil {
		t.Errorf("with all rights: %v", err)
	}
}

func TestEachRightThatARestoreLacksIsFoundWithTheGrantThatHelps(t *testing.T) {
	server := testenv.MariaDB(t)
	admin := open(t)
	there, absent := server.Namespace(t), server.Namespace(t)
	table := newTable(t, admin, there, "t")
	name, password := server.User(t, "SELECT ON `scalardb`.*", "PROCESS ON *.*")
	ctx := context.Background()
	opts := storage.InspectOptions{Tables: []model.TableName{table.Name(), {Namespace: absent, Name: "new"}}, Restore: true}
	asked := map[string]storage.Severity{}
	for range 6 { // each round grants what is asked for, until nothing is missing
		s := openURL(t, server.URL(), func(c *storage.Config) { c.User, c.Password = name, storage.Secret(password) })
		in, err := s.Inspect(ctx, opts)
		if err != nil {
			t.Fatal(err)
		}
		if len(in.Findings) == 0 {
			break
		}
		for _, f := range in.Findings {
			asked[strings.Replace(strings.Replace(f.Subject, there, "there", 1), absent, "absent", 1)] = f.Severity
			server.Exec(t, f.Fix)
		}
	}
	want := map[string]storage.Severity{"SELECT, CREATE on `there`.*": storage.Blocker, "SELECT, CREATE on `absent`.*": storage.Blocker,
		"INSERT on `there`.`t`": storage.Blocker, "DROP on `there`.*": storage.Blocker}
	if !maps.Equal(asked, want) {
		t.Errorf("asked for %v", asked)
	}
	tables, err := admin.Admin().Tables(ctx, there)
	if err != nil || len(tables) != 1 {
		t.Errorf("what was tried left something: %v %v", tables, err)
	}
	var left string
	if err := server.DB().QueryRowContext(ctx, "SELECT COUNT(*) FROM information_schema.tables WHERE TABLE_NAME LIKE 'stillpoint\\_%'").Scan(&left); err != nil || left != "0" {
		t.Errorf("%s tables are left: %v", left, err)
	}
}

func TestRightsOnEachTableAreEnoughForARestore(t *testing.T) {
	server := testenv.MariaDB(t)
	admin := open(t)
	ns := server.Namespace(t)
	opts := storage.InspectOptions{Restore: true, Tables: []model.TableName{newTable(t, admin, ns, "one").Name(), newTable(t, admin, ns, "two").Name()}}
	const all = "SELECT, INSERT, CREATE, DROP ON "
	for second, findings := range map[string]int{all: 0, "SELECT, INSERT ON ": 2} {
		name, password := server.User(t, "PROCESS ON *.*", all+admin.dialect.Table(opts.Tables[0]), second+admin.dialect.Table(opts.Tables[1]))
		s := openURL(t, server.URL(), func(c *storage.Config) { c.User, c.Password = name, storage.Secret(password) })
		in, err := s.Inspect(t.Context(), opts)
		if err != nil || len(in.Findings) != findings {
			t.Errorf("%s: %v %+v", second, err, in)
		}
	}
}

func TestAProofThatMayNotInsertSaysWhatToGrant(t *testing.T) {
	server := testenv.MariaDB(t)
	admin := open(t)
	ns := server.Namespace(t)
	table := newTable(t, admin, ns, "t")
	name, password := server.User(t, "SELECT, LOCK TABLES ON `"+ns+"`.*", "SELECT ON `scalardb`.*")
	s := openURL(t, server.URL(), func(c *storage.Config) { c.User, c.Password = name, storage.Secret(password) })
	err := s.ProveFence(t.Context(), fenceOf(table))
	if !errors.Is(err, model.ErrRefused) || !strings.Contains(err.Error(), "lacks INSERT on "+table.Name().String()) || strings.Contains(err.Error(), "a second session wrote") {
		t.Fatal(err)
	}
	server.Exec(t, model.Hint(err))
	if err := s.ProveFence(t.Context(), fenceOf(table)); err != nil {
		t.Errorf("after %s: %v", model.Hint(err), err)
	}
}

func TestWritesWithoutARightAreRefusedNotUnknown(t *testing.T) {
	server := testenv.MariaDB(t)
	admin := open(t)
	ns := server.Namespace(t)
	table := newTable(t, admin, ns, "t")
	name, password := server.User(t, "SELECT ON `"+ns+"`.*")
	s := openURL(t, server.URL(), func(c *storage.Config) { c.User, c.Password = name, storage.Secret(password) })
	for _, ms := range [][]storage.Mutation{{put(table, "a", 1, notExists)}, {put(table, "a", 1, notExists), put(table, "b", 1, notExists)}} {
		for _, s := range []*Store{s, asMySQL(openURL(t, server.URL(), func(c *storage.Config) { c.User, c.Password = name, storage.Secret(password) }))} {
			err := s.Mutate(context.Background(), batch(ms...))
			if storage.OutcomeOf(err) != storage.Refused || !strings.Contains(err.Error(), "GRANT") {
				t.Errorf("%d mutations: %v", len(ms), err)
			}
		}
	}
}

func TestSessionsOfOthersAreListedAndEnded(t *testing.T) {
	server := testenv.NewMariaDB(t, testenv.MariaDBOptions{})
	s, second := openURL(t, server.URL()), openURL(t, server.MySQLURL())
	ctx := context.Background()
	f, err := second.Fence(ctx, fenceOf(newTable(t, s, "ns", "t")))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Release(ctx)
	user, password := server.User(t)
	server.DB().SetMaxIdleConns(0) // the test's own sessions
	none := func() {
		t.Helper()
		for end := time.Now().Add(2 * time.Minute); ; time.Sleep(5 * time.Millisecond) { // a session that was closed takes the server a moment
			list, err := s.Sessions(ctx)
			if err == nil && len(list) == 0 {
				return
			}
			if err != nil || time.Now().After(end) {
				t.Fatalf("%+v %v", list, err)
			}
			if err := f.Alive(ctx); err != nil { // which keeps the server from ending it
				t.Fatal(err)
			}
		}
	}
	none()
	other := server.Session(t, user, password)
	list, err := s.Sessions(ctx)
	if err != nil || len(list) != 1 || list[0].User != user {
		t.Fatalf("%+v %v", list, err)
	}
	if n, err := s.TerminateSessions(ctx); err != nil || n != 1 {
		t.Fatal(n, err)
	}
	if err := other.PingContext(ctx); err == nil {
		t.Error("the session is still there")
	}
	none()
	if err := f.Alive(ctx); err != nil {
		t.Errorf("a session of our own was ended: %v", err)
	}
}

func TestServersWhoseLocksDoNotHoldAllWritesAreKnown(t *testing.T) {
	for what, vars := range map[string]map[string]string{
		"read-only":         {"read_only": "ON"},
		"Galera":            {"wsrep_on": "ON", "wsrep_provider": "/usr/lib/galera/libgalera_smm.so"},
		"group replication": {"group_replication_single_primary_mode": "OFF"},
	} {
		if reason := noSolePrimary(vars); !strings.Contains(reason, what) {
			t.Errorf("%v: %q", vars, reason)
		}
	}
	for _, vars := range []map[string]string{{}, {"read_only": "OFF", "wsrep_on": "ON", "wsrep_provider": "none"}, {"wsrep_on": "OFF"}, {"group_replication_single_primary_mode": "ON"}} {
		if reason := noSolePrimary(vars); reason != "" {
			t.Errorf("%v: %q", vars, reason)
		}
	}
}

func TestStatementsWithPasswordsAreNotShown(t *testing.T) {
	shown := func(q string) string {
		return sessionsOf([][]string{{"1", "u", "h", "Query", "", q, "0"}})[0].Query
	}
	for _, q := range []string{"CREATE USER 'u' IDENTIFIED BY 'sesame'", "SET PASSWORD = 'sesame'", "change master to master_password='sesame'"} {
		if got := shown(q); strings.Contains(got, "sesame") {
			t.Errorf("%q", got)
		}
	}
	if got := shown("UPDATE  t\n SET v=1"); got != "UPDATE t SET v=1" {
		t.Errorf("%q", got)
	}
}

func TestSessionsThatAreEndedAreGone(t *testing.T) {
	server := testenv.NewMariaDB(t, testenv.MariaDBOptions{})
	s := openURL(t, server.URL())
	newTable(t, s, "ns", "t")
	server.Exec(t, "CREATE TABLE ns.big (n INT PRIMARY KEY, s CHAR(100)) ENGINE=InnoDB")
	busy := server.Session(t, testenv.MariaDBUser, testenv.MariaDBPassword)
	for _, q := range []string{"USE ns", "BEGIN", "INSERT INTO ns.big SELECT seq, 'x' FROM seq_1_to_300000"} { // long to take back
		if _, err := busy.ExecContext(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.TerminateSessions(t.Context()); err != nil {
		t.Fatal(err)
	}
	var open int
	if err := server.DB().QueryRow("SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_rows_modified>0").Scan(&open); err != nil || open != 0 {
		t.Errorf("%d transactions are still being taken back, %v", open, err)
	}
}
