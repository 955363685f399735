package storagetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// fenceWait is how long the suite lets a fence wait: long, since the machine
// may be slow; a fence that is free comes at once.
const fenceWait = 20 * time.Second

func (x *suite) testFence(t *testing.T) {
	a, b := x.table(t, things()), x.table(t, wideSpec())
	fencer, ok := x.s.(storage.Fencer)
	if ok != x.s.Capabilities(a.Name()).Fences {
		t.Fatalf("the storage is a Fencer: %v, its capabilities say: %v", ok, !ok)
	}
	if !ok {
		return
	}
	tables := []model.TableName{b.Name(), a.Name()}
	opts := storage.FenceOptions{Tables: tables, Wait: fenceWait}
	writers := []storage.Storage{x.s}
	if two := x.second(t); two != nil {
		writers = append(writers, two)
	}
	t.Run("HoldsWritersAndLetsThemGo", func(t *testing.T) {
		for n, writer := range writers {
			fence, err := fencer.Fence(t.Context(), opts)
			if err != nil {
				t.Fatal(err)
			}
			k := key("held", int32(n))
			done := make(chan error, 1)
			go func() { done <- mutate(context.Background(), writer, upsert(a, k, set("i", model.IntValue(1)))) }()
			select {
			case err := <-done:
				t.Errorf("a write went through the fence: %v", err)
			case <-time.After(200 * time.Millisecond): // long enough to be seen if it is not held
			}
			if read(t, x.s, a, k) != nil {
				t.Error("the row is there under the fence")
			}
			if err := fence.Alive(t.Context()); err != nil {
				t.Errorf("Alive: %v", err)
			}
			if err := fence.Release(t.Context()); err != nil {
				t.Errorf("Release: %v", err)
			}
			if err := <-done; err != nil && storage.OutcomeOf(err) != storage.NotApplied {
				t.Errorf("the write after the release: %v", err)
			} else if got := read(t, x.s, a, k); (err == nil) != (got != nil) {
				t.Errorf("the write after the release: %v, row %s", err, show(got))
			}
			if err := fence.Release(t.Context()); err != nil {
				t.Errorf("releasing again: %v", err)
			}
			write(t, writer, upsert(b, key("after", int32(n))))
		}
	})
	t.Run("ReleaseWorksWithADeadContext", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		fence, err := fencer.Fence(ctx, opts)
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		if err := fence.Release(ctx); err != nil {
			t.Errorf("Release: %v", err)
		}
		write(t, x.s, upsert(a, key("free", 1)))
	})
	t.Run("ASecondFenceDoesNotWaitForEver", func(t *testing.T) {
		fence, err := fencer.Fence(t.Context(), opts)
		if err != nil {
			t.Fatal(err)
		}
		other, err := writers[len(writers)-1].(storage.Fencer).Fence(t.Context(), storage.FenceOptions{Tables: tables, Wait: 50 * time.Millisecond})
		var busy *storage.FenceBusyError
		switch {
		case err == nil: // shared locks: both may hold
			if err := other.Release(t.Context()); err != nil {
				t.Errorf("Release: %v", err)
			}
		case !errors.As(err, &busy) || !errors.Is(err, model.ErrConflict):
			t.Errorf("a fence under a fence: %v", err)
		}
		if err := fence.Release(t.Context()); err != nil {
			t.Errorf("Release: %v", err)
		}
	})
	t.Run("Prove", func(t *testing.T) {
		if err := fencer.ProveFence(t.Context(), opts); err != nil {
			t.Errorf("ProveFence: %v", err)
		}
		write(t, x.s, upsert(a, key("proved", 1)))
	})
	t.Run("IsTakenUnderLoad", func(t *testing.T) {
		stop := x.load(t, writers, a)
		for range 10 {
			fence, err := fencer.Fence(t.Context(), opts)
			if err != nil {
				t.Errorf("Fence: %v", err)
				break
			}
			before := scanAll(t, x.s, storage.Scan{Table: a, Partition: []model.Value{model.TextValue("load")}}, 0)
			after := scanAll(t, x.s, storage.Scan{Table: a, Partition: []model.Value{model.TextValue("load")}}, 0)
			for i := range before {
				if len(before) != len(after) || !sameRow(before[i], after[i]) {
					t.Error("a row changed under the fence")
					break
				}
			}
			if err := fence.Release(t.Context()); err != nil {
				t.Errorf("Release: %v", err)
			}
		}
		stop()
	})
}

// load makes writers change the rows ("load", 0…3) of a table of things until
// the function that it returns is called. Column i of each row only grows; s
// has the same value in rows 0 and 1 of the even, 2 and 3 of the odd writers.
func (x *suite) load(t *testing.T, writers []storage.Storage, table *model.Table) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan struct{}, 2*len(writers))
	n := 0
	for w := range 2 * len(writers) {
		n++
		go func() {
			defer func() { over <- struct{}{} }()
			for i := int32(0); ctx.Err() == nil; i++ {
				first := int32(w%2) * 2
				v := []storage.Assignment{set("i", model.IntValue(i)), set("s", model.TextValue(string(rune('a'+i%26))+string(rune('a'+w))))}
				err := mutate(context.Background(), writers[w/2], upsert(table, key("load", first), v...), upsert(table, key("load", first+1), v...))
				if o := storage.OutcomeOf(err); o != storage.Applied && o != storage.NotApplied {
					t.Errorf("a writer under load: %v", err)
					return
				}
			}
		}()
	}
	return func() {
		cancel()
		for range n {
			<-over
		}
	}
}
