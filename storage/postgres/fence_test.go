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

func TestFenceHoldsWritersAndLetsReadersPass(t *testing.T) {
	d := openFresh(t)
	table := accounts(t, d)
	apply(t, d, insert(table, "a", 1))
	f, err := d.Fence(t.Context(), fenceOf(table.Name()))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Release(context.Background())
	written := make(chan error, 1)
	go func() {
		written <- d.Mutate(context.Background(), storage.Batch{Mutations: []storage.Mutation{updateIf(table, "a", 1, 2)}})
	}()
	waitFor(t, d, "SELECT 1 FROM pg_locks WHERE NOT granted AND mode = 'RowExclusiveLock'")
	if got := balances(t, d, table, "a"); got[0] != 1 {
		t.Errorf("a reader sees %v under the fence", got)
	}
	select {
	case err := <-written:
		t.Fatalf("a write passed the fence: %v", err)
	default:
	}
	if err := f.Alive(t.Context()); err != nil {
		t.Errorf("alive: %v", err)
	}
	done, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.Release(done); err != nil {
		t.Errorf("release: %v", err)
	}
	if err := <-written; err != nil {
		t.Errorf("the write that waited: %v", err)
	}
	if err := f.Release(done); err != nil {
		t.Errorf("second release: %v", err)
	}
	if f.Alive(t.Context()) == nil {
		t.Error("a released fence says that it is alive")
	}
}

func TestFenceNamesWhoIsInTheWay(t *testing.T) {
	d := openFresh(t)
	table := accounts(t, d)
	apply(t, d, insert(table, "a", 1))
	other := testenv.Postgres(t).Connect(t, databaseOf(d))
	if _, err := other.Exec(t.Context(), "SET application_name = 'batch job'; BEGIN; UPDATE bank.accounts SET balance = 5").ReadAll(); err != nil {
		t.Fatal(err)
	}
	busy := busyFence(t, d, table.Name(), 30*time.Millisecond)
	if busy.Table != table.Name() || len(busy.Holders) != 1 || busy.Holders[0].App != "batch job" || !strings.Contains(busy.Holders[0].Query, "UPDATE bank.accounts") {
		t.Errorf("busy: %+v", busy)
	}
	// Nobody is left waiting behind the fence that was not granted.
	apply(t, d, insert(table, "b", 2))
	if _, err := other.Exec(t.Context(), "ROLLBACK").ReadAll(); err != nil {
		t.Fatal(err)
	}
	f, err := d.Fence(t.Context(), fenceOf(table.Name()))
	if err != nil {
		t.Fatal(err)
	}
	_ = f.Release(t.Context())
}

func TestAFenceWhoseSessionEndsIsNotAlive(t *testing.T) {
	d := openFresh(t)
	table := accounts(t, d)
	f, err := d.Fence(t.Context(), fenceOf(table.Name()))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Release(context.Background())
	sql(t, d, "SELECT pg_terminate_backend(pid, 60000) FROM pg_locks WHERE mode = 'ShareLock' AND locktype = 'relation'")
	if err := f.Alive(t.Context()); err == nil {
		t.Error("a fence without its session says that it is alive")
	}
	apply(t, d, insert(table, "a", 1))
}

func TestProveFenceLeavesNothingBehind(t *testing.T) {
	d := openFresh(t)
	table := accounts(t, d)
	if err := d.ProveFence(t.Context(), fenceOf(table.Name())); err != nil {
		t.Fatal(err)
	}
	if got := sql(t, d, "SELECT (SELECT count(*) FROM bank.accounts), (SELECT count(*) FROM pg_locks WHERE mode = 'ShareLock' AND locktype = 'relation')"); !slices.Equal(got[0], []string{"0", "0"}) {
		t.Errorf("rows and locks left: %v", got[0])
	}
}

func TestFenceNamesTheRightThatIsMissing(t *testing.T) {
	d := openFresh(t)
	table := accounts(t, d)
	s := testenv.Postgres(t)
	sql(t, d, "DROP ROLE IF EXISTS reader", "CREATE ROLE reader LOGIN PASSWORD 'r'", "GRANT USAGE ON SCHEMA bank, scalardb TO reader", "GRANT SELECT ON ALL TABLES IN SCHEMA bank, scalardb TO reader")
	t.Cleanup(func() { s.Exec(t, databaseOf(d), "DROP OWNED BY reader", "DROP ROLE reader") })
	cfg := configOf(s, databaseOf(d))
	cfg.User, cfg.Password = "reader", "r"
	reader := openOn(t, cfg)
	opts := fenceOf(table.Name())
	for name, err := range map[string]error{"fence": fenceOnly(reader, opts), "prove": reader.ProveFence(t.Context(), opts)} {
		if !errors.Is(err, model.ErrRefused) || !strings.Contains(err.Error(), `GRANT UPDATE ON "bank"."accounts" TO "reader"`) {
			t.Errorf("%s: %v", name, err)
		}
	}
	in, err := reader.Inspect(t.Context(), storage.InspectOptions{Tables: opts.Tables, Backup: true})
	if err != nil {
		t.Fatal(err)
	}
	f := finding(in, "missing-right")
	if f == nil || f.Severity != storage.Blocker || !strings.Contains(f.Fix, "GRANT UPDATE ON") {
		t.Errorf("inspection: %+v", in.Findings)
	}
	in = inspect(t, reader, storage.InspectOptions{Tables: append(opts.Tables, model.TableName{Namespace: "none", Name: "none"}), Restore: true})
	fixes := ""
	for _, f := range in.Findings {
		if f.Code == "missing-right" {
			fixes += f.Fix
		}
	}
	for _, right := range []string{"GRANT INSERT ON", "GRANT TRUNCATE ON", "GRANT CREATE ON DATABASE"} {
		if !strings.Contains(fixes, right) {
			t.Errorf("restore: %q is not among %q", right, fixes)
		}
	}
}

func fenceOnly(d *db, opts storage.FenceOptions) error {
	f, err := d.Fence(context.Background(), opts)
	if err == nil {
		_ = f.Release(context.Background())
	}
	return err
}

// busyFence asks for a fence that cannot be granted until it hears who is in the
// way: the search for them is bounded.
func busyFence(t *testing.T, d *db, table model.TableName, wait time.Duration) *storage.FenceBusyError {
	t.Helper()
	for try := 1; ; try++ {
		f, err := d.Fence(t.Context(), storage.FenceOptions{Tables: []model.TableName{table}, Wait: wait})
		busy, ok := errors.AsType[*storage.FenceBusyError](err)
		if !ok || !errors.Is(err, model.ErrConflict) {
			t.Fatalf("fence: %v, %v", f, err)
		}
		if len(busy.Holders) > 0 || try == 20 {
			return busy
		}
	}
}

func databaseOf(d *db) string { return d.pool.config.Database }

// sql runs statements as the superuser in the storage's database.
func sql(t testing.TB, d *db, statements ...string) [][]string {
	t.Helper()
	return testenv.Postgres(t).Exec(t, databaseOf(d), statements...)
}

// waitFor waits until a query has a row.
func waitFor(t testing.TB, d *db, query string) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if len(sql(t, d, query)) > 0 {
			return
		}
	}
	t.Fatalf("never: %s", query)
}

func finding(in storage.Inspection, code string) *storage.Finding {
	for i := range in.Findings {
		if in.Findings[i].Code == code {
			return &in.Findings[i]
		}
	}
	return nil
}
