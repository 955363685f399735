package txn_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/txn"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

// richest scans for the accounts with the highest balances.
func richest(limit int) txn.Scan {
	return txn.Scan{Table: accountsName, Kind: storage.ScanTable, OrderBy: []storage.OrderBy{{Column: "balance", Order: model.Desc}}, Limit: limit}
}

// rich fills the bank: account n has a balance of n.
func (c *client) rich(n int) {
	c.fill(n, accountsName)
	tx := c.begin()
	for i := 1; i <= n; i++ {
		c.w.must(tx.Put(ctx, put(accountsName, i, int64(i))))
	}
	c.w.must(tx.Commit(ctx))
}

// trapOrderMoved lets a write under way move the first record of an order behind
// all others: a scan that ends before it comes there must not return what would be
// first if that were committed.
func trapOrderMoved(t testing.TB) {
	for _, change := range []func(*txn.Options){serializable, readCommitted, func(*txn.Options) {}} {
		for _, who := range []func(*txn.TxOptions){readOnly, func(*txn.TxOptions) {}} {
			w := newWorld(t, worldOptions{})
			c := w.open(change)
			c.rich(5)
			id := leavePrepared(c, func(tx *txn.Tx) error { return tx.Put(ctx, put(accountsName, 5, 0)) })
			for _, s := range []txn.Scan{richest(1), {Table: accountsName, Kind: storage.ScanTable, OrderBy: richest(0).OrderBy, Limit: 2,
				Where: model.Predicate{{{Column: "owner", Op: model.Eq, Value: model.TextValue("ann")}}}}} {
				if got, err := numbers(c.begin(who), s); !errors.Is(err, model.ErrConflict) {
					t.Errorf("undecided: %v %v", got, err)
				}
			}
			w.decide(id, record.Committed, 5)
			if got, err := numbers(c.begin(who), richest(2)); c.begin().Isolation() != txn.ReadCommitted && (err != nil || !slices.Equal(got, []int64{3, 4})) {
				t.Errorf("committed: %v %v", got, err)
			}
			w.must(c.Flush(ctx))
		}
	}
}

// TestAnOrderedScanIsValidatedForRecordsThatAreMoved: a record is moved by a write
// that begins between two pages, and the scan made again misses it again. The
// write is not decided, so nobody may depend on it.
func TestAnOrderedScanIsValidatedForRecordsThatAreMoved(t *testing.T) {
	w := newWorld(t, worldOptions{})
	c := w.open(serializable, func(o *txn.Options) { o.PageSize = 1 })
	c.rich(5)
	tx := c.begin()
	var got []int64
	for row, err := range tx.Scan(ctx, richest(0)) {
		w.must(err)
		if got = append(got, row.Get("no").Int64()); len(got) == 2 {
			break
		}
		leavePrepared(c, func(tx *txn.Tx) error { return tx.Put(ctx, put(accountsName, 4, 0)) })
	}
	if !slices.Equal(got, []int64{5, 3}) {
		t.Fatalf("found %v", got)
	}
	w.must(tx.Put(ctx, put(vaultName, 1, 1)))
	w.want(tx.Commit(ctx), model.ErrConflict)
	w.must(c.Flush(ctx))
}

func TestWritesThatMoveNothingDoNotDisturbAnOrderedScan(t *testing.T) {
	for name, write := range map[string]func(*txn.Tx) error{
		"another column": func(tx *txn.Tx) error {
			return tx.Put(ctx, txn.Write{Table: accountsName, Key: at(1), Set: owner("bob")})
		},
		"behind the limit":  func(tx *txn.Tx) error { return tx.Put(ctx, put(accountsName, 1, 0)) },
		"an insert behind":  func(tx *txn.Tx) error { return tx.Insert(ctx, put(accountsName, 9, 0)) },
		"a deletion behind": func(tx *txn.Tx) error { return tx.Delete(ctx, txn.Write{Table: accountsName, Key: at(1)}) },
	} {
		w := newWorld(t, worldOptions{})
		c := w.open()
		c.rich(5)
		leavePrepared(c, write)
		if got, err := numbers(c.begin(), richest(2)); err != nil || !slices.Equal(got, []int64{4, 5}) {
			t.Errorf("%s: %v %v", name, got, err)
		}
	}
}

// TestALongIndexScanReturnsNoRecordTwice: a record that it has returned is taken off
// the index by a write under way, and would be found again by its before-image.
func TestALongIndexScanReturnsNoRecordTwice(t *testing.T) {
	for _, who := range []func(*txn.TxOptions){readOnly, func(*txn.TxOptions) {}} {
		w := newWorld(t, worldOptions{})
		c := w.open(func(o *txn.Options) { o.PageSize = 1 })
		c.fill(3, accountsName)
		seen := map[int64]int{}
		var failed error
		for row, err := range c.begin(who).Scan(ctx, byOwner("ann")) {
			if failed = err; err != nil {
				break
			}
			if seen[row.Get("no").Int64()]++; len(seen) == 2 {
				leavePrepared(c, func(tx *txn.Tx) error {
					return tx.Put(ctx, txn.Write{Table: accountsName, Key: at(1), Set: owner("bob")})
				})
			}
		}
		if failed != nil && !errors.Is(failed, model.ErrConflict) || failed == nil && (seen[1] != 1 || len(seen) != 3) {
			t.Errorf("returned %v, %v", seen, failed)
		}
	}
}

// TestARecordThatChangesUnderAnOrderedScanIsNotReturnedOutOfPlace lets a silent
// writer's record be settled and changed by others before it is looked at again.
func TestARecordThatChangesUnderAnOrderedScanIsNotReturnedOutOfPlace(t *testing.T) {
	w := newWorld(t, worldOptions{})
	c := w.open()
	c.rich(3)
	leavePrepared(c, func(tx *txn.Tx) error {
		return tx.Put(ctx, txn.Write{Table: accountsName, Key: at(1), Set: owner("bob")})
	})
	w.advance(time.Minute)
	done := false
	c.onGet(func(gets []storage.Get, next func() ([]*model.Row, error)) ([]*model.Row, error) {
		if gets[0].Table.Name() == accountsName && !done {
			done = true
			other := w.open()
			tx := other.begin()
			rmw(w, tx, accountsName, 1)
			w.must(tx.Put(ctx, put(accountsName, 1, 100)))
			w.must(tx.Commit(ctx))
		}
		return next()
	})
	var got []int64
	var err error
	for row, e := range c.begin().Scan(ctx, richest(0)) {
		if err = e; err == nil {
			got = append(got, row.Get("balance").Int64())
		}
	}
	if !done || err == nil && !slices.IsSortedFunc(got, func(a, b int64) int { return int(b - a) }) || err != nil && !errors.Is(err, model.ErrConflict) {
		t.Errorf("in the order %v: %v", got, err)
	}
}

// TestAnOrderedScanIsValidatedAgainstWritesThatAreTakenBack: twice a write is under
// way while the order is read, and is taken back at once. The record that it would
// have moved was in its place all the time.
func TestAnOrderedScanIsValidatedAgainstWritesThatAreTakenBack(t *testing.T) {
	w := newWorld(t, worldOptions{})
	c, other := w.open(serializable, func(o *txn.Options) { o.PageSize = 1 }), w.open()
	c.rich(5)
	c.hides(other, 5, balance(0), 1, 3) // 2 looks for what has been moved
	tx := c.begin()
	if got, err := numbers(tx, richest(1)); err == nil {
		w.must(tx.Put(ctx, put(vaultName, 1, 1)))
		if err := tx.Commit(ctx); !errors.Is(err, model.ErrConflict) && !slices.Equal(got, []int64{5}) {
			t.Errorf("found %v, and committed: %v", got, err)
		}
	}
	w.must(c.Flush(ctx))
}

// A transaction may move, or take away, what its own ordered scan returned; others
// may put nothing before it.
func TestARecordThatItsTransactionMovesInAnOrder(t *testing.T) {
	for name, change := range map[string]func(*txn.Tx) error{
		"moved":   func(tx *txn.Tx) error { return tx.Put(ctx, put(accountsName, 5, 0)) },
		"kept":    func(tx *txn.Tx) error { return tx.Put(ctx, put(accountsName, 5, 5)) },
		"deleted": func(tx *txn.Tx) error { return tx.Delete(ctx, txn.Write{Table: accountsName, Key: at(5)}) },
	} {
		for _, limit := range []int{1, 3} {
			t.Run(fmt.Sprintf("%s of %d", name, limit), func(t *testing.T) {
				w := newWorld(t, worldOptions{})
				c, other := w.open(serializable), w.open()
				c.rich(5)
				take := func(meanwhile func()) error {
					tx := c.begin()
					_, err := numbers(tx, richest(limit))
					w.must(err)
					w.must(change(tx))
					meanwhile()
					return tx.Commit(ctx)
				}
				richer := func() {
					tx := other.begin()
					w.must(tx.Put(ctx, put(accountsName, 1, 9)))
					w.must(tx.Commit(ctx))
				}
				w.want(take(richer), model.ErrConflict)
				w.must(c.Flush(ctx))
				tx := other.begin()
				w.must(tx.Put(ctx, put(accountsName, 1, 1)))
				w.must(tx.Commit(ctx))
				w.must(take(func() {}))
				w.must(c.Flush(ctx))
				w.must(other.Flush(ctx))
			})
		}
	}
}

// A transaction may move a record that its ordered scan did not come to before those
// that it returned: an item is put at the end of a list by the highest place.
func TestARecordThatItsTransactionMovesToTheFrontOfAnOrder(t *testing.T) {
	for _, page := range []int{1, 1000} {
		for _, limit := range []int{1, 2} {
			w := newWorld(t, worldOptions{})
			c := w.open(serializable, func(o *txn.Options) { o.PageSize = page })
			c.rich(5)
			tx := c.begin()
			_, err := numbers(tx, richest(limit))
			w.must(err)
			w.must(tx.Put(ctx, put(accountsName, 1, 6)))
			if err := tx.Commit(ctx); err != nil {
				t.Errorf("page %d limit %d: %v", page, limit, err)
			}
			w.must(c.Flush(ctx))
		}
	}
}
