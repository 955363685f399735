package txn_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/txn"
)

// transfer moves 10 between two accounts, reading both.
func (c *client) transfer(tx *txn.Tx, from, to model.TableName) error {
	rows, err := tx.GetAll(ctx, []txn.Ref{{Table: from, Key: at(1)}, {Table: to, Key: at(2)}})
	if err != nil {
		return err
	}
	if err := tx.Put(ctx, put(from, 1, rows[0].Get("balance").Int64()-10)); err != nil {
		return err
	}
	if err := tx.Put(ctx, put(to, 2, rows[1].Get("balance").Int64()+10)); err != nil {
		return err
	}
	return tx.Commit(ctx)
}

var setups = map[string]struct {
	two    bool
	change []func(*txn.Options)
}{
	"one phase":             {},
	"fused, one database":   {change: []func(*txn.Options){noOnePhase}},
	"textbook, one":         {change: []func(*txn.Options){textbook}},
	"fused, two databases":  {two: true},
	"textbook, two":         {two: true, change: []func(*txn.Options){textbook}},
	"two, synchronous":      {two: true, change: []func(*txn.Options){synchronous}},
	"serializable, one":     {change: []func(*txn.Options){serializable}},
	"serializable, two":     {two: true, change: []func(*txn.Options){serializable}},
	"read committed, two":   {two: true, change: []func(*txn.Options){readCommitted}},
	"serializable textbook": {two: true, change: []func(*txn.Options){serializable, textbook}},
}

func TestTransferIsAppliedOnceAndLeavesCommittedRecords(t *testing.T) {
	for name, s := range setups {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, worldOptions{two: s.two})
			c := w.open(s.change...)
			c.fill(2, accountsName, vaultName)
			tx := c.begin()
			w.must(c.transfer(tx, accountsName, vaultName))
			w.must(c.Flush(ctx))
			if a, b := c.balanceOf(accountsName, 1), c.balanceOf(vaultName, 2); a != 90 || b != 110 {
				t.Errorf("balances %d and %d", a, b)
			}
			for _, r := range []map[string]string{w.stored(accountsName, 1), w.stored(vaultName, 2)} {
				got := map[string]string{"tx_id": r["tx_id"], "tx_state": r["tx_state"], "tx_version": r["tx_version"], "note": r["note"], "before": r["before_tx_id"] + r["before_balance"] + r["before_note"]}
				if d := cmp.Diff(map[string]string{"tx_id": `"` + tx.ID() + `"`, "tx_state": "3", "tx_version": "2", "note": `"n"`, "before": ""}, got); d != "" {
					t.Error(d)
				}
			}
		})
	}
}

func TestRollbackWritesNothing(t *testing.T) {
	w := newWorld(t, worldOptions{})
	c := w.open()
	c.fill(1, accountsName)
	tx := c.begin()
	w.must(tx.Put(ctx, put(accountsName, 1, 5)))
	w.must(tx.Rollback(ctx))
	if n := c.take()["mutate"]; n != 0 || c.balanceOf(accountsName, 1) != 100 {
		t.Errorf("%d writes", n)
	}
	w.must(tx.Rollback(ctx))
	w.want(tx.Commit(ctx), model.ErrBadArgument)
	w.want(tx.Put(ctx, put(accountsName, 1, 5)), model.ErrBadArgument)
}

func TestSecondWriterOfARecordIsAConflict(t *testing.T) {
	for name, s := range setups {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, worldOptions{two: s.two})
			c := w.open(s.change...)
			c.fill(2, accountsName, vaultName)
			first, second := c.begin(), c.begin()
			for _, tx := range []*txn.Tx{first, second} {
				_, err := tx.Get(ctx, vaultName, at(2))
				w.must(err)
				w.must(tx.Put(ctx, put(vaultName, 2, 1)))
				w.must(tx.Put(ctx, put(accountsName, 1, 1)))
			}
			w.must(first.Commit(ctx))
			w.want(second.Commit(ctx), model.ErrConflict)
			w.must(c.Flush(ctx))
			if r := w.stored(accountsName, 1); r["tx_id"] != `"`+first.ID()+`"` || r["tx_state"] != "3" {
				t.Errorf("after the conflict: %v", r)
			}
		})
	}
}
