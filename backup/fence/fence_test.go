package fence_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stillpoint-db/stillpoint/backup/fence"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/memory"
)

var accounts = func() *model.Table {
	t, err := model.NewTable(model.TableSpec{
		Name:         model.TableName{Namespace: "bank", Name: "accounts"},
		Columns:      []model.Column{{Name: "id", Type: model.Int}, {Name: "balance", Type: model.Int}},
		PartitionKey: []string{"id"},
	})
	if err != nil {
		panic(err)
	}
	return t
}()

// bank opens a database with the table of accounts.
func bank(t *testing.T, name string, opts memory.Options) *memory.Storage {
	t.Helper()
	s := memory.NewDatabase().Open(name, opts)
	ctx := t.Context()
	if err := s.Admin().CreateNamespace(ctx, "bank"); err != nil {
		t.Fatal(err)
	}
	if err := s.Admin().CreateTable(ctx, accounts); err != nil {
		t.Fatal(err)
	}
	return s
}

func member(s *memory.Storage) fence.Member {
	return fence.Member{Storage: s.Name(), Fencer: s, Tables: []model.TableName{accounts.Name()}}
}

// write puts one account.
func write(ctx context.Context, s storage.Storage, id int32) error {
	key := model.Key{Partition: []model.Value{model.IntValue(id)}}
	return s.Mutate(ctx, storage.Batch{Mutations: []storage.Mutation{{Kind: storage.Put, Table: accounts, Key: key,
		Set: []storage.Assignment{{Column: "balance", Value: model.IntValue(1)}}}}})
}

// writable fails the test if a write has to wait.
func writable(t *testing.T, stores ...*memory.Storage) {
	t.Helper()
	for _, s := range stores {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		if err := write(ctx, s, 99); err != nil {
			t.Errorf("storage %s is still locked: %v", s.Name(), err)
		}
		cancel()
	}
}

// held is a writer that holds its commit until release is closed.
func held(begun chan<- struct{}, release <-chan struct{}) memory.Options {
	return memory.Options{Locked: func(_ context.Context, b storage.Batch) {
		if id := b.Mutations[0].Key.At(0).Int64(); id == 7 {
			close(begun)
			<-release
		}
	}}
}

func TestAFenceWaitsForCommitsInFlightAndHoldsNewOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun, release := make(chan struct{}), make(chan struct{})
		a, b := bank(t, "a", memory.Options{}), bank(t, "b", held(begun, release))
		inFlight := make(chan error, 1)
		go func() { inFlight <- write(t.Context(), b, 7) }()
		<-begun
		time.AfterFunc(20*time.Millisecond, func() { close(release) })

		late := make(chan error, 1)
		rep, err := fence.Under(t.Context(), []fence.Member{member(a), member(b)}, fence.Options{}, func(context.Context) error {
			select {
			case err := <-inFlight:
				if err != nil {
					t.Error(err)
				}
			default:
				t.Error("a commit in flight had not finished under the fence")
			}
			go func() { late <- write(t.Context(), a, 1) }()
			time.Sleep(10 * time.Millisecond)
			select {
			case err := <-late:
				t.Error("a commit went past the fence:", err)
			default:
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := <-late; err != nil {
			t.Error("a commit that met the fence was refused:", err)
		}
		if rep.Tries != 1 || rep.LongestStall != 30*time.Millisecond || len(rep.Spans) != 2 || len(rep.Busy) != 0 {
			t.Errorf("%+v", rep)
		}
		if s := rep.Spans[0]; s.Storage != "a" || s.Released.Sub(s.Granted) != 30*time.Millisecond {
			t.Errorf("%+v", s)
		}
		writable(t, a, b)
	})
}

func TestABusyDatabaseMakesTheFenceLetGoEverywhereAndTryAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun, release := make(chan struct{}), make(chan struct{})
		a, b := bank(t, "a", memory.Options{}), bank(t, "b", held(begun, release))
		inFlight := make(chan error, 1)
		go func() { inFlight <- write(t.Context(), b, 7) }()
		<-begun
		time.AfterFunc(time.Second, func() { close(release) })

		var longest time.Duration
		stop, stopped := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(stopped)
			for {
				select {
				case <-stop:
					return
				case <-time.After(time.Millisecond):
				}
				begin := time.Now()
				if err := write(t.Context(), a, 2); err != nil {
					t.Error(err)
				}
				longest = max(longest, time.Since(begin))
			}
		}()
		rep, err := fence.Under(t.Context(), []fence.Member{member(b), member(a)}, fence.Options{}, func(context.Context) error { return nil })
		close(stop)
		<-stopped
		if err != nil {
			t.Fatal(err)
		}
		if err := <-inFlight; err != nil {
			t.Error(err)
		}
		if rep.Tries < 2 || len(rep.Busy) != rep.Tries-1 || rep.Busy[0].Storage != "b" || rep.Busy[0].Table != "bank.accounts" {
			t.Errorf("%+v", rep)
		}
		if longest > 50*time.Millisecond || rep.LongestStall > 50*time.Millisecond || rep.LongestStall < longest {
			t.Errorf("a writer waited %v, the report says at most %v; one attempt is 50 ms", longest, rep.LongestStall)
		}
		writable(t, a, b)
	})
}

func TestAFenceThatIsNeverGrantedEndsAsAConflictWithNothingHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun, release := make(chan struct{}), make(chan struct{})
		a, b := bank(t, "a", memory.Options{}), bank(t, "b", held(begun, release))
		inFlight := make(chan error, 1)
		go func() { inFlight <- write(t.Context(), b, 7) }()
		<-begun
		begin := time.Now()
		rep, err := fence.Under(t.Context(), []fence.Member{member(a), member(b)}, fence.Options{Budget: 3 * time.Second}, func(context.Context) error {
			t.Error("ran without the fence")
			return nil
		})
		if !errors.Is(err, model.ErrConflict) || time.Since(begin) > 3*time.Second || len(rep.Spans) != 0 {
			t.Errorf("%v after %v: %+v", err, time.Since(begin), rep)
		}
		writable(t, a)
		close(release)
		if err := <-inFlight; err != nil {
			t.Error(err)
		}
	})
}

func TestAFenceLostMeanwhileIsVoid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := bank(t, "a", memory.Options{}), bank(t, "b", memory.Options{FenceLimit: 10 * time.Millisecond})
		_, err := fence.Under(t.Context(), []fence.Member{member(a), member(b)}, fence.Options{}, func(context.Context) error {
			time.Sleep(20 * time.Millisecond)
			return nil
		})
		if !errors.Is(err, model.ErrVoid) {
			t.Error(err)
		}
		writable(t, a, b)
	})
}

func TestWorkUnderTheFenceIsCutOffAndTheFenceVoid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := bank(t, "a", memory.Options{})
		rep, err := fence.Under(t.Context(), []fence.Member{member(a)}, fence.Options{Hold: time.Second}, func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		})
		if !errors.Is(err, model.ErrVoid) || rep.LongestStall != time.Second {
			t.Errorf("%v; %+v", err, rep)
		}
		writable(t, a)
	})
}

func TestTheFenceIsReleasedAfterAnErrorAPanicAndACancellation(t *testing.T) {
	broken := errors.New("broken")
	for name, f := range map[string]func(ctx context.Context, cancel func()) error{
		"error":  func(context.Context, func()) error { return broken },
		"panic":  func(context.Context, func()) error { panic(broken) },
		"cancel": func(ctx context.Context, cancel func()) error { cancel(); <-ctx.Done(); return ctx.Err() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := bank(t, "a", memory.Options{}), bank(t, "b", memory.Options{})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				func() {
					defer func() {
						if p := recover(); p != nil && p != any(broken) {
							t.Error(p)
						}
					}()
					if _, err := fence.Under(ctx, []fence.Member{member(a), member(b)}, fence.Options{}, func(ctx context.Context) error { return f(ctx, cancel) }); err == nil {
						t.Error("no error")
					}
				}()
				writable(t, a, b)
			})
		})
	}
}

func TestWhatIsOpenedUnderTheFenceOutlivesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := bank(t, "a", memory.Options{})
		var inner context.Context
		if _, err := fence.Under(t.Context(), []fence.Member{member(a)}, fence.Options{Hold: time.Second}, func(ctx context.Context) error {
			inner = ctx
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if inner.Err() != nil {
			t.Error("the context under the fence ended with it")
		}
	})
}

// recording notes the order in which storages are asked.
type recording struct {
	storage.Fencer
	name  string
	order *[]string
}

func (r recording) Fence(ctx context.Context, opts storage.FenceOptions) (storage.Fence, error) {
	*r.order = append(*r.order, r.name)
	return r.Fencer.Fence(ctx, opts)
}

func TestStoragesAreLockedInOneOrderWhateverTheConfigurationSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // in whose time an attempt takes none
		a, b, c := bank(t, "a", memory.Options{}), bank(t, "b", memory.Options{}), bank(t, "c", memory.Options{})
		var order []string
		var members []fence.Member
		for _, s := range []*memory.Storage{c, a, b} {
			m := member(s)
			m.Fencer = recording{s, s.Name(), &order}
			members = append(members, m)
		}
		h, err := fence.Take(t.Context(), members, fence.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := h.Alive(t.Context()); err != nil {
			t.Error(err)
		}
		for range 2 {
			if err := h.Release(t.Context()); err != nil {
				t.Error(err)
			}
		}
		if !slices.Equal(order, []string{"a", "b", "c"}) {
			t.Error(order)
		}
		writable(t, a, b, c)
	})
}

func TestAnUnreachableDatabaseEndsTheFenceAtOnceWithNothingHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // in whose time an attempt takes none
		a, b := bank(t, "a", memory.Options{}), bank(t, "b", memory.Options{})
		m := member(b)
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		if h, err := fence.Take(t.Context(), []fence.Member{member(a), m}, fence.Options{}); !errors.Is(err, model.ErrUnavailable) || h.Report().Tries != 1 {
			t.Error(err, h.Report())
		}
		writable(t, a)
	})
}

// sluggish is a database that takes long to answer, the first time.
type sluggish struct {
	storage.Fencer
	calls *int
	delay time.Duration
}

func (s sluggish) Fence(ctx context.Context, opts storage.FenceOptions) (storage.Fence, error) {
	*s.calls++
	if *s.calls == 1 {
		time.Sleep(s.delay)
	}
	return s.Fencer.Fence(ctx, opts)
}

func TestADatabaseThatDoesNotAnswerDoesNotKeepTheOthersLocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := bank(t, "a", memory.Options{}), bank(t, "b", memory.Options{})
		slow, calls := member(b), 0
		slow.Fencer = sluggish{b, &calls, 2 * time.Second}
		written := make(chan time.Duration, 1)
		go func() {
			time.Sleep(10 * time.Millisecond)
			begin := time.Now()
			if err := write(t.Context(), a, 1); err != nil {
				t.Error(err)
			}
			written <- time.Since(begin)
		}()
		rep, err := fence.Under(t.Context(), []fence.Member{member(a), slow}, fence.Options{}, func(context.Context) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		if d := <-written; d > 75*time.Millisecond {
			t.Errorf("a writer of another database waited %v", d)
		}
		if rep.Tries != 2 || len(rep.Spans) != 2 || len(rep.Busy) != 1 || rep.Busy[0].Storage != "b" {
			t.Errorf("%+v", rep)
		}
		writable(t, a, b)
	})
}

// warming counts the sessions begun and used.
type warming struct {
	storage.Fencer
	warm *bool
	t    *testing.T
}

func (w warming) WarmFence(context.Context) error { *w.warm = true; return nil }

func (w warming) Fence(ctx context.Context, opts storage.FenceOptions) (storage.Fence, error) {
	if !*w.warm {
		w.t.Error("a fence was asked for before its session was begun")
	}
	*w.warm = false
	return w.Fencer.Fence(ctx, opts)
}

func TestSessionsAreBegunBeforeAnythingIsLocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // in whose time an attempt takes none
		a, b := bank(t, "a", memory.Options{}), bank(t, "b", memory.Options{})
		var warmA, warmB bool
		ma, mb := member(a), member(b)
		ma.Fencer, mb.Fencer = warming{a, &warmA, t}, warming{b, &warmB, t}
		if _, err := fence.Under(t.Context(), []fence.Member{ma, mb}, fence.Options{}, func(context.Context) error { return nil }); err != nil {
			t.Fatal(err)
		}
	})
}
