package txn_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/txn"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

// insertVault inserts account 1 of the vault, and changes account 1 of the bank so
// that both databases take part.
func insertVault(c *client) error {
	tx := c.begin()
	if err := errors.Join(tx.Insert(ctx, put(vaultName, 1, 7)), tx.Put(ctx, put(accountsName, 1, 7))); err != nil {
		return err
	}
	return tx.Commit(ctx)
}

// wantPassing fails unless an insert has failed with a conflict that may be over
// when it is tried again, and then is.
func (c *client) wantPassing(what string) {
	c.w.t.Helper()
	if err := insertVault(c); !errors.Is(err, model.ErrConflict) || errors.Is(err, model.ErrExists) {
		c.w.t.Errorf("%s: the insert says %v", what, err)
	}
	if err := insertVault(c); err != nil {
		c.w.t.Errorf("%s: once more: %v", what, err)
	}
	c.w.must(c.Flush(ctx))
	if got := c.balanceOf(vaultName, 1); got != 7 {
		c.w.t.Errorf("%s: the record has %d", what, got)
	}
}

// TestAnInsertWhereARowIsPassingIsAConflict: that a row is stored does not say that
// there is one.
func TestAnInsertWhereARowIsPassingIsAConflict(t *testing.T) {
	for _, change := range []func(*txn.Options){serializable, readCommitted, textbook, func(*txn.Options) {}} {
		// It is deleted, by a transaction that has been answered, and not settled.
		w := newWorld(t, worldOptions{two: true})
		c := w.open(change)
		c.fill(1, accountsName, vaultName)
		c.onMutate(func(b storage.Batch, next func() error) error {
			if b.Mutations[0].Table.Name() == vaultName && b.Mutations[0].Kind == storage.Delete {
				return storage.UnavailableError("b", errStop)
			}
			return next()
		})
		tx := c.begin()
		w.must(tx.Delete(ctx, txn.Write{Table: vaultName, Key: at(1)}))
		w.must(tx.Put(ctx, put(accountsName, 1, 1)))
		w.must(tx.Commit(ctx))
		w.must(c.Flush(ctx))
		c.onMutate(nil)
		c.wantPassing("deleted")

		// It is being taken back, for an earlier attempt has failed elsewhere.
		w = newWorld(t, worldOptions{two: true})
		c = w.open(change)
		c.fill(1, accountsName)
		c.onMutate(func(b storage.Batch, next func() error) error {
			switch {
			case touches(b, accountsName):
				return &storage.ConditionError{Mutation: b.Mutations[0]}
			case b.Mutations[0].Kind == storage.Delete:
				return storage.UnavailableError("b", errStop)
			}
			return next()
		})
		w.want(insertVault(c), model.ErrConflict)
		w.must(c.Flush(ctx))
		c.onMutate(nil)
		if r := w.stored(vaultName, 1); r["tx_state"] != "1" {
			t.Fatalf("nothing is left behind: %v", r)
		}
		c.wantPassing("taken back")

		// Its writer has been silent for too long.
		w = newWorld(t, worldOptions{two: true})
		c = w.open(change)
		c.fill(1, accountsName)
		w.leave(decides, putIn(vaultName, 1, 5), textbook)
		w.advance(time.Minute)
		c.wantPassing("silent")
	}
}

func TestAnInsertWhereSomebodyInsertsIsAConflictUntilItIsDecided(t *testing.T) {
	w := newWorld(t, worldOptions{two: true})
	c := w.open()
	c.fill(1, accountsName)
	id := w.leave(decides, putIn(vaultName, 1, 5), textbook)
	if err := insertVault(c); !errors.Is(err, model.ErrConflict) || errors.Is(err, model.ErrExists) {
		t.Errorf("undecided: %v", err)
	}
	if s := w.state(id); s != "" {
		t.Errorf("a writer at work was aborted: state %q", s)
	}
	w.decide(id, record.Committed, 5)
	if err := insertVault(c); !errors.Is(err, model.ErrConflict) || !errors.Is(err, model.ErrExists) {
		t.Errorf("committed: %v", err)
	}
	w.must(c.Flush(ctx))
}
