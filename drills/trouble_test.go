//go:build java && servers && failpoints

package drills

import (
	"context"
	"database/sql"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stillpoint-db/stillpoint/internal/testenv"
)

// noFence asks PostgreSQL whether nobody holds a lock like the fence's.
func noFence(db *sql.DB) func(context.Context) (bool, error) {
	return func(ctx context.Context) (bool, error) {
		var n int
		err := db.QueryRowContext(ctx, "SELECT count(*) FROM pg_locks WHERE mode = 'ShareLock' AND locktype = 'relation' AND granted").Scan(&n)
		return n == 0, err
	}
}

// TestABatchJobThatHoldsLocks lets a batch job hold a table on one of the servers
// for longer than a backup is willing to try. It is refused and names the session,
// and no writer is held up for longer than one bounded wait at a time.
func TestABatchJobThatHoldsLocks(t *testing.T) {
	w := allThree(t).open(t)
	folder := t.TempDir()
	x := startWriter(t, w, 4, nil)
	x.committed(t, time.Time{}, 20)
	const budget = 5 * time.Second
	for name, job := range map[string]string{
		"pg": "UPDATE bank.bench_accounts SET balance = balance WHERE id = -1",
		"my": "UPDATE vault.bench_accounts SET balance = balance WHERE id = -1",
	} {
		// Before the plan, whose proof of the lock then fails; or after it.
		for _, when := range []string{"before the plan", "after the plan"} {
			// A machine that stands still holds writers up, too, and the search for who
			// is in the way is given up soon.
			for try := 1; ; try++ {
				n, stall, named := besideBatchJob(t, w, x, folder, name, job, when, budget)
				if n > 0 && stall < budget && named {
					break
				}
				if try == 3 {
					t.Errorf("writers were held up: %d moves, the longest %v; or the session is not named: %v", n, stall, named)
					break
				}
			}
		}
	}
	backup(t, w, folder)
	wantClean(t, x.stop(t))
	wantRight(t, w)
	everyBackup(t, w, folder)
}

// besideBatchJob has a job hold its locks while a backup is attempted, and tells how
// many moves were made meanwhile, how long the longest took, and whether the refusal
// names the session of the job.
func besideBatchJob(t *testing.T, w *world, x *writer, folder, name, job, when string, budget time.Duration) (n int, stall time.Duration, named bool) {
	t.Helper()
	tx, err := w.places[name].sessions(t).BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	begin := func() {
		if _, err := tx.Exec(job); err != nil {
			t.Error(err)
		}
	}
	h := &hooks{planned: begin}
	if when == "before the plan" {
		begin()
		h = nil
	}
	asked := time.Now()
	_, err = attempt(t, w, folder, within(budget), 0, h)
	took := time.Since(asked)
	if !refused(t, name+": a batch job, begun "+when, err) {
		t.Errorf("%s: a backup was taken past the lock of a batch job", name)
	} else {
		named = strings.Contains(err.Error(), "session ")
	}
	for _, m := range x.moves(t) {
		if m.begun().After(asked) && m.ended.Before(asked.Add(took)) {
			n++
			stall = max(stall, m.took)
		}
	}
	t.Logf("%s, job begun %s: refused after %v; meanwhile %d moves, the longest %v", name, when, took.Round(time.Millisecond), n, stall.Round(time.Millisecond))
	if err := tx.Rollback(); err != nil {
		t.Error(err)
	}
	return n, stall, named
}

// TestACommitThatHangsInSynchronousReplication has the commits of one writer wait
// for a standby that does not exist: decided in the log of PostgreSQL, seen by
// nobody, locks held. A backup is refused as long as it hangs, and right when the
// commit comes through in the middle of its attempts.
func TestACommitThatHangsInSynchronousReplication(t *testing.T) {
	server := testenv.StartPostgres(t, "synchronous_commit=local")
	w := together(t, map[string]place{"pg": postgresOf(t, server, server.Database(t)), "my": mariadbPlace(t)})
	w.open(t)
	folder := t.TempDir()
	x := startWriter(t, w, 2, nil)
	x.committed(t, time.Time{}, 10)
	server.Set(t, "synchronous_standby_names", "nobody")
	server.WaitForSetting(t, "synchronous_standby_names", "nobody")
	const url = "scalar.db.multi_storage.storages.pg.contact_points"
	hung := startWriter(t, w, 1, map[string]string{url: w.properties[url] + "?options=-c%20synchronous_commit%3Don"})
	db := w.places["pg"].sessions(t)
	eventually(t, "a commit that waits for a standby", func(ctx context.Context) (bool, error) {
		var n int
		err := db.QueryRowContext(ctx, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'").Scan(&n)
		return n > 0, err
	})
	if _, err := attempt(t, w, folder, within(3*time.Second), 0, nil); !refused(t, "while a commit hangs", err) {
		t.Error("a backup was taken past a commit that nobody can see")
	}
	time.AfterFunc(time.Second, func() {
		for _, q := range []string{"ALTER SYSTEM RESET synchronous_standby_names", "SELECT pg_reload_conf()"} {
			if _, err := db.ExecContext(context.WithoutCancel(t.Context()), q); err != nil {
				t.Error(err)
			}
		}
	})
	if m, err := attempt(t, w, folder, within(patience), 0, nil); !refused(t, "while it comes through", err) {
		t.Logf("longest stall %v in %d attempts", m.Fence.LongestStall.Round(time.Millisecond), m.Fence.Tries)
	} else {
		t.Error("the backup is refused, although the commit has come through")
	}
	hung.committed(t, time.Now(), 1)
	wantClean(t, hung.stop(t))
	wantClean(t, x.stop(t))
	wantRight(t, w)
	everyBackup(t, w, folder)
}

// TestBackupsBesideAutovacuum has PostgreSQL vacuum and analyze the tables of the bank
// all the time, slowly, so that the fence meets its locks.
func TestBackupsBesideAutovacuum(t *testing.T) {
	server := testenv.StartPostgres(t, "autovacuum_naptime=1s", "autovacuum_vacuum_threshold=1", "autovacuum_vacuum_scale_factor=0",
		"autovacuum_analyze_threshold=1", "autovacuum_analyze_scale_factor=0", "autovacuum_vacuum_cost_delay=50ms", "autovacuum_vacuum_cost_limit=20")
	w := together(t, map[string]place{"pg": postgresOf(t, server, server.Database(t)), "lite": sqlitePlace(t)})
	w.open(t)
	folder := t.TempDir()
	x := startWriter(t, w, 3, nil)
	x.committed(t, time.Time{}, 20)
	db := w.places["pg"].sessions(t)
	met, right := 0, 0
	for range 4 {
		eventually(t, "an autovacuum", func(ctx context.Context) (bool, error) {
			var n int
			err := db.QueryRowContext(ctx, `SELECT count(*) FROM pg_stat_activity a JOIN pg_locks l USING (pid) WHERE a.backend_type = 'autovacuum worker'
				AND l.mode = 'ShareUpdateExclusiveLock' AND l.granted AND l.relation IN (SELECT oid FROM pg_class WHERE relname LIKE 'bench_%' OR relname = 'state')`).Scan(&n)
			return n > 0, err
		})
		met++
		m, err := attempt(t, w, folder, within(patience), 0, nil)
		if !refused(t, "beside autovacuum", err) {
			right++
			t.Logf("longest stall %v in %d attempts", m.Fence.LongestStall.Round(time.Millisecond), m.Fence.Tries)
		}
	}
	t.Logf("%d backups of %d that met an autovacuum are right", right, met)
	wantClean(t, x.stop(t))
	wantRight(t, w)
	everyBackup(t, w, folder)
}

// TestTheSchemaChangesDuringADump runs statements that redefine, empty or index a
// table while it is being copied. Each backup is right, with every row of the
// moment, or void; and writers go on.
func TestTheSchemaChangesDuringADump(t *testing.T) {
	w := allThree(t)
	w.open(t)
	w.fill(t, 4<<10)
	folder := t.TempDir()
	x := startWriter(t, w, 2, nil)
	x.committed(t, time.Time{}, 10)
	raw := backup(t, w, folder).Totals.Raw
	for _, change := range []struct{ name, sql string }{
		{"pg", "CREATE INDEX extra ON bank.bench_history (amount)"},
		{"my", "CREATE INDEX extra ON vault.bench_history (amount)"},
		{"pg", "ALTER TABLE bank.bench_history ADD COLUMN extra int"},
		{"my", "ALTER TABLE vault.bench_history ADD COLUMN extra int"},
		{"pg", "TRUNCATE bank.pads"},
		{"my", "TRUNCATE vault.pads"},
	} {
		db := w.places[change.name].sessions(t)
		changed := make(chan error, 1)
		run := sync.OnceFunc(func() {
			go func() {
				_, err := db.ExecContext(t.Context(), change.sql)
				changed <- err
			}()
		})
		m, err := attempt(t, w, folder, within(patience), raw/4, &hooks{copying: run})
		run() // a backup that was refused has not come to copying
		if err := <-changed; err != nil {
			t.Errorf("%s: %v", change.sql, err)
		}
		if !refused(t, change.sql, err) {
			for i := range m.Tables {
				if tab := &m.Tables[i]; tab.Definition.Name == padTable && tab.Rows != pads && !emptied(change.sql, tab.Name().String()) {
					t.Errorf("%s: %d rows of %s are in the backup, of %d", change.sql, tab.Rows, tab.Name(), pads)
				}
			}
		}
		x.committed(t, time.Now(), 3)
	}
	backup(t, w, folder)
	wantClean(t, x.stop(t))
	wantRight(t, w)
	everyBackup(t, w, folder)
}

// emptied tells whether a table was emptied by an earlier change, when a later one
// is at work.
func emptied(change, table string) bool {
	return table == "bank.pads" && change == "TRUNCATE vault.pads"
}
