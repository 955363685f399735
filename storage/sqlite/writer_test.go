package sqlite

import (
	"context"
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/sqlite/internal/capi"
)

func fenced(t testing.TB, s *Storage) storage.Fence {
	t.Helper()
	f, err := s.Fence(t.Context(), storage.FenceOptions{Wait: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestBatchesThatWaitShareACommitAndFailAlone(t *testing.T) {
	s := fresh(t)
	table := accounts(t, s)
	fence := fenced(t, s)
	before := s.Stats()
	const n = 40
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range int32(n) {
		wg.Go(func() {
			ms := []storage.Mutation{put(table, account("row", i), int64(i)), put(table, account("twin", i), int64(i))}
			if i%4 == 0 {
				ms[1].Guard.Kind = storage.Exists // it does not
			}
			errs[i] = s.Mutate(t.Context(), storage.Batch{Mutations: ms})
		})
	}
	for s.Stats().Asked < before.Asked+n {
		time.Sleep(time.Millisecond)
	}
	if err := fence.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	after := s.Stats()
	if after.Batches-before.Batches != n*3/4 || after.Commits-before.Commits > 3 {
		t.Errorf("%d batches in %d commits", after.Batches-before.Batches, after.Commits-before.Commits)
	}
	for i, err := range errs {
		var cond *storage.ConditionError
		_, row := balance(t, s, table, account("row", int32(i)))
		_, twin := balance(t, s, table, account("twin", int32(i)))
		if failed := i%4 == 0; failed != (errors.As(err, &cond) && cond.Index == 1) || row == failed || twin == failed {
			t.Errorf("batch %d: %v, rows %v %v", i, err, row, twin)
		}
	}
}

func TestABatchThatWaitsUnderAFenceEndsWithItsDeadlineOrContext(t *testing.T) {
	s := fresh(t)
	table := accounts(t, s)
	fence := fenced(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 2)
	go func() {
		done <- s.Mutate(t.Context(), storage.Batch{Mutations: []storage.Mutation{put(table, account("a", 1), 1)}, Deadline: time.Now().Add(20 * time.Millisecond)})
	}()
	go func() {
		done <- s.Mutate(ctx, storage.Batch{Mutations: []storage.Mutation{put(table, account("a", 2), 1)}})
	}()
	if err := <-done; storage.OutcomeOf(err) != storage.NotApplied {
		t.Error(err)
	}
	cancel()
	if err := <-done; storage.OutcomeOf(err) != storage.NotApplied {
		t.Error(err)
	}
	if err := fence.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustMutate(t, s, put(table, account("a", 3), 1))
	for n := range int32(2) {
		if _, ok := balance(t, s, table, account("a", n+1)); ok {
			t.Errorf("batch %d was applied after it was given up", n+1)
		}
	}
}

func TestTheFenceTakesItsTurnBesideOurWriters(t *testing.T) {
	s := fresh(t)
	table := accounts(t, s)
	two := open(t, s.set.path)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for w := range 6 {
		wg.Go(func() {
			for n := int32(0); ctx.Err() == nil; n++ {
				mustMutate(t, []*Storage{s, two}[w%2], put(table, account("a", n%10), int64(n)))
			}
		})
	}
	for range 30 {
		if err := fenced(t, s).Release(t.Context()); err != nil {
			t.Error(err)
		}
	}
	cancel()
	wg.Wait()
}

func TestAFenceOverAFileThatWasReplacedIsNotAlive(t *testing.T) {
	s := fresh(t)
	fence := fenced(t, s)
	if err := os.Rename(s.set.path, s.set.path+".moved"); err != nil {
		t.Fatal(err)
	}
	if err := fence.Alive(t.Context()); !errors.Is(err, model.ErrUnavailable) {
		t.Errorf("%v", err)
	}
	if err := os.Rename(s.set.path+".moved", s.set.path); err != nil {
		t.Fatal(err)
	}
	if err := fence.Release(t.Context()); err != nil {
		t.Error(err)
	}
	if err := fence.Alive(t.Context()); err == nil {
		t.Error("a fence that was released is alive")
	}
}

func TestOneReadAndOneBatchAllocateLittle(t *testing.T) {
	if raceEnabled {
		return // the detector allocates too
	}
	s := fresh(t)
	table := accounts(t, s)
	ctx := context.Background()
	batch := storage.Batch{Mutations: []storage.Mutation{put(table, account("a", 1), 7)}}
	before := s.Stats()
	s.writer.polite.looked = time.Now().Add(time.Hour) // a look at other processes, every two seconds, is not part of it
	const runs = 50
	if n := testing.AllocsPerRun(runs, func() {
		if err := s.Mutate(ctx, batch); err != nil {
			t.Fatal(err)
		}
	}); n > 4 {
		t.Errorf("a batch of one put allocates %v times", n)
	}
	if after := s.Stats(); after.Commits-before.Commits != runs+1 || after.Batches-before.Batches != runs+1 {
		t.Errorf("%d batches one after the other took %d commits", after.Batches-before.Batches, after.Commits-before.Commits)
	}
	gets := []storage.Get{{Table: table, Key: account("a", 1)}}
	for range s.set.readers { // each connection once, to open it
		if _, err := s.Get(ctx, gets); err != nil {
			t.Fatal(err)
		}
	}
	if n := testing.AllocsPerRun(20*runs, func() { // many, so that what else allocates once does not count
		if _, err := s.Get(ctx, gets); err != nil {
			t.Fatal(err)
		}
	}); n > 3 {
		t.Errorf("a get of one row allocates %v times", n)
	}
}

func TestAFailedCommitIsOfUnknownOutcome(t *testing.T) {
	s := fresh(t)
	table := accounts(t, s)
	real := s.writer.end
	broken := &capi.Error{Code: 10 | 4<<8, Msg: "disk I/O error"} // as when the log cannot be synced
	for n, committed := range []bool{false, true} {
		s.writer.end = func(c *capi.Conn) error {
			if committed {
				if err := real(c); err != nil {
					return err
				}
			}
			return broken
		}
		k := account("a", int32(n))
		err := s.Mutate(t.Context(), storage.Batch{Mutations: []storage.Mutation{put(table, k, 1)}})
		if storage.OutcomeOf(err) != storage.Unknown || !errors.Is(err, model.ErrUnknownOutcome) || !errors.Is(err, broken) {
			t.Errorf("outcome %s: %v", storage.OutcomeOf(err), err)
		}
		if _, there := balance(t, s, table, k); there != committed {
			t.Errorf("the row is there: %v", there)
		}
		s.writer.end = real
		mustMutate(t, s, put(table, account("b", int32(n)), 1))
	}
}

func TestACommitThatFindsTheFileBusyIsTriedAgain(t *testing.T) {
	s := fresh(t)
	table := accounts(t, s)
	real, tries := s.writer.end, 0
	s.writer.end = func(c *capi.Conn) error {
		if tries++; tries < 3 {
			return &capi.Error{Code: 5, Msg: "database is locked"}
		}
		return real(c)
	}
	mustMutate(t, s, put(table, account("a", 1), 1))
	s.writer.end = real
	if tries != 3 {
		t.Errorf("%d tries", tries)
	}
}
