package txn_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/txn"
)

// commitHeld commits a transfer whose settlement is held.
func commitHeld(w *world, c *client) *txn.Tx {
	w.t.Helper()
	c.fill(2, accountsName, vaultName)
	c.hold()
	tx := c.begin()
	w.must(c.transfer(tx, accountsName, vaultName))
	if r := w.stored(vaultName, 2); r["tx_state"] != "1" {
		w.t.Fatalf("settled already: %v", r)
	}
	return tx
}

func TestAnAnsweredCommitIsReadBeforeItIsSettled(t *testing.T) {
	for _, change := range []func(*txn.Options){serializable, readCommitted, func(*txn.Options) {}} {
		w := newWorld(t, worldOptions{two: true})
		c := w.open(change)
		commitHeld(w, c)
		c.take()
		if got := c.balanceOf(vaultName, 2); got != 110 {
			t.Errorf("read %d", got)
		}
		if n := c.take(); n["get"] != 1 {
			t.Errorf("the Coordinator was asked for what this manager has decided: %v", n)
		}
		c.release()
		w.must(c.Flush(ctx))
	}
}

func TestAWriterWaitsForTheSettlementUnderWay(t *testing.T) {
	w := newWorld(t, worldOptions{two: true})
	c := w.open()
	commitHeld(w, c)
	tx := c.begin()
	rmw(w, tx, vaultName, 2)
	done := make(chan error)
	go func() { done <- tx.Commit(ctx) }()
	select {
	case err := <-done:
		t.Fatalf("it did not wait: %v", err)
	default:
	}
	c.release()
	w.must(<-done)
	if got := c.balanceOf(vaultName, 2); got != 111 {
		t.Errorf("balance %d", got)
	}
	// And gives up when its caller does.
	w = newWorld(t, worldOptions{two: true})
	c = w.open()
	commitHeld(w, c)
	tx = c.begin()
	rmw(w, tx, vaultName, 2)
	ended, cancel := context.WithCancel(ctx)
	cancel()
	w.want(tx.Commit(ended), model.ErrUnavailable)
	c.release()
}

func TestCloseWaitsForSettlements(t *testing.T) {
	w := newWorld(t, worldOptions{two: true})
	c := w.open()
	commitHeld(w, c)
	done := make(chan error)
	go func() { done <- c.Close(ctx) }()
	c.release()
	w.must(<-done)
	if r := w.stored(vaultName, 2); r["tx_state"] != "3" {
		t.Errorf("after Close: %v", r)
	}
	// A transaction that is not over by then settles its own records.
	tx := c.begin()
	w.must(c.transfer(tx, accountsName, vaultName))
	if r := w.stored(vaultName, 2); r["tx_state"] != "3" || r["tx_id"] != `"`+tx.ID()+`"` {
		t.Errorf("committed after Close: %v", r)
	}
}

// cannotSettle makes every settlement of the client's fail.
func (c *client) cannotSettle() {
	c.onMutate(func(b storage.Batch, next func() error) error {
		if settles(b) {
			return storage.UnavailableError("b", errStop)
		}
		return next()
	})
}

func TestAFailedSettlementIsMadeUpForByTheNextReader(t *testing.T) {
	w := newWorld(t, worldOptions{two: true})
	c := w.open()
	c.fill(2, accountsName, vaultName)
	c.cannotSettle()
	w.must(c.transfer(c.begin(), accountsName, vaultName))
	w.must(c.Flush(ctx))
	c.onMutate(nil)
	for _, change := range []txn.Isolation{txn.ReadCommitted, txn.Snapshot} {
		tx, err := c.Begin(ctx, txn.TxOptions{Isolation: change})
		w.must(err)
		rmw(w, tx, vaultName, 2)
		if err := tx.Commit(ctx); err != nil {
			t.Errorf("%s: %v", change, err)
		}
	}
	if got := c.balanceOf(vaultName, 2); got != 112 {
		t.Errorf("balance %d", got)
	}
}

// TestNothingIsPreparedOnARecordThatIsNotSettled: the database would copy the state
// of a write under way into the before-image.
func TestNothingIsPreparedOnARecordThatIsNotSettled(t *testing.T) {
	w := newWorld(t, worldOptions{two: true})
	c := w.open()
	c.fill(2, accountsName, vaultName)
	c.cannotSettle()
	first := c.begin()
	w.must(c.transfer(first, accountsName, vaultName))
	w.must(c.Flush(ctx))
	if err := c.transfer(c.begin(), accountsName, vaultName); !errors.Is(err, model.ErrConflict) {
		t.Errorf("a transfer over an unsettled record: %v", err)
	}
	if r := w.stored(vaultName, 2); r["tx_id"] != `"`+first.ID()+`"` || r["tx_state"] != "1" {
		t.Errorf("prepared over an unsettled record: %v", r)
	}
	c.onMutate(nil)
	if got := c.balanceOf(vaultName, 2); got != 110 {
		t.Errorf("balance %d", got)
	}
}

func TestReadCommittedReadersSettleSilentWriters(t *testing.T) {
	w := newWorld(t, worldOptions{})
	c := w.open(readCommitted)
	c.fill(1, accountsName)
	id := leavePrepared(c, putOne(1))
	if got := c.balanceOf(accountsName, 1); got != 100 || w.state(id) != "" {
		t.Errorf("within the lease: %d, state %q", got, w.state(id))
	}
	w.advance(time.Minute)
	tx := c.begin(readOnly)
	_, err := tx.Get(ctx, accountsName, at(1))
	w.must(err)
	w.must(c.Flush(ctx))
	if w.state(id) != "" {
		t.Error("a read-only transaction wrote something")
	}
	if got := c.balanceOf(accountsName, 1); got != 100 {
		t.Errorf("after it: %d", got)
	}
	w.must(c.Flush(ctx))
	if r := w.stored(accountsName, 1); w.state(id) != "4" || r["tx_state"] != "3" {
		t.Errorf("state %q, record %v", w.state(id), r)
	}
}

func TestABatchThatMetADeadlockIsSentAgain(t *testing.T) {
	for _, change := range []func(*txn.Options){textbook, noOnePhase, func(*txn.Options) {}} {
		w := newWorld(t, worldOptions{})
		c := w.open(change)
		c.fill(1, accountsName)
		n := 0
		c.onMutate(func(_ storage.Batch, next func() error) error {
			if n++; n <= 2 {
				return storage.ConflictError("a", errStop)
			}
			return next()
		})
		tx := c.begin()
		rmw(w, tx, accountsName, 1)
		w.must(tx.Commit(ctx))
		w.must(c.Flush(ctx))
	}
}

func TestAnOrderedScanRefusesRowsWhoseOrderIsBeingWritten(t *testing.T) {
	w := newWorld(t, worldOptions{})
	c := w.open()
	c.fill(3, accountsName)
	leavePrepared(c, putOne(500))
	for column, class := range map[string]error{"balance": model.ErrConflict, "owner": nil} {
		s := txn.Scan{Table: accountsName, Kind: storage.ScanTable, OrderBy: []storage.OrderBy{{Column: column}}}
		if _, err := numbers(c.begin(readOnly), s); !errors.Is(err, class) {
			t.Errorf("ordered by %s: %v", column, err)
		}
	}
}
