package txn_test

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/memory"
	"github.com/stillpoint-db/stillpoint/txn"
)

// TestFailureOfEveryWrite makes each write of a transfer in turn fail in every
// way, and demands that what Commit says is what is true: once settled, the
// transfer is there entirely or not at all, and an error that is not an unknown
// outcome means that it is not.
func TestFailureOfEveryWrite(t *testing.T) {
	kinds := map[string]func(next func() error) error{
		"unavailable":  func(func() error) error { return storage.UnavailableError("a", errStop) },
		"conflict":     func(func() error) error { return storage.ConflictError("a", errStop) },
		"lost request": func(func() error) error { return storage.UnknownError("a", errStop) },
		"lost answer": func(next func() error) error {
			if err := next(); err != nil {
				return err
			}
			return storage.UnknownError("a", errStop)
		},
		"refused": func(func() error) error { return model.Errorf(model.ErrBadArgument, "no") },
	}
	for setup, s := range setups {
		for kind, fail := range kinds {
			for n := 1; n <= 6; n++ {
				for _, forever := range []bool{false, true} {
					w := newWorld(t, worldOptions{two: s.two})
					c := w.open(s.change...)
					c.fill(2, accountsName, vaultName)
					var calls atomic.Int64
					c.onMutate(func(_ storage.Batch, next func() error) error {
						if i := calls.Add(1); i == int64(n) || forever && i > int64(n) {
							return fail(next)
						}
						return next()
					})
					err := c.transfer(c.begin(), accountsName, vaultName)
					_ = c.Flush(ctx)
					c.onMutate(nil)
					w.advance(time.Minute)
					other := w.open()
					a, b := other.balanceOf(accountsName, 1), other.balanceOf(vaultName, 2)
					applied := a == 90 && b == 110
					switch {
					case !applied && (a != 100 || b != 100):
						t.Errorf("%s, %s of write %d: torn: %d and %d", setup, kind, n, a, b)
					case err == nil && !applied, err != nil && applied && !errors.Is(err, model.ErrUnknownOutcome):
						t.Errorf("%s, %s of write %d: applied %v, and Commit said %v", setup, kind, n, applied, err)
					}
					if e, ok := errors.AsType[*model.Error](err); err != nil && (!ok || e.TxID == "") {
						t.Errorf("%s, %s of write %d: the error names no transaction: %v", setup, kind, n, err)
					}
					w.must(other.Flush(ctx))
				}
			}
		}
	}
}

func TestAnUnknownOutcomeSaysHowToLearnIt(t *testing.T) {
	for _, change := range []func(*txn.Options){noOnePhase, func(*txn.Options) {}} {
		w := newWorld(t, worldOptions{})
		c := w.open(change)
		c.fill(1, accountsName)
		dead := false
		c.onMutate(func(storage.Batch, func() error) error { dead = true; return storage.UnknownError("a", errStop) })
		c.onGet(func(gets []storage.Get, next func() ([]*model.Row, error)) ([]*model.Row, error) {
			if dead {
				return nil, storage.UnavailableError("a", errStop)
			}
			return next()
		})
		tx := c.begin()
		rmw(w, tx, accountsName, 1)
		err := tx.Commit(ctx)
		w.want(err, model.ErrUnknownOutcome)
		if e, _ := errors.AsType[*model.Error](err); e.TxID != tx.ID() || !strings.Contains(model.Hint(err), tx.ID()) {
			t.Errorf("%v", err)
		}
		w.want(tx.Commit(ctx), model.ErrBadArgument)
		w.must(tx.Rollback(ctx))
	}
}

func TestACallerInAHurryGetsTheTruth(t *testing.T) {
	for setup, s := range setups {
		w := newWorld(t, worldOptions{two: s.two})
		c := w.open(s.change...)
		c.fill(2, accountsName, vaultName)
		for n := 1; n <= 4; n++ {
			hurried, cancel := context.WithCancel(ctx)
			var calls atomic.Int64
			c.onMutate(func(_ storage.Batch, next func() error) error {
				// The context ends while the call is under way.
				if calls.Add(1) != int64(n) {
					return next()
				}
				err := next()
				cancel()
				if err == nil {
					err = storage.UnknownError("a", context.Canceled)
				}
				return err
			})
			before := c.balanceOf(accountsName, 1)
			tx := c.begin()
			w.must(tx.Put(hurried, put(accountsName, 1, before-1)))
			w.must(tx.Put(hurried, put(vaultName, 1, before-1)))
			err := tx.Commit(hurried)
			cancel()
			w.must(c.Flush(ctx))
			c.onMutate(nil)
			w.advance(time.Minute)
			a, b := c.balanceOf(accountsName, 1), c.balanceOf(vaultName, 1)
			if err == nil && a != before-1 || err != nil && !errors.Is(err, model.ErrUnknownOutcome) && a != before || a != b {
				t.Errorf("%s, write %d: %d and %d after %d, and Commit said %v", setup, n, a, b, before, err)
			}
			w.must(c.Flush(ctx))
		}
	}
}

// TestACallerInAHurryLeavesNothingBehind: the caller has gone when a preparation
// fails; what the others have prepared is taken back all the same.
func TestACallerInAHurryLeavesNothingBehind(t *testing.T) {
	for _, change := range []func(*txn.Options){synchronous, func(*txn.Options) {}} {
		w := newWorld(t, worldOptions{two: true})
		c := w.open(change)
		c.fill(1, accountsName, vaultName)
		hurried, cancel := context.WithCancel(ctx)
		c.onMutate(func(b storage.Batch, next func() error) error {
			if decides(b) && touches(b, accountsName) {
				cancel()
				return storage.UnavailableError("a", context.Canceled)
			}
			return next()
		})
		tx := c.begin()
		w.must(tx.Put(hurried, put(accountsName, 1, 1)))
		w.must(tx.Put(hurried, put(vaultName, 1, 1)))
		w.want(tx.Commit(hurried), model.ErrUnavailable)
		w.must(c.Flush(ctx))
		if r := w.stored(vaultName, 1); r["tx_state"] != "3" || r["balance"] != "100" || w.state(tx.ID()) != "4" {
			t.Errorf("state %q, left behind: %v", w.state(tx.ID()), r)
		}
	}
}

// TestEveryCallTouchesRecordsInOneOrder: by table and key, the Coordinator's row at
// its place, so that neither two transactions nor a transaction and a fence, which
// locks tables in that order, wait for each other.
func TestEveryCallTouchesRecordsInOneOrder(t *testing.T) {
	after := model.TableName{Namespace: "zoo", Name: "accounts"} // behind the Coordinator's table
	for name, s := range setups {
		for _, conflict := range []bool{false, true} {
			w := newWorld(t, worldOptions{two: s.two, tables: []*model.Table{physical(accountsName), physical(vaultName), physical(after)}})
			c, other := w.open(s.change...), w.open()
			tables := []model.TableName{after, vaultName, accountsName}
			c.fill(4, tables...)
			tx := c.begin()
			for _, table := range tables {
				_, err := tx.Get(ctx, table, at(2))
				w.must(err)
				for _, no := range []int{4, 1, 3} {
					rmw(w, tx, table, no)
				}
				w.must(tx.Insert(ctx, put(table, 0, 1)))
			}
			if conflict {
				next := other.begin()
				rmw(w, next, after, 3)
				w.must(next.Commit(ctx))
			}
			if err := tx.Commit(ctx); conflict != errors.Is(err, model.ErrConflict) || !conflict && err != nil {
				t.Errorf("%s: %v", name, err)
			}
			w.must(c.Flush(ctx))
			c.mu.Lock()
			for _, b := range c.log {
				if !slices.IsSortedFunc(b.Mutations, func(a, b storage.Mutation) int {
					return cmp.Or(a.Table.Name().Compare(b.Table.Name()), a.Key.Compare(b.Key))
				}) {
					var touched []string
					for _, m := range b.Mutations {
						touched = append(touched, m.Table.Name().String()+" "+m.Key.String())
					}
					t.Errorf("%s, conflict %v: %q", name, conflict, touched)
				}
			}
			c.mu.Unlock()
		}
	}
}

func TestALatePreparationIsTakenBack(t *testing.T) {
	w := newWorld(t, worldOptions{two: true})
	c := w.open()
	c.fill(2, accountsName, vaultName)
	var late func() error
	c.onMutate(func(b storage.Batch, next func() error) error {
		if touches(b, vaultName) && late == nil {
			late = next
			return storage.UnknownError("b", errStop)
		}
		return next()
	})
	tx := c.begin()
	err := c.transfer(tx, accountsName, vaultName)
	w.want(err, model.ErrUnavailable)
	if errors.Is(err, model.ErrUnknownOutcome) {
		t.Errorf("a lost preparation is no unknown outcome: %v", err)
	}
	w.must(c.Flush(ctx))
	if s := w.state(tx.ID()); s != "4" {
		t.Errorf("state %q: a late preparation could still be committed", s)
	}
	c.onMutate(nil)
	w.must(late())
	if r := w.stored(vaultName, 2); r["tx_state"] != "1" {
		t.Fatalf("it did not come: %v", r)
	}
	if got := c.balanceOf(vaultName, 2); got != 100 {
		t.Errorf("read %d", got)
	}
	w.must(c.Flush(ctx))
}

func TestNothingIsWrittenForAConflictThatTouchedNothing(t *testing.T) {
	for _, two := range []bool{false, true} {
		w := newWorld(t, worldOptions{two: two})
		c, other := w.open(textbook), w.open()
		c.fill(2, accountsName)
		tx := c.begin()
		rmw(w, tx, accountsName, 1)
		change := other.begin()
		rmw(w, change, accountsName, 1)
		w.must(change.Commit(ctx))
		c.take()
		w.want(tx.Commit(ctx), model.ErrConflict)
		if n := c.take()["mutate"]; n != 1 || w.state(tx.ID()) != "" {
			t.Errorf("%d writes, state %q", n, w.state(tx.ID()))
		}
	}
}

func TestIDsThatOthersWouldMisreadAreRefused(t *testing.T) {
	w := newWorld(t, worldOptions{})
	c := w.open()
	for _, id := range []string{parentID + "$x", strings.Repeat("x", 65), "\xff"} {
		_, err := c.Begin(ctx, txn.TxOptions{ID: id})
		w.want(err, model.ErrBadArgument)
	}
	tx, err := c.Begin(ctx, txn.TxOptions{ID: "mine"})
	if w.must(err); tx.ID() != "mine" {
		t.Error(tx.ID())
	}
}

func TestAnIDUsedTwiceIsRefused(t *testing.T) {
	w := newWorld(t, worldOptions{})
	c := w.open(noOnePhase)
	c.fill(2, accountsName)
	for i, class := range []error{nil, model.ErrBadArgument} {
		tx, err := c.Begin(ctx, txn.TxOptions{ID: "mine"})
		w.must(err)
		w.must(tx.Put(ctx, put(accountsName, i+1, 1)))
		if err := tx.Commit(ctx); !errors.Is(err, class) {
			t.Errorf("use %d: %v", i+1, err)
		}
	}
	if got := c.balanceOf(accountsName, 2); got != 100 {
		t.Errorf("the second use wrote %d", got)
	}
}

func TestOpenWantsACoordinatorsTable(t *testing.T) {
	store := memory.New("a")
	defer store.Close()
	if _, err := txn.Open(ctx, store, txn.Defaults()); !errors.Is(err, model.ErrNotFound) || !strings.Contains(err.Error(), "schema create") {
		t.Errorf("%v", err)
	}
	w := newWorld(t, worldOptions{})
	_, err := txn.Open(ctx, w.store, txn.Options{CoordinatorNamespace: "other"})
	w.want(err, model.ErrNotFound)
}

// commits tells the call that writes a COMMITTED row, in contrast to an ABORTED
// one.
func commits(b storage.Batch) bool {
	for _, m := range b.Mutations {
		if m.Table.Name() == stateName {
			return m.Set[0].Value == model.IntValue(3)
		}
	}
	return false
}

func TestALostDecisionIsDecidedForAbort(t *testing.T) {
	w := newWorld(t, worldOptions{two: true})
	c := w.open()
	c.fill(2, accountsName, vaultName)
	var late func() error
	c.onMutate(func(b storage.Batch, next func() error) error {
		if commits(b) {
			late = next
			return storage.UnknownError("a", errStop)
		}
		return next()
	})
	tx := c.begin()
	err := c.transfer(tx, accountsName, vaultName)
	w.want(err, model.ErrUnavailable)
	if errors.Is(err, model.ErrUnknownOutcome) {
		t.Errorf("the outcome is known: %v", err)
	}
	if err := late(); storage.OutcomeOf(err) != storage.ConditionFailed {
		t.Errorf("the lost call, arriving late: %v", err)
	}
	w.must(c.Flush(ctx))
	if a, b := c.balanceOf(accountsName, 1), c.balanceOf(vaultName, 2); a != 100 || b != 100 || w.state(tx.ID()) != "4" {
		t.Errorf("balances %d and %d, state %q", a, b, w.state(tx.ID()))
	}
}

// TestALostDecisionThatArrivesWhileItIsGivenUpIsACommit lets the deciding call
// get lost, its repetition be refused or find a record changed, and the lost one
// arrive just before the abort is written down: it has decided, and Commit must
// say so.
func TestALostDecisionThatArrivesWhileItIsGivenUpIsACommit(t *testing.T) {
	again := map[string]error{
		"refused":    model.Errorf(model.ErrBadArgument, "no"),
		"in the way": &storage.ConditionError{Index: 0, Mutation: storage.Mutation{Table: physical(accountsName), Key: put(accountsName, 1, 0).Key, Guard: storage.Guard{Kind: storage.NotExists}}},
	}
	for _, silent := range []bool{false, true} { // the abort is not answered either
		for name, second := range again {
			w := newWorld(t, worldOptions{two: true})
			c := w.open()
			c.fill(2, accountsName, vaultName)
			var late func() error
			arrived := false
			c.onMutate(func(b storage.Batch, next func() error) error {
				switch {
				case commits(b) && late == nil:
					late = next
					return storage.UnknownError("a", errStop)
				case commits(b):
					return second
				case touches(b, stateName):
					if !arrived {
						arrived = true
						w.must(late())
					}
					if silent {
						return storage.UnavailableError("a", errStop)
					}
				}
				return next()
			})
			c.onGet(func(gets []storage.Get, next func() ([]*model.Row, error)) ([]*model.Row, error) {
				if silent && late != nil && name == "refused" && gets[0].Table.Name() == stateName {
					return nil, storage.UnavailableError("a", errStop)
				}
				return next()
			})
			tx := c.begin()
			err := c.transfer(tx, accountsName, vaultName)
			c.onMutate(nil)
			c.onGet(nil)
			if silent != errors.Is(err, model.ErrUnknownOutcome) || !silent && err != nil {
				t.Errorf("%s, silent %v: %v", name, silent, err)
			}
			w.must(c.Flush(ctx))
			if a, b := c.balanceOf(accountsName, 1), c.balanceOf(vaultName, 2); a != 90 || b != 110 || w.state(tx.ID()) != "3" {
				t.Errorf("%s, silent %v: balances %d and %d, state %q", name, silent, a, b, w.state(tx.ID()))
			}
		}
	}
}
