package sqlite

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// bank opens a fresh file with the table of accounts, and accounts f1 and f2
// for a foreign writer.
func bank(t testing.TB) (s *Storage, table *model.Table, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "bank.db")
	s = open(t, path)
	table = accounts(t, s)
	mustMutate(t, s, put(table, account("f1", 0), 1000), put(table, account("f2", 0), 1000))
	return s, table, path
}

func mustMutate(t testing.TB, s *Storage, ms ...storage.Mutation) {
	t.Helper()
	if err := s.Mutate(context.Background(), storage.Batch{Mutations: ms}); err != nil {
		t.Fatal(err)
	}
}

func balance(t testing.TB, s *Storage, table *model.Table, k model.Key) (int64, bool) {
	t.Helper()
	rows, err := s.Get(context.Background(), []storage.Get{{Table: table, Key: k}})
	if err != nil {
		t.Fatal(err)
	}
	if rows[0] == nil {
		return 0, false
	}
	return rows[0].Get("balance").Int64(), true
}

func TestAnotherProcessIsNotStarvedByOurWriters(t *testing.T) {
	s, table, path := bank(t)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for n := int32(0); ctx.Err() == nil; n++ {
				mustMutate(t, s, put(table, account(fmt.Sprint("ours", w), n%50), int64(n)))
			}
		})
	}
	other := start(t, "foreign-writer", path)
	other.expect("ready")
	other.expect("fifty")
	other.say("stop")
	var made, busy int
	if _, err := fmt.Sscan(other.expect("made"), &made, &busy); err != nil {
		t.Fatal(err)
	}
	other.end()
	cancel()
	wg.Wait()
	a, _ := balance(t, s, table, account("f1", 0))
	b, _ := balance(t, s, table, account("f2", 0))
	if a+b != 2000 || a > 950 {
		t.Errorf("balances %d and %d", a, b)
	}
	if busy > 5 { // a disk that stands still is nobody's fault, now and then
		t.Errorf("it gave up waiting %d times for %d transactions", busy, made)
	}
}

func TestALockOfAnotherProcessIsWaitedForUntilTheDeadline(t *testing.T) {
	s, table, path := bank(t)
	other := start(t, "holder", path)
	other.expect("locked")
	err := s.Mutate(t.Context(), storage.Batch{Mutations: []storage.Mutation{put(table, account("a", 1), 1)}, Deadline: time.Now().Add(30 * time.Millisecond)})
	if storage.OutcomeOf(err) != storage.NotApplied || !errors.Is(err, model.ErrConflict) {
		t.Errorf("outcome %s, %v", storage.OutcomeOf(err), err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	err = s.Mutate(ctx, storage.Batch{Mutations: []storage.Mutation{put(table, account("a", 1), 1)}})
	if storage.OutcomeOf(err) != storage.NotApplied {
		t.Errorf("outcome %s, %v", storage.OutcomeOf(err), err)
	}
	_, err = s.Fence(t.Context(), storage.FenceOptions{Wait: 30 * time.Millisecond})
	var busy *storage.FenceBusyError
	if !errors.As(err, &busy) || len(busy.Holders) != 1 || busy.Holders[0].ID != fmt.Sprint(other.cmd.Process.Pid) {
		t.Errorf("a fence while another process writes: %v", err)
	}
	done := make(chan error, 1)
	go func() {
		done <- s.Mutate(context.Background(), storage.Batch{Mutations: []storage.Mutation{put(table, account("a", 2), 2)}})
	}()
	other.say("go")
	other.end()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, ok := balance(t, s, table, account("a", 1)); ok {
		t.Error("a batch was applied that was reported as not applied")
	}
	if n, _ := balance(t, s, table, account("a", 2)); n != 2 {
		t.Error("the batch that waited was not applied")
	}
}

func TestSnapshotIsThePinnedMomentWhileAnotherProcessWrites(t *testing.T) {
	defer func(n int) { stagePages = n }(stagePages)
	stagePages = 16 // many steps, between which the other process commits
	s, table, path := bank(t)
	_, err := s.Load(t.Context(), table, func(yield func(*model.Row, error) bool) {
		for n := range int32(3000) {
			if !yield(&model.Row{Table: table, Values: []model.Value{model.TextValue("bulk"), model.IntValue(n), model.BigIntValue(0), model.TextValue(strings.Repeat("b", 1000))}}, nil) {
				return
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	other := start(t, "foreign-writer", path)
	other.expect("ready")
	during := 0
	for range 5 {
		snap, err := s.PrepareSnapshot(t.Context(), storage.SnapshotOptions{Tables: []model.TableName{table.Name()}, Scratch: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		fence, err := s.Fence(t.Context(), storage.FenceOptions{Wait: 20 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		if err := snap.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		want, _ := balance(t, s, table, account("f1", 0))
		if err := fence.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := snap.Detach(t.Context()); err != nil {
			t.Fatal(err)
		}
		now, _ := balance(t, s, table, account("f1", 0))
		during += int(want - now)
		if a, b, n := sums(t, snap, table); a != want || a+b != 2000 || n != 3002 {
			t.Errorf("the snapshot has %d + %d, the fence %d; %d rows", a, b, want, n)
		}
		if err := snap.Close(); err != nil {
			t.Error(err)
		}
	}
	other.say("stop")
	if during == 0 {
		t.Error("nobody wrote while the pages were copied, so nothing was shown")
	}
}

// sums reads the balances of f1 and f2 in a snapshot, and counts all rows.
func sums(t testing.TB, snap storage.Snapshot, table *model.Table) (f1, f2 int64, n int) {
	t.Helper()
	parts, err := snap.Split(t.Context(), table, 2)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range parts {
		err := snap.Read(t.Context(), table, p, func(r *model.Row) error {
			n++
			switch r.Get("id").Str() {
			case "f1":
				f1 = r.Get("balance").Int64()
			case "f2":
				f2 = r.Get("balance").Int64()
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return f1, f2, n
}

func TestAKilledProcessLeavesWholeBatchesAndAllThatItReported(t *testing.T) {
	s, table, path := bank(t)
	for round := range 3 {
		other := start(t, "batches", path)
		for range 20 + 15*round {
			other.line()
		}
		lines := other.kill()
		for w := range 4 {
			left := count(t, s, table, fmt.Sprint("left", w))
			if right := count(t, s, table, fmt.Sprint("right", w)); left != right {
				t.Errorf("worker %d: %d rows on the left, %d on the right", w, left, right)
			}
		}
		for _, line := range lines {
			var w int
			var n int32
			if k, _ := fmt.Sscanf(line, "applied %d %d", &w, &n); k != 2 {
				continue // cut off by the end
			}
			if _, ok := balance(t, s, table, account(fmt.Sprint("left", w), n)); !ok {
				t.Errorf("%q is not there", line)
			}
		}
	}
}

func count(t testing.TB, s *Storage, table *model.Table, id string) (n int) {
	t.Helper()
	scan := storage.Scan{Table: table, Partition: []model.Value{model.TextValue(id)}}
	for {
		p, err := s.Scan(t.Context(), scan)
		if err != nil {
			t.Fatal(err)
		}
		n += len(p.Rows)
		if scan.Token = p.Next; p.Next == "" {
			return n
		}
	}
}

func TestWhatIsSaidOfABatchOnAFullDiskIsTrue(t *testing.T) {
	s, table, path := bank(t)
	other := start(t, "full-disk", path)
	outcomes := map[string]int{}
	said := map[int32]string{}
	for range 60 {
		var n int32
		rest := other.expect("batch")
		number, outcome, _ := strings.Cut(rest, " ")
		if _, err := fmt.Sscan(number, &n); err != nil {
			t.Fatal(err)
		}
		said[n] = outcome
		outcomes[outcome]++
	}
	other.end()
	t.Log(outcomes)
	if outcomes["applied"] == 0 || outcomes["applied"] == 60 {
		t.Errorf("the disk was never full, or always: %v", outcomes)
	}
	for n, outcome := range said {
		_, there := balance(t, s, table, account("full", n))
		if outcome == "applied" && !there || outcome == "not applied" && there || outcome == "refused" || outcome == "condition failed" {
			t.Errorf("batch %d: said to be %s; is there: %v", n, outcome, there)
		}
	}
}

func TestOtherProcessesAreSeenAndNotEnded(t *testing.T) {
	s, _, path := bank(t)
	if others, err := s.Sessions(t.Context()); err != nil || len(others) != 0 {
		t.Errorf("%v %v", others, err)
	}
	if n, err := s.TerminateSessions(t.Context()); n != 0 || err != nil {
		t.Errorf("%d %v", n, err)
	}
	other := start(t, "holder", path)
	other.expect("locked")
	pid := fmt.Sprint(other.cmd.Process.Pid)
	if others, err := s.Sessions(t.Context()); err != nil || len(others) != 1 || others[0].ID != pid {
		t.Errorf("%v %v", others, err)
	}
	if _, err := s.TerminateSessions(t.Context()); !errors.Is(err, model.ErrRefused) || !strings.Contains(err.Error(), pid) {
		t.Errorf("%v", err)
	}
	other.say("go")
	other.end()
}
