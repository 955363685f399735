package faulty_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/faulty"
	"github.com/stillpoint-db/stillpoint/storage/memory"
)

var name = model.TableName{Namespace: "ns", Name: "t"}

type bench struct {
	t     *testing.T
	s     *faulty.Storage
	table *model.Table
}

func newBench(t *testing.T, seed uint64, rules ...*faulty.Rule) *bench {
	t.Helper()
	table, err := model.NewTable(model.TableSpec{Name: name, PartitionKey: []string{"k"},
		Columns: []model.Column{{Name: "k", Type: model.Int}, {Name: "v", Type: model.Int}}})
	if err != nil {
		t.Fatal(err)
	}
	inner := memory.New("m")
	if err := inner.Admin().CreateNamespace(t.Context(), name.Namespace); err != nil {
		t.Fatal(err)
	}
	if err := inner.Admin().CreateTable(t.Context(), table); err != nil {
		t.Fatal(err)
	}
	s := faulty.New(inner, seed)
	s.Add(rules...)
	return &bench{t, s, table}
}

func (b *bench) put(k int32) error {
	return b.s.Mutate(b.t.Context(), storage.Batch{Mutations: []storage.Mutation{{Kind: storage.Put, Table: b.table,
		Key: model.Key{Partition: []model.Value{model.IntValue(k)}}}}})
}

// there looks past the faults.
func (b *bench) there(k int32) bool {
	b.t.Helper()
	rows, err := b.s.Unwrap().Get(b.t.Context(), []storage.Get{{Table: b.table, Key: model.Key{Partition: []model.Value{model.IntValue(k)}}}})
	if err != nil {
		b.t.Fatal(err)
	}
	return rows[0] != nil
}

func TestEffectsOnAWrite(t *testing.T) {
	for _, c := range []struct {
		effect  faulty.Effect
		outcome storage.Outcome
		applied bool
	}{
		{faulty.Pass, storage.Applied, true},
		{faulty.Conflict, storage.NotApplied, false},
		{faulty.Unavailable, storage.NotApplied, false},
		{faulty.LoseRequest, storage.Unknown, false},
		{faulty.LoseAnswer, storage.Unknown, true},
		{faulty.CrashBefore, storage.Unknown, false},
		{faulty.CrashAfter, storage.Unknown, true},
	} {
		t.Run(c.effect.String(), func(t *testing.T) {
			b := newBench(t, 1, c.effect.On(faulty.Mutate).Table(name))
			if got := storage.OutcomeOf(b.put(1)); got != c.outcome {
				t.Errorf("outcome %v, want %v", got, c.outcome)
			}
			if b.there(1) != c.applied {
				t.Errorf("applied: %v, want %v", !c.applied, c.applied)
			}
		})
	}
}

func TestNothingIsAppliedAfterACrash(t *testing.T) {
	b := newBench(t, 1, faulty.CrashAfter.On(faulty.Mutate).Nth(2))
	for k, want := range []bool{true, true, false, false} {
		err := b.put(int32(k))
		if b.there(int32(k)) != want {
			t.Errorf("row %d: there is %v, want %v (%v)", k, !want, want, err)
		}
	}
	select {
	case <-b.s.Crashed():
	default:
		t.Error("Crashed is not closed")
	}
	if _, err := b.s.Get(t.Context(), []storage.Get{{Table: b.table, Key: model.Key{Partition: []model.Value{model.IntValue(1)}}}}); !errors.Is(err, faulty.ErrCrashed) {
		t.Errorf("read after the crash: %v", err)
	}
}

func TestLateWriteIsAppliedAfterItsCallerGaveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1, faulty.Late(time.Minute).On(faulty.Mutate))
		if got := storage.OutcomeOf(b.put(1)); got != storage.Unknown {
			t.Fatalf("outcome %v", got)
		}
		if b.there(1) {
			t.Fatal("applied at once")
		}
		time.Sleep(time.Minute + time.Second)
		if !b.there(1) {
			t.Fatal("not applied in the end")
		}
		if err := b.s.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestFrozenCallGoesOnWhenThawed(t *testing.T) {
	for _, c := range []struct {
		effect faulty.Effect
		during bool
	}{{faulty.FreezeBefore, false}, {faulty.FreezeAfter, true}} {
		t.Run(c.effect.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, 1, c.effect.On(faulty.Mutate))
				done := make(chan error)
				go func() { done <- b.put(1) }()
				synctest.Wait()
				if b.there(1) != c.during {
					t.Errorf("while frozen: there is %v", !c.during)
				}
				b.s.Thaw()
				if err := <-done; err != nil || !b.there(1) {
					t.Errorf("after the thaw: %v", err)
				}
			})
		})
	}
}

func TestCrashEndsAFrozenCallWithNothingApplied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1, faulty.FreezeBefore.On(faulty.Mutate))
		done := make(chan error)
		go func() { done <- b.put(1) }()
		synctest.Wait()
		b.s.Crash()
		if err := <-done; !errors.Is(err, faulty.ErrCrashed) || b.there(1) {
			t.Errorf("%v, applied: %v", err, b.there(1))
		}
	})
}

func TestRulesNarrowDown(t *testing.T) {
	other := model.TableName{Namespace: "ns", Name: "other"}
	b := newBench(t, 1,
		faulty.Conflict.On(faulty.Mutate).Table(other),
		faulty.Conflict.On(faulty.Get),
		faulty.LoseAnswer.On(faulty.Mutate).If(func(c faulty.Call) bool { return c.Seq == 2 }),
		faulty.Unavailable.On(faulty.Any).Nth(2).Times(1), // of those that no rule before it took
	)
	var got []storage.Outcome
	for k := range int32(4) {
		got = append(got, storage.OutcomeOf(b.put(k)))
	}
	want := []storage.Outcome{storage.Applied, storage.Unknown, storage.NotApplied, storage.Applied}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
	if n := b.s.Count(faulty.Mutate); n != 4 {
		t.Errorf("counted %d", n)
	}
	b.s.Clear()
	if err := b.put(9); err != nil {
		t.Error(err)
	}
}

func TestChanceFollowsTheSeed(t *testing.T) {
	run := func(seed uint64) (out string) {
		b := newBench(t, seed, faulty.LoseEither.On(faulty.Mutate).Chance(0.5))
		b.s.Watch(func(_ faulty.Call, e faulty.Effect) { out += e.String() + ";" })
		for k := range int32(64) {
			_ = b.put(k) // the effects are what is looked at
		}
		return out
	}
	first, again := run(7), run(7)
	if first != again {
		t.Error("one seed gave two runs")
	}
	if first == run(8) {
		t.Error("two seeds gave one run")
	}
}

func TestPowersPassThrough(t *testing.T) {
	b := newBench(t, 1, faulty.Unavailable.On(faulty.Fence).Nth(2), faulty.Unavailable.On(faulty.OpenSnapshot))
	ctx := context.Background()
	opts := storage.FenceOptions{Tables: []model.TableName{name}}
	f, err := b.s.Fence(ctx, opts)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Release(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := b.s.Fence(ctx, opts); !errors.Is(err, faulty.ErrInjected) {
		t.Errorf("second fence: %v", err)
	}
	snap, err := b.s.PrepareSnapshot(ctx, storage.SnapshotOptions{Tables: []model.TableName{name}})
	if err != nil {
		t.Fatal(err)
	}
	if err := snap.Open(ctx); !errors.Is(err, faulty.ErrInjected) {
		t.Errorf("snapshot: %v", err)
	}
}
