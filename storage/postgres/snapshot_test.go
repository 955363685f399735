//go:build servers

package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stillpoint-db/stillpoint/internal/testenv"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// readSnapshot reads a table of a snapshot in n parts and returns its balances.
func readSnapshot(t testing.TB, p storage.Snapshot, name model.TableName, n int) map[string]int64 {
	t.Helper()
	ctx := context.Background()
	table, err := p.Table(ctx, name)
	if err != nil {
		t.Fatal(err)
	}
	parts, err := p.Split(ctx, table, n)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]int64{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, part := range parts {
		wg.Go(func() {
			err := p.Read(ctx, table, part, func(r *model.Row) error {
				mu.Lock()
				defer mu.Unlock()
				id := r.Get("id").Str()
				if _, twice := out[id]; twice {
					return fmt.Errorf("row %s was read twice", id)
				}
				out[id] = r.Get("balance").Int64()
				return nil
			})
			if err != nil {
				t.Errorf("read: %v", err)
			}
		})
	}
	wg.Wait()
	return out
}

func prepare(t testing.TB, d *db, lock bool, readers int, tables ...model.TableName) *snapshot {
	t.Helper()
	p, err := d.prepareSnapshot(t.Context(), storage.SnapshotOptions{Tables: tables, Readers: readers}, lock)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func openSnapshot(t testing.TB, p *snapshot) {
	t.Helper()
	if err := p.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.Detach(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// The locks are taken in the transactions that read; if LOCK TABLE pinned their
// snapshot, the commits between Prepare and Open would be missing.
func TestSnapshotIsThatOfOpenNotOfItsLocks(t *testing.T) {
	d := openFresh(t)
	table := accounts(t, d)
	apply(t, d, insert(table, "a", 1))
	p := prepare(t, d, true, 2, table.Name())
	apply(t, d, updateIf(table, "a", 1, 2), insert(table, "b", 3))
	if err := p.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	apply(t, d, updateIf(table, "a", 2, 9), insert(table, "c", 4)) // after Open, before the workers take it over
	if err := p.Detach(t.Context()); err != nil {
		t.Fatal(err)
	}
	apply(t, d, updateIf(table, "b", 3, 9))
	got := readSnapshot(t, p, table.Name(), 2)
	if len(got) != 2 || got["a"] != 2 || got["b"] != 3 {
		t.Errorf("read %v, want a=2 b=3", got)
	}
	if err := p.Verify(t.Context()); err != nil {
		t.Errorf("verify: %v", err)
	}
}

func TestPartsOfASnapshotAreTheWholeTable(t *testing.T) {
	d := openFresh(t)
	table := accounts(t, d)
	sql(t, d, "INSERT INTO bank.accounts SELECT i::text, i, repeat('x', 900) FROM generate_series(1, 20000) i", "ANALYZE bank.accounts")
	p := prepare(t, d, true, 3, table.Name())
	openSnapshot(t, p)
	sql(t, d, "INSERT INTO bank.accounts SELECT 'later' || i, i, repeat('x', 900) FROM generate_series(1, 2000) i")
	sql(t, d, "UPDATE bank.accounts SET balance = 0 WHERE balance % 7 = 0", "DELETE FROM bank.accounts WHERE balance % 5 = 1")
	parts, err := p.Split(t.Context(), table, 3)
	if err != nil || len(parts) != 3 || parts[0].Rows < 6000 || parts[0].Bytes < 1<<20 {
		t.Errorf("parts: %+v, %v", parts, err)
	}
	got := readSnapshot(t, p, table.Name(), 3)
	if len(got) != 20000 {
		t.Fatalf("read %d rows", len(got))
	}
	for id, n := range got {
		if strconv.FormatInt(n, 10) != id {
			t.Fatalf("row %s has balance %d", id, n)
		}
	}
	if err := p.Verify(t.Context()); err != nil {
		t.Errorf("verify: %v", err)
	}
}

// What the locks are for: without them TRUNCATE and a rewrite between the
// snapshot and the first read empty the table in the snapshot's eyes.
func TestTruncateAndRewriteAreKeptOutOrDetected(t *testing.T) {
	for name, race := range map[string]string{"truncate": "TRUNCATE bank.accounts", "rewrite": "ALTER TABLE bank.accounts ALTER COLUMN balance TYPE bigint"} {
		t.Run(name, func(t *testing.T) {
			d := openFresh(t)
			table := accounts(t, d)
			apply(t, d, insert(table, "a", 1), insert(table, "b", 2))

			naive := prepare(t, d, false, 1, table.Name())
			openSnapshot(t, naive)
			locked := prepare(t, d, true, 1, table.Name())
			openSnapshot(t, locked)
			other := testenv.Postgres(t).Connect(t, databaseOf(d))
			_, err := other.Exec(t.Context(), "SET lock_timeout = 50; "+race).ReadAll()
			if !hasCode(err, codeLockTimeout) {
				t.Fatalf("with the locks held: %v", err)
			}
			if got := readSnapshot(t, locked, table.Name(), 1); len(got) != 2 {
				t.Errorf("with the locks held: read %v", got)
			}
			if err := locked.Verify(t.Context()); err != nil {
				t.Errorf("with the locks held: %v", err)
			}
			_ = locked.Close()
			if _, err := other.Exec(t.Context(), race).ReadAll(); err != nil {
				t.Fatal(err)
			}
			if got := readSnapshot(t, naive, table.Name(), 1); len(got) != 0 {
				t.Errorf("PostgreSQL showed %v without the locks: the race that this test is about is not there", got)
			}
			if err := naive.Verify(t.Context()); !errors.Is(err, model.ErrInconsistent) {
				t.Errorf("without the locks: Verify says %v", err)
			}
		})
	}
}

func TestSnapshotBehindADefinitionChangeNamesIt(t *testing.T) {
	d := openFresh(t)
	table := accounts(t, d)
	other := testenv.Postgres(t).Connect(t, databaseOf(d))
	if _, err := other.Exec(t.Context(), "BEGIN; LOCK TABLE bank.accounts IN ACCESS EXCLUSIVE MODE").ReadAll(); err != nil {
		t.Fatal(err)
	}
	_, err := d.PrepareSnapshot(t.Context(), storage.SnapshotOptions{Tables: []model.TableName{table.Name()}})
	busy, ok := errors.AsType[*storage.FenceBusyError](err)
	if !ok || len(busy.Holders) != 1 || busy.Table != table.Name() {
		t.Errorf("prepare: %v", err)
	}
}

// A change of the schema that waits for a snapshot keeps all writers waiting
// behind it. It is let through, and the snapshot says so: also after somebody has
// ended the session that looks out for it.
func TestASnapshotGivesWayToAChangeOfTheSchema(t *testing.T) {
	t.Run("", func(t *testing.T) { givesWay(t, func(*db) {}) })
	t.Run("with a new watch", func(t *testing.T) {
		givesWay(t, func(d *db) {
			const watch = " FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'WITH w AS MATERIALIZED%'"
			waitFor(t, d, "SELECT 1"+watch)
			sql(t, d, "SELECT pg_terminate_backend(pid, 60000)"+watch)
		})
	})
}

func givesWay(t *testing.T, before func(*db)) {
	d := openFresh(t)
	table := accounts(t, d)
	apply(t, d, insert(table, "a", 1))
	p := prepare(t, d, true, 2, table.Name())
	openSnapshot(t, p)
	before(d)
	parts, err := p.Split(t.Context(), table, 1)
	if err != nil {
		t.Fatal(err)
	}
	other := testenv.Postgres(t).Connect(t, databaseOf(d))
	changed := make(chan error, 1)
	go func() {
		_, err := other.Exec(context.Background(), "ALTER TABLE bank.accounts ADD COLUMN extra int").ReadAll()
		changed <- err
	}()
	waitFor(t, d, "SELECT 1 FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'")
	apply(t, d, updateIf(table, "a", 1, 2)) // waits behind it
	if err := <-changed; err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{"verify": p.Verify(t.Context()), "read": p.Read(t.Context(), table, parts[0], func(*model.Row) error { return nil })} {
		if !errors.Is(err, model.ErrInconsistent) || !strings.Contains(err.Error(), "ALTER TABLE bank.accounts") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestLimitsOfOrdinarySessionsDoNotEndASnapshot(t *testing.T) {
	d := openFresh(t)
	table := accounts(t, d)
	for _, limit := range []string{"statement_timeout", "idle_in_transaction_session_timeout"} {
		sql(t, d, "ALTER DATABASE "+databaseOf(d)+" SET "+limit+" = '20s'")
	}
	d = openOn(t, configOf(testenv.Postgres(t), databaseOf(d)))
	p := prepare(t, d, true, 1, table.Name())
	apply(t, d, insert(table, "a", 1)) // lifting the limits must not have pinned the snapshot
	openSnapshot(t, p)
	for _, s := range p.all {
		rows, err := d.query(t.Context(), s, "SELECT current_setting('statement_timeout'), current_setting('idle_in_transaction_session_timeout'), (SELECT count(*) FROM bank.accounts)")
		if err != nil || !slices.Equal(rows[0], []string{"0", "0", "1"}) {
			t.Errorf("%v, %v", rows, err)
		}
	}
}

func TestReadStopsAtTheErrorOfItsCaller(t *testing.T) {
	d := openFresh(t)
	table := accounts(t, d)
	sql(t, d, "INSERT INTO bank.accounts SELECT i::text, i, repeat('x', 900) FROM generate_series(1, 5000) i")
	p := prepare(t, d, true, 1, table.Name())
	openSnapshot(t, p)
	parts, err := p.Split(t.Context(), table, 1)
	if err != nil {
		t.Fatal(err)
	}
	full := errors.New("the disk is full")
	if err := p.Read(t.Context(), table, parts[0], func(*model.Row) error { return full }); !errors.Is(err, full) {
		t.Errorf("read: %v", err)
	}
}

func TestSnapshotWithoutTheRightToReadSaysSo(t *testing.T) {
	d := openFresh(t)
	table := accounts(t, d)
	sql(t, d, "DROP ROLE IF EXISTS nobody", "CREATE ROLE nobody LOGIN PASSWORD 'n'", "GRANT USAGE ON SCHEMA bank TO nobody")
	t.Cleanup(func() { sql(t, d, "DROP OWNED BY nobody", "DROP ROLE nobody") })
	cfg := configOf(testenv.Postgres(t), databaseOf(d))
	cfg.User, cfg.Password = "nobody", "n"
	_, err := openOn(t, cfg).PrepareSnapshot(t.Context(), storage.SnapshotOptions{Tables: []model.TableName{table.Name()}})
	if !errors.Is(err, model.ErrRefused) || model.Hint(err) != `GRANT SELECT ON "bank"."accounts" TO "nobody";` {
		t.Errorf("prepare: %v", err)
	}
}

func TestLoadFillsTablesAndRefusesRowsThatAreThere(t *testing.T) {
	d := openFresh(t)
	table := accounts(t, d)
	rows := func(n int, fail error) func(func(*model.Row, error) bool) {
		return func(yield func(*model.Row, error) bool) {
			r := &model.Row{Table: table, Values: make([]model.Value, 4)}
			for i := range n {
				r.Values = []model.Value{model.TextValue(strconv.Itoa(i)), model.IntValue(int32(i)), model.Null(model.Text), {}}
				if !yield(r, nil) {
					return
				}
			}
			if fail != nil {
				yield(nil, fail)
			}
		}
	}
	if n, err := d.Load(t.Context(), table, rows(loadRows+5, nil)); err != nil || n != loadRows+5 {
		t.Fatalf("loaded %d, %v", n, err)
	}
	if got := balances(t, d, table, "0", strconv.Itoa(loadRows+4), strconv.Itoa(loadRows+5)); !slices.Equal(got, []int64{0, loadRows + 4, -1}) {
		t.Errorf("loaded %v", got)
	}
	if _, err := d.Load(t.Context(), table, rows(1, nil)); !errors.Is(err, model.ErrExists) {
		t.Errorf("a row that is there: %v", err)
	}
	if err := d.Admin().TruncateTable(t.Context(), table.Name()); err != nil {
		t.Fatal(err)
	}
	torn := errors.New("the file is torn")
	if _, err := d.Load(t.Context(), table, rows(10, torn)); !errors.Is(err, torn) {
		t.Errorf("rows that fail: %v", err)
	}
	if n, err := d.Load(t.Context(), table, rows(0, nil)); err != nil || n != 0 {
		t.Errorf("no rows: %d, %v", n, err)
	}
	if got := sql(t, d, "SELECT count(*) FROM bank.accounts"); got[0][0] != "0" {
		t.Errorf("%s rows of a load that failed are there", got[0][0])
	}
}
