//go:build servers

package mysql

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stillpoint-db/stillpoint/internal/testenv"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

func fenceOf(tables ...*model.Table) storage.FenceOptions {
	o := storage.FenceOptions{Wait: 20 * time.Second} // at once, unless the machine is busy
	for _, t := range tables {
		o.Tables = append(o.Tables, t.Name())
	}
	return o
}

// waitFor waits until a session runs a statement in a state.
func waitFor(t *testing.T, state, query string) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		var n int
		if err := testenv.MariaDB(t).DB().QueryRow("SELECT COUNT(*) FROM information_schema.processlist WHERE STATE LIKE ? AND INFO LIKE ?", state, query).Scan(&n); err != nil {
			t.Fatal(err)
		}
		if n > 0 {
			return
		}
	}
	t.Fatalf("no session is in state %q with %q", state, query)
}

func TestAFenceHoldsWritesUntilItsRelease(t *testing.T) {
	bothWays(t, func(t *testing.T, s *Store, table *model.Table) {
		ctx := context.Background()
		other := newTable(t, s, table.Name().Namespace, "other")
		mustMutate(t, s, put(table, "a", 1, notExists))
		f, err := s.Fence(ctx, fenceOf(table, other))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Release(ctx)
		if err := f.Alive(ctx); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 2)
		go func() { done <- s.Mutate(ctx, batch(put(table, "a", 2, vIs(1)), put(other, "b", 2, notExists))) }()
		go func() { done <- s.Mutate(ctx, batch(put(other, "c", 2, notExists))) }()
		waitFor(t, "Waiting for table metadata lock", "%`other`%")
		if v := valueOf(t, s, table, "a"); v != model.IntValue(1) {
			t.Fatalf("a write passed the fence: %v", v)
		}
		if len(done) > 0 {
			t.Fatalf("a write ended under the fence: %v", <-done)
		}
		if err := f.Release(ctx); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
		if err := f.Alive(ctx); !errors.Is(err, model.ErrUnavailable) {
			t.Fatalf("a released fence is alive: %v", err)
		}
	})
}

func TestAFenceWaitsForOpenWritesOnlySoLong(t *testing.T) {
	bothWays(t, func(t *testing.T, s *Store, table *model.Table) {
		ctx := context.Background()
		other := newTable(t, s, table.Name().Namespace, "other")
		mustMutate(t, s, put(other, "a", 1, notExists))
		tx, err := testenv.MariaDB(t).DB().Begin()
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback()
		if _, err := tx.Exec("UPDATE " + s.dialect.Table(other.Name()) + " SET v=9 /* batch job */"); err != nil {
			t.Fatal(err)
		}
		impatient := fenceOf(table, other)
		impatient.Wait = 100 * time.Millisecond
		for try := 1; ; try++ { // the search for the holder is bounded, too
			_, err = s.Fence(ctx, impatient)
			busy, ok := errors.AsType[*storage.FenceBusyError](err)
			if !ok || !errors.Is(err, model.ErrConflict) {
				t.Fatal(err)
			}
			if len(busy.Holders) > 0 && (!s.server.mariadb || busy.Table == other.Name()) {
				break
			}
			if try == 20 {
				t.Fatalf("the holder is not named: %v", err)
			}
		}
		// Nothing is held after the failure, and the writer was not hurt.
		mustMutate(t, s, put(table, "n", 1, notExists))
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		f, err := s.Fence(ctx, fenceOf(table, other))
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Release(ctx); err != nil {
			t.Fatal(err)
		}
	})
}

func TestAFenceWhoseSessionIsKilledIsNotAlive(t *testing.T) {
	s := open(t)
	table := newTable(t, s, testenv.MariaDB(t).Namespace(t), "t")
	ctx := context.Background()
	f, err := s.Fence(ctx, fenceOf(table))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := testenv.MariaDB(t).DB().Exec("KILL ?", f.(*fence).ses.id); err != nil {
		t.Fatal(err)
	}
	if err := f.Alive(ctx); !errors.Is(err, model.ErrUnavailable) {
		t.Fatalf("alive: %v", err)
	}
	_ = f.Release(ctx)
	mustMutate(t, s, put(table, "a", 1, notExists))
}

func TestAFenceIsReleasedThoughItsContextIsOver(t *testing.T) {
	s := open(t)
	table := newTable(t, s, testenv.MariaDB(t).Namespace(t), "t")
	ctx, cancel := context.WithCancel(context.Background())
	f, err := s.Fence(ctx, fenceOf(table))
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := f.Release(ctx); err != nil {
		t.Fatal(err)
	}
	mustMutate(t, s, put(table, "a", 1, notExists))
}

func TestTheServerEndsAFenceWhoseHolderSaysNothing(t *testing.T) {
	s := open(t)
	table := newTable(t, s, testenv.MariaDB(t).Namespace(t), "t")
	ctx := context.Background()
	f, err := s.Fence(ctx, fenceOf(table))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Release(ctx)
	rows, err := f.(*fence).ses.strings(ctx, "SELECT @@SESSION.wait_timeout")
	if err != nil || rows[0][0] != "10" {
		t.Fatalf("wait_timeout is %v, %v", rows, err)
	}
}

func TestAProofOfTheFenceLeavesNothingBehind(t *testing.T) {
	bothWays(t, func(t *testing.T, s *Store, table *model.Table) {
		ctx := context.Background()
		other := newTable(t, s, table.Name().Namespace, "other")
		if err := s.ProveFence(ctx, fenceOf(table, other)); err != nil {
			t.Fatal(err)
		}
		for _, tbl := range []*model.Table{table, other} {
			page, err := s.Scan(ctx, storage.Scan{Table: tbl, Kind: storage.ScanTable})
			if err != nil || len(page.Rows) != 0 {
				t.Fatalf("%v %v", page.Rows, err)
			}
		}
		mustMutate(t, s, put(table, "a", 1, notExists))
	})
}

// TestAProofLocksFewTablesAtATime looks, while the lock of many tables is proven, how
// many of them are locked at once: their writers wait until all of those are proven.
func TestAProofLocksFewTablesAtATime(t *testing.T) {
	s := open(t)
	ns := testenv.MariaDB(t).Namespace(t)
	var tables []*model.Table
	for i := range 3*probesAtOnce + 1 {
		tables = append(tables, newTable(t, s, ns, fmt.Sprintf("t%d", i)))
	}
	most := 0
	for try := 0; most == 0 && try < 50; try++ { // a busy machine may not let us look in time
		done := make(chan error, 1)
		go func() { done <- s.ProveFence(t.Context(), fenceOf(tables...)) }()
		for over := false; !over; {
			select {
			case err := <-done:
				if err != nil {
					t.Fatal(err)
				}
				over = true
			case <-time.After(100 * time.Microsecond):
			}
			s.fences.Range(func(_, locked any) bool {
				most = max(most, len(locked.([]model.TableName)))
				return true
			})
		}
	}
	if most == 0 || most > probesAtOnce {
		t.Errorf("%d tables were locked at once", most)
	}
}

// TestASlowServerIsNoServerWithoutLocks: an insert that was not seen waiting in time
// has not gone past the lock for that.
func TestASlowServerIsNoServerWithoutLocks(t *testing.T) {
	defer func(d time.Duration) { probeTime = d }(probeTime)
	probeTime = 0
	s := open(t)
	table := newTable(t, s, testenv.MariaDB(t).Namespace(t), "t")
	if err := s.ProveFence(t.Context(), fenceOf(table)); !errors.Is(err, model.ErrConflict) || errors.Is(err, model.ErrRefused) {
		t.Errorf("%v", err)
	}
	if v := valueOf(t, s, table, probeText); v.IsSet() {
		t.Error("the probe is left")
	}
}

func TestAReadOnlyServerIsNotFenced(t *testing.T) {
	server := testenv.NewMariaDB(t, testenv.MariaDBOptions{})
	s := openURL(t, server.URL())
	table := newTable(t, s, "ns", "t")
	server.Exec(t, "SET GLOBAL read_only=1")
	err := s.ProveFence(context.Background(), fenceOf(table))
	if !errors.Is(err, model.ErrRefused) || !strings.Contains(err.Error(), "read-only") {
		t.Fatal(err)
	}
	server.Exec(t, "SET GLOBAL read_only=0", "CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT=1, MASTER_USER='x'", "START SLAVE")
	err = s.ProveFence(context.Background(), fenceOf(table))
	if !errors.Is(err, model.ErrRefused) || !strings.Contains(err.Error(), "replicates") {
		t.Fatal(err)
	}
	// One database alone needs no fence, and should be the primary all the same.
	in, err := s.Inspect(t.Context(), storage.InspectOptions{Tables: []model.TableName{table.Name()}, Backup: true})
	if err != nil {
		t.Fatal(err)
	}
	if f := want(t, in, "not-primary", storage.Warning, in.Endpoint); !strings.Contains(f.Text, "replicates") {
		t.Errorf("%+v", f)
	}
	server.Exec(t, "STOP SLAVE", "RESET SLAVE ALL")
	if err := s.ProveFence(context.Background(), fenceOf(table)); err != nil {
		t.Fatal(err)
	}
}

// Writers at full speed do not keep a fence from being granted, and nothing
// changes under it.
func TestAFenceIsGrantedBesideBusyWriters(t *testing.T) {
	bothWays(t, func(t *testing.T, s *Store, table *model.Table) {
		ctx := context.Background()
		other := newTable(t, s, table.Name().Namespace, "u") // behind table, in the order of names
		const writers = 8
		stop := make(chan struct{})
		var wg sync.WaitGroup
		var mu sync.Mutex
		var longest time.Duration
		for w := range writers {
			k := fmt.Sprint("w", w)
			mustMutate(t, s, put(table, k, 0, notExists), put(other, k, 0, notExists))
			wg.Go(func() {
				for i := int32(0); ; i++ {
					select {
					case <-stop:
						return
					default:
					}
					began := time.Now()
					if err := s.Mutate(ctx, batch(put(table, k, i+1, vIs(i)), put(other, k, i+1, vIs(i)))); err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					longest = max(longest, time.Since(began))
					mu.Unlock()
				}
			})
		}
		sum := func() (sums [2]int64) {
			for i, tbl := range []*model.Table{table, other} {
				page, err := s.Scan(ctx, storage.Scan{Table: tbl, Kind: storage.ScanTable})
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range page.Rows {
					sums[i] += r.Get("v").Int64()
				}
			}
			return sums
		}
		tries := 0
		for range 20 {
			var f storage.Fence
			for {
				tries++
				var err error
				if f, err = s.Fence(ctx, storage.FenceOptions{Tables: []model.TableName{other.Name(), table.Name()}}); err == nil {
					break
				} else if !errors.Is(err, model.ErrConflict) || tries > 400 {
					t.Fatal(err)
				}
			}
			first := sum()
			second := sum()
			if err := f.Alive(ctx); err != nil {
				t.Fatal(err)
			}
			if err := f.Release(ctx); err != nil {
				t.Fatal(err)
			}
			if first != second || first[0] != first[1] {
				t.Fatalf("under the fence: %v, then %v", first, second)
			}
		}
		close(stop)
		wg.Wait()
		t.Logf("20 fences in %d tries; the longest write took %v", tries, longest)
	})
}

func TestAWarmedFenceNeedsNoLogin(t *testing.T) {
	s, proxy := proxied(t)
	table := newTable(t, s, testenv.MariaDB(t).Namespace(t), "t")
	ctx := context.Background()
	for _, ended := range []bool{false, true} {
		if err := s.WarmFence(ctx); err != nil {
			t.Fatal(err)
		}
		if err := s.WarmFence(ctx); err != nil { // nothing more to do
			t.Fatal(err)
		}
		if ended { // by the server: the fence begins another one
			if _, err := testenv.MariaDB(t).DB().Exec("KILL ?", s.spare.Load().id); err != nil {
				t.Fatal(err)
			}
		}
		before := proxy.RoundTrips()
		f, err := s.Fence(ctx, fenceOf(table))
		if err != nil {
			t.Fatal(err)
		}
		if n := proxy.RoundTrips() - before; n > 2 && !ended {
			t.Errorf("a warmed fence takes %d round trips", n)
		}
		if err := f.Release(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.WarmFence(ctx); err != nil { // Close ends it
		t.Fatal(err)
	}
}
