package txn_test

import (
	"errors"
	"testing"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/txn"
)

// inBranch scans the partition of all accounts.
func inBranch(where ...model.Condition) txn.Scan {
	s := txn.Scan{Table: accountsName, Kind: storage.ScanPartition, Partition: at(1).Partition}
	if len(where) > 0 {
		s.Where = model.Predicate{where}
	}
	return s
}

func trapG1(t testing.TB) {
	w := newWorld(t, worldOptions{})
	c, other := w.open(serializable), w.open()
	tx := c.begin()
	got, err := numbers(tx, inBranch())
	w.must(err)
	if len(got) != 0 {
		t.Errorf("found %v", got)
	}
	other.fill(1, accountsName)
	w.must(tx.Put(ctx, put(accountsName, 1, 7)))
	if err := tx.Commit(ctx); !errors.Is(err, model.ErrConflict) {
		t.Errorf("overwrote a record that its scan had not seen: %v", err)
	}
	w.must(c.Flush(ctx))
}

func trapG2(t testing.TB) {
	for _, change := range []func(*txn.Options){serializable, readCommitted, func(*txn.Options) {}} {
		w := newWorld(t, worldOptions{})
		c, other := w.open(change), w.open()
		other.fill(1, accountsName)
		tx := c.begin()
		_, err := tx.Get(ctx, accountsName, at(1))
		w.must(err)
		next := other.begin()
		w.must(next.Put(ctx, put(accountsName, 1, 7)))
		w.must(next.Commit(ctx))
		// Reading it again, where that asks the database, must not move the
		// version that the write is guarded by.
		_, err = tx.Get(ctx, accountsName, at(1))
		w.must(err)
		w.must(tx.Put(ctx, put(accountsName, 1, 8)))
		if err := tx.Commit(ctx); !errors.Is(err, model.ErrConflict) {
			t.Errorf("overwrote a version that came after its read: %v", err)
		}
	}
	// A record that did not meet the condition of a scan, and then did.
	w := newWorld(t, worldOptions{})
	c, other := w.open(serializable), w.open()
	other.fill(1, accountsName)
	tx := c.begin()
	rich := inBranch(model.Condition{Column: "balance", Op: model.Gt, Value: model.BigIntValue(500)})
	_, err := numbers(tx, rich)
	w.must(err)
	next := other.begin()
	w.must(next.Put(ctx, put(accountsName, 1, 1000)))
	w.must(next.Commit(ctx))
	w.must(tx.Put(ctx, put(accountsName, 1, 8)))
	if err := tx.Commit(ctx); !errors.Is(err, model.ErrConflict) {
		t.Errorf("overwrote a record that its scan should have seen: %v", err)
	}
	w.must(c.Flush(ctx))
}

func trapG3(t testing.TB) {
	w := newWorld(t, worldOptions{})
	c, other := w.open(serializable), w.open()
	tx := c.begin()
	ann := inBranch(model.Condition{Column: "owner", Op: model.Eq, Value: model.TextValue("ann")})
	_, err := numbers(tx, ann)
	w.must(err)
	other.fill(1, accountsName)
	leavePrepared(other, func(tx *txn.Tx) error {
		return tx.Put(ctx, txn.Write{Table: accountsName, Key: at(1), Set: owner("bob")})
	})
	w.must(tx.Put(ctx, put(vaultName, 1, 1)))
	if err := tx.Commit(ctx); !errors.Is(err, model.ErrConflict) {
		t.Errorf("did not see a committed record behind a write under way: %v", err)
	}
	w.must(c.Flush(ctx))
}

func skew(t testing.TB, w *world, c *client) {
	c.fill(1, accountsName, vaultName)
	a, b := c.begin(), c.begin()
	_, err := a.Get(ctx, accountsName, at(1))
	w.must(err)
	_, err = b.Get(ctx, vaultName, at(1))
	w.must(err)
	w.must(a.Put(ctx, put(vaultName, 1, 0)))
	w.must(b.Put(ctx, put(accountsName, 1, 0)))
	w.must(a.Commit(ctx))
	if err := b.Commit(ctx); !errors.Is(err, model.ErrConflict) {
		t.Errorf("each read what the other wrote, and both committed: %v", err)
	}
	w.must(c.Flush(ctx))
}

func trapSkewOne(t testing.TB) {
	for _, change := range []func(*txn.Options){noOnePhase, func(*txn.Options) {}} {
		w := newWorld(t, worldOptions{})
		skew(t, w, w.open(serializable, change))
	}
}

func trapSkewTwo(t testing.TB) {
	// The second commits while the first, which reads in one database and
	// writes in the other, is between its validation and its decision.
	w := newWorld(t, worldOptions{two: true})
	c := w.open(serializable)
	c.fill(1, accountsName, vaultName)
	a, b := c.begin(), c.begin()
	_, err := a.Get(ctx, vaultName, at(1))
	w.must(err)
	_, err = b.Get(ctx, accountsName, at(1))
	w.must(err)
	w.must(a.Put(ctx, put(accountsName, 1, 0)))
	w.must(b.Put(ctx, put(vaultName, 1, 0)))
	var second error
	ran := false
	c.onMutate(func(batch storage.Batch, next func() error) error {
		if decides(batch) && !ran {
			ran = true
			second = b.Commit(ctx)
		}
		return next()
	})
	first := a.Commit(ctx)
	if first == nil && second == nil {
		t.Errorf("each read what the other wrote, and both committed")
	}
	c.onMutate(nil)
	w.must(c.Flush(ctx))

	w = newWorld(t, worldOptions{two: true})
	skew(t, w, w.open(serializable))
}
