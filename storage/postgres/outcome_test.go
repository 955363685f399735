//go:build servers

package postgres

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stillpoint-db/stillpoint/internal/testenv"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// through opens a second storage on d's database by way of a proxy.
func through(t testing.TB, d *db) (*db, *testenv.Proxy) {
	t.Helper()
	s := testenv.Postgres(t)
	p := testenv.NewProxy(t, s.Addr())
	cfg := configOf(s, databaseOf(d))
	cfg.URL = strings.Replace(cfg.URL, s.Addr(), p.Addr(), 1)
	return openOn(t, cfg), p
}

func TestALostAnswerIsAnUnknownOutcome(t *testing.T) {
	d := openFresh(t)
	table := accounts(t, d)
	far, proxy := through(t, d)
	for name, batch := range map[string][]storage.Mutation{"one": {insert(table, "a", 1)}, "two": {insert(table, "b", 1), insert(table, "c", 1)}} {
		hit := proxy.Arm(testenv.CutAnswer, "INSERT")
		err := far.Mutate(t.Context(), storage.Batch{Mutations: batch})
		<-hit
		if storage.OutcomeOf(err) != storage.Unknown || !errors.Is(err, model.ErrUnknownOutcome) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := balances(t, d, table, "a", "b", "c"); got[0] != 1 || got[1] != 1 || got[2] != 1 {
		t.Errorf("the batches whose answers were lost left %v", got)
	}
}

func TestALostRequestIsUnknownAndNotRepeated(t *testing.T) {
	d := openFresh(t)
	table := accounts(t, d)
	far, proxy := through(t, d)
	hit := proxy.Arm(testenv.CutRequest, "INSERT")
	err := far.Mutate(t.Context(), storage.Batch{Mutations: []storage.Mutation{insert(table, "a", 1)}})
	<-hit
	if storage.OutcomeOf(err) != storage.Unknown { // the client cannot tell
		t.Errorf("%v", err)
	}
	if got := balances(t, d, table, "a"); got[0] != -1 {
		t.Errorf("left %v", got)
	}
}

func TestAReadWhoseConnectionBreaksIsRepeated(t *testing.T) {
	d := openFresh(t)
	table := accounts(t, d)
	apply(t, d, insert(table, "a", 1))
	far, proxy := through(t, d)
	hit := proxy.Arm(testenv.CutAnswer, "SELECT")
	if got := balances(t, far, table, "a"); got[0] != 1 {
		t.Errorf("read %v", got)
	}
	<-hit
}

func TestAnIdleConnectionThatTheServerEndedIsNotUsed(t *testing.T) {
	d := openFresh(t)
	table := accounts(t, d)
	far, proxy := through(t, d)
	apply(t, far, insert(table, "a", 1))
	proxy.CutAll()
	time.Sleep(2 * checkAfter) // the connection is idle long enough to be looked at
	apply(t, far, insert(table, "b", 1))
}

func TestADeadlineCancelsOnTheServerAndIsCertain(t *testing.T) {
	d := openFresh(t)
	table := accounts(t, d)
	apply(t, d, insert(table, "a", 1))
	holder := testenv.Postgres(t).Connect(t, databaseOf(d))
	if _, err := holder.Exec(t.Context(), "BEGIN; SELECT * FROM bank.accounts FOR UPDATE").ReadAll(); err != nil {
		t.Fatal(err)
	}
	change := []storage.Mutation{updateIf(table, "a", 1, 2), insert(table, "b", 1)}
	err := d.Mutate(t.Context(), storage.Batch{Mutations: change, Deadline: time.Now().Add(100 * time.Millisecond)})
	if storage.OutcomeOf(err) != storage.NotApplied {
		t.Errorf("deadline: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		waitFor(t, d, "SELECT 1 FROM pg_locks WHERE NOT granted")
		cancel()
	}()
	if err = d.Mutate(ctx, storage.Batch{Mutations: change}); storage.OutcomeOf(err) != storage.NotApplied {
		t.Errorf("context: %v", err)
	}
	if _, err := holder.Exec(t.Context(), "ROLLBACK").ReadAll(); err != nil {
		t.Fatal(err)
	}
	if got := balances(t, d, table, "a", "b"); got[0] != 1 || got[1] != -1 {
		t.Errorf("left %v", got)
	}
	err = d.Mutate(t.Context(), storage.Batch{Mutations: change, Deadline: time.Now().Add(-time.Second)})
	if storage.OutcomeOf(err) != storage.NotApplied {
		t.Errorf("a deadline in the past: %v", err)
	}
	apply(t, d, change...)
}

func TestABatchThatWaitedTooLongForAConnectionIsNotSent(t *testing.T) {
	s := testenv.Postgres(t)
	cfg := configOf(s, s.Database(t))
	cfg.Properties = map[string]string{propPoolSize: "1"}
	d := openOn(t, cfg)
	table := accounts(t, d)
	only, err := d.pool.acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(50 * time.Millisecond)
	done := make(chan error, 1)
	go func() {
		done <- d.Mutate(context.Background(), storage.Batch{Mutations: []storage.Mutation{insert(table, "a", 1)}, Deadline: deadline})
	}()
	time.Sleep(time.Until(deadline))
	d.pool.release(only)
	if err := <-done; storage.OutcomeOf(err) != storage.NotApplied {
		t.Errorf("%v", err)
	}
	if got := balances(t, d, table, "a"); got[0] != -1 {
		t.Errorf("left %v", got)
	}
	only, err = d.pool.acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer d.pool.release(only)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.Mutate(ctx, storage.Batch{Mutations: []storage.Mutation{insert(table, "a", 1)}}); storage.OutcomeOf(err) != storage.NotApplied || !errors.Is(err, context.Canceled) {
		t.Errorf("given up while waiting: %v", err)
	}
}

func TestSettingsReachTheSession(t *testing.T) {
	s := testenv.Postgres(t)
	cfg := configOf(s, s.Database(t))
	cfg.URL += "?currentSchema=a,b&options=-c%20lock_timeout%3D123"
	cfg.Properties = map[string]string{propIsolation: "serializable"}
	d := openOn(t, cfg)
	rows, err := executor{db: d}.Query(t.Context(), "SELECT current_setting('search_path'), current_setting('lock_timeout'), current_setting('transaction_isolation'), current_setting('tcp_keepalives_idle')")
	if err != nil || !slices.Equal(rows[0], []string{"a,b", "123ms", "serializable", "15"}) {
		t.Errorf("%v, %v", rows, err)
	}
}

func TestAServerThatDoesNotAnswerIsAnUnknownOutcome(t *testing.T) {
	d := openFresh(t)
	table := accounts(t, d)
	far, proxy := through(t, d)
	hit := proxy.Arm(testenv.HoldAnswer, "INSERT")
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-hit
		cancel()
	}()
	err := far.Mutate(ctx, storage.Batch{Mutations: []storage.Mutation{insert(table, "a", 1)}})
	if storage.OutcomeOf(err) != storage.Unknown || !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// TestABatchWhoseSessionIsEndedLateIsNotRepeated: a process that was frozen while
// its batch waited must not send it again into a database that has been restored.
func TestABatchWhoseSessionIsEndedLateIsNotRepeated(t *testing.T) {
	defer func(d time.Duration) { repeatWithin = d }(repeatWithin)
	for _, within := range []time.Duration{0, time.Hour} {
		repeatWithin = within
		d := openFresh(t)
		table := accounts(t, d)
		apply(t, d, insert(table, "a", 1))
		holder := testenv.Postgres(t).Connect(t, databaseOf(d))
		if _, err := holder.Exec(t.Context(), "BEGIN; SELECT * FROM bank.accounts FOR UPDATE").ReadAll(); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() {
			done <- d.Mutate(context.Background(), storage.Batch{Mutations: []storage.Mutation{updateIf(table, "a", 1, 2)}})
		}()
		waitFor(t, d, "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE NOT granted")
		if within > 0 { // it is sent again, and waits again
			waitFor(t, d, "SELECT 1 FROM pg_locks WHERE NOT granted")
		} else if err := <-done; storage.OutcomeOf(err) != storage.NotApplied {
			t.Errorf("%v", err)
		}
		if _, err := holder.Exec(t.Context(), "ROLLBACK").ReadAll(); err != nil {
			t.Fatal(err)
		}
		want := int64(1)
		if within > 0 {
			if err := <-done; err != nil {
				t.Error(err)
			}
			want = 2
		}
		if got := balances(t, d, table, "a"); got[0] != want {
			t.Errorf("within %v: left %v", within, got)
		}
	}
}

func TestADeadlockIsAConflict(t *testing.T) {
	d := openFresh(t)
	table := accounts(t, d)
	apply(t, d, insert(table, "a", 1), insert(table, "b", 1))
	put := func(id string) storage.Mutation {
		return storage.Mutation{Table: table, Key: key(id), Set: []storage.Assignment{balance(2)}}
	}
	// A third session holds the last rows until both batches hold their first.
	holder := testenv.Postgres(t).Connect(t, databaseOf(d))
	sql(t, d, "INSERT INTO bank.accounts VALUES ('h', 1), ('i', 1)")
	if _, err := holder.Exec(t.Context(), "BEGIN; SELECT * FROM bank.accounts WHERE id IN ('h', 'i') FOR UPDATE").ReadAll(); err != nil {
		t.Fatal(err)
	}
	errs := make(chan error, 2)
	for _, ids := range [][]string{{"a", "h", "b"}, {"b", "i", "a"}} {
		go func() {
			errs <- d.Mutate(context.Background(), storage.Batch{Mutations: []storage.Mutation{put(ids[0]), put(ids[1]), put(ids[2])}})
		}()
	}
	waitFor(t, d, "SELECT 1 FROM pg_locks WHERE NOT granted HAVING count(*) = 2")
	if _, err := holder.Exec(t.Context(), "ROLLBACK").ReadAll(); err != nil {
		t.Fatal(err)
	}
	a, b := <-errs, <-errs
	if a == nil {
		a, b = b, a
	}
	if b != nil || storage.OutcomeOf(a) != storage.NotApplied || !errors.Is(a, model.ErrConflict) {
		t.Errorf("one batch must be applied and the other be a conflict: %v, %v", b, a)
	}
}

func TestServerRestartInTheMiddle(t *testing.T) {
	s := testenv.StartPostgres(t, "max_prepared_transactions=1")
	d := openOn(t, configOf(s, s.Database(t)))
	table := createTable(t, d, model.TableSpec{Name: model.TableName{Namespace: "bank", Name: "accounts"}, PartitionKey: []string{"id"},
		Columns: []model.Column{{Name: "id", Type: model.Text}, {Name: "balance", Type: model.Int}}})
	apply(t, d, insert(table, "a", 1))
	// The lock outlives the shutdown, or the batch that waits for it may be done
	// before the server ends its session.
	holder := s.Connect(t, databaseOf(d))
	if _, err := holder.Exec(t.Context(), "BEGIN; SELECT * FROM bank.accounts FOR UPDATE; PREPARE TRANSACTION 'holds'").ReadAll(); err != nil {
		t.Fatal(err)
	}
	waits := make(chan error, 1)
	go func() {
		waits <- d.Mutate(context.Background(), storage.Batch{Mutations: []storage.Mutation{updateIf(table, "a", 1, 2), insert(table, "b", 1)}})
	}()
	for len(s.Exec(t, databaseOf(d), "SELECT 1 FROM pg_locks WHERE NOT granted")) == 0 {
		time.Sleep(5 * time.Millisecond)
	}
	s.Stop(t)
	if err := <-waits; storage.OutcomeOf(err) != storage.NotApplied { // the server said so
		t.Errorf("a batch that the shutdown ended: %v", err)
	}
	_, err := d.Get(t.Context(), []storage.Get{{Table: table, Key: key("a")}})
	if !errors.Is(err, model.ErrUnavailable) || !strings.Contains(err.Error(), "cannot be reached") {
		t.Errorf("while it is down: %v", err)
	}
	if err := d.Mutate(t.Context(), storage.Batch{Mutations: []storage.Mutation{insert(table, "c", 1)}}); storage.OutcomeOf(err) != storage.NotApplied {
		t.Errorf("while it is down: %v", err)
	}
	s.Start(t)
	s.Exec(t, databaseOf(d), "ROLLBACK PREPARED 'holds'")
	if got := balances(t, d, table, "a", "b", "c"); got[0] != 1 || got[1] != -1 || got[2] != -1 {
		t.Errorf("after the restart: %v", got)
	}
	apply(t, d, updateIf(table, "a", 1, 2), insert(table, "b", 1))
}

func TestAStatementWhosePlanChangedIsPreparedAgain(t *testing.T) {
	d := openFresh(t)
	table := accounts(t, d)
	apply(t, d, insert(table, "a", 1))
	for range 6 { // PostgreSQL keeps a generic plan from the sixth time on
		balances(t, d, table, "a")
	}
	sql(t, d, "ALTER TABLE bank.accounts ALTER COLUMN balance TYPE bigint")
	if got := balances(t, d, table, "a"); got[0] != 1 {
		t.Errorf("read %v", got)
	}
	apply(t, d, updateIf(table, "a", 1, 2), insert(table, "b", 1))
	s, err := d.pool.acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := d.run(t.Context(), s, "DEALLOCATE ALL"); err != nil {
		t.Fatal(err)
	}
	d.pool.release(s)
	apply(t, d, updateIf(table, "a", 2, 3), insert(table, "c", 1))
}

func TestConnectionErrorsAreOneSentenceWithoutSecrets(t *testing.T) {
	s := testenv.Postgres(t)
	good := configOf(s, s.Database(t))
	// A name with an empty part is none, which needs no asking in the network.
	for name, c := range map[string]struct {
		change func(*storage.Config)
		want   string
	}{
		"password": {func(c *storage.Config) { c.Password = "wrong-secret" }, "Check the user name and the password"},
		"variable": {func(c *storage.Config) { c.Password = "${env:secret}" }, "still holds a placeholder"},
		"user":     {func(c *storage.Config) { c.User = "mallory" }, "Check the user name and the password"},
		"database": {func(c *storage.Config) { c.URL = s.URL("nowhere") }, `database "nowhere" does not exist`},
		"host":     {func(c *storage.Config) { c.URL = "jdbc:postgresql://no-such-host..invalid/db" }, `host "no-such-host..invalid" is not known`},
		"port":     {func(c *storage.Config) { c.URL = "jdbc:postgresql://127.0.0.1:1/db" }, "connection refused"},
		"tls":      {func(c *storage.Config) { c.URL += "?sslmode=require" }, "refused TLS connection. Set ssl = on"},
	} {
		cfg := good
		c.change(&cfg)
		_, err := open(t.Context(), cfg)
		if !errors.Is(err, model.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		text := err.Error()
		if !strings.Contains(text, c.want) || strings.Contains(text, "\n") || strings.Contains(text, "secret") || strings.Contains(text, s.Password) || len(text) > 300 {
			t.Errorf("%s: %q, want %q", name, text, c.want)
		}
	}
}

func TestCloseWaitsAndEndsEverything(t *testing.T) {
	s := testenv.Postgres(t)
	d, err := open(t.Context(), configOf(s, s.Database(t)))
	if err != nil {
		t.Fatal(err)
	}
	table := accounts(t, d)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
	for _, err := range []error{d.Mutate(t.Context(), storage.Batch{Mutations: []storage.Mutation{insert(table, "a", 1)}}), func() error {
		_, err := d.Get(t.Context(), []storage.Get{{Table: table, Key: key("a")}})
		return err
	}()} {
		if !errors.Is(err, model.ErrUnavailable) {
			t.Errorf("after close: %v", err)
		}
	}
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if got := s.Exec(t, databaseOf(d), "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE '%stillpoint/%' AND datname = current_database()"); got[0][0] == "0" {
			return
		}
	}
	t.Error("sessions are left")
}
