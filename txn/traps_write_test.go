package txn_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/memory"
	"github.com/stillpoint-db/stillpoint/txn"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

func trapBeforeImage(t testing.TB) {
	for _, o := range []memory.Options{{}, {NoCopyColumns: true}} {
		w := newWorld(t, worldOptions{memory: o})
		c := w.open()
		c.fill(1, accountsName)
		// What an old version left behind must not come back either.
		w.raw(1, map[string]model.Value{"before_note": model.TextValue("stale"), "before_tx_id": model.TextValue("stale")})
		want := w.stored(accountsName, 1)
		delete(want, "before_note")
		delete(want, "before_tx_id")
		leavePrepared(c, putOne(1))
		w.advance(time.Minute)
		if got := c.balanceOf(accountsName, 1); got != 100 {
			t.Errorf("balance %d", got)
		}
		w.must(c.Flush(ctx))
		if d := cmp.Diff(want, w.stored(accountsName, 1)); d != "" {
			t.Errorf("after the rollback: %s", d)
		}
	}
}

func trapLostUpdate(t testing.TB) {
	for _, change := range []func(*txn.Options){textbook, noOnePhase, func(*txn.Options) {}} {
		w := newWorld(t, worldOptions{})
		c := w.open(change)
		c.fill(1, accountsName)
		a, b := c.begin(), c.begin()
		for _, tx := range []*txn.Tx{a, b} {
			_, err := tx.Get(ctx, accountsName, at(1))
			w.must(err)
			w.must(tx.Put(ctx, put(accountsName, 1, 1)))
		}
		w.must(a.Commit(ctx))
		w.must(c.Flush(ctx))
		if err := b.Commit(ctx); !errors.Is(err, model.ErrConflict) {
			t.Errorf("both writers of one version committed: %v", err)
		}
		w.must(c.Flush(ctx))
	}
}

func trapInsertTwice(t testing.TB) {
	for _, change := range []func(*txn.Options){textbook, func(*txn.Options) {}} {
		w := newWorld(t, worldOptions{})
		c := w.open(change)
		c.fill(1, accountsName)
		tx := c.begin()
		w.must(tx.Insert(ctx, put(accountsName, 1, 7)))
		if err := tx.Commit(ctx); !errors.Is(err, model.ErrConflict) || !errors.Is(err, model.ErrExists) {
			t.Errorf("an insert over a record: %v", err)
		}
		w.must(c.Flush(ctx))
	}
}

func trapVersion(t testing.TB) {
	for _, change := range []func(*txn.Options){textbook, noOnePhase, func(*txn.Options) {}} {
		w := newWorld(t, worldOptions{})
		c := w.open(change)
		c.fill(1, accountsName)
		for range 3 {
			tx := c.begin()
			w.must(tx.Put(ctx, put(accountsName, 1, 1)))
			w.must(tx.Commit(ctx))
		}
		w.must(c.Flush(ctx))
		if v := w.stored(accountsName, 1)["tx_version"]; v != "4" {
			t.Errorf("version %s after an insert and three updates", v)
		}
	}
}

func trapImported(t testing.TB) {
	for _, o := range []memory.Options{{}, {NoCopyColumns: true}} {
		w := newWorld(t, worldOptions{memory: o})
		c := w.open()
		w.raw(1, map[string]model.Value{"balance": model.BigIntValue(100), "note": model.TextValue("imported")})
		want := w.stored(accountsName, 1)
		for range 2 {
			id := leavePrepared(c, putOne(1))
			if r := w.stored(accountsName, 1); r["tx_id"] != `"`+id+`"` || r["before_tx_version"] != "0" || r["before_tx_id"] != "" || r["tx_version"] != "1" {
				t.Errorf("prepared over an imported record: %v", r)
			}
			w.advance(time.Minute)
			if got := c.balanceOf(accountsName, 1); got != 100 {
				t.Errorf("read %d", got)
			}
			w.must(c.Flush(ctx))
			if d := cmp.Diff(want, w.stored(accountsName, 1)); d != "" {
				t.Errorf("after the rollback: %s", d)
			}
		}
		tx := c.begin()
		w.must(tx.Put(ctx, put(accountsName, 1, 2)))
		if err := tx.Commit(ctx); err != nil {
			t.Errorf("an update of an imported record: %v", err)
		}
	}
}

func trapLostAnswer(t testing.TB) {
	for name, s := range setups {
		w := newWorld(t, worldOptions{two: s.two})
		c := w.open(s.change...)
		c.fill(2, accountsName, vaultName)
		lost := false
		c.onMutate(func(b storage.Batch, next func() error) error {
			err := next()
			if (decides(b) || name == "one phase" || name == "serializable, one") && !lost && err == nil {
				lost = true
				return storage.UnknownError("a", errStop)
			}
			return err
		})
		tx := c.begin()
		if err := c.transfer(tx, accountsName, vaultName); err != nil && !errors.Is(err, model.ErrUnknownOutcome) {
			t.Errorf("%s: committed, and reported as %v", name, err)
		}
		w.must(c.Flush(ctx))
		if a, b := c.balanceOf(accountsName, 1), c.balanceOf(vaultName, 2); a != 90 || b != 110 {
			t.Errorf("%s: balances %d and %d", name, a, b)
		}
	}
}

func trapOwnRow(t testing.TB) {
	w := newWorld(t, worldOptions{two: true})
	c := w.open()
	c.fill(2, accountsName, vaultName)
	tries := 0
	c.onMutate(func(b storage.Batch, next func() error) error {
		err := next()
		if decides(b) {
			if tries++; tries == 1 {
				return storage.UnknownError("a", errStop)
			}
		}
		return err
	})
	// The first look at the row fails too, so that the call is sent again and
	// meets the row itself.
	reads := 0
	c.onGet(func(gets []storage.Get, next func() ([]*model.Row, error)) ([]*model.Row, error) {
		if gets[0].Table.Name() == stateName {
			if reads++; reads <= 5 {
				return nil, storage.UnavailableError("a", errStop)
			}
		}
		return next()
	})
	if err := c.transfer(c.begin(), accountsName, vaultName); err != nil {
		t.Errorf("committed, and reported as %v", err)
	}
	if tries < 2 {
		t.Errorf("the call was sent %d times", tries)
	}
	c.onGet(nil)
	w.must(c.Flush(ctx))
}

func trapDeleted(t testing.TB) {
	for _, kind := range []string{"delete", "put"} {
		w := newWorld(t, worldOptions{})
		c := w.open()
		c.fill(1, accountsName)
		old := w.stored(accountsName, 1)
		leavePrepared(c, func(tx *txn.Tx) error {
			if kind == "delete" {
				return tx.Delete(ctx, txn.Write{Table: accountsName, Key: at(1)})
			}
			return tx.Put(ctx, put(accountsName, 1, 1))
		})
		r := w.stored(accountsName, 1)
		for _, column := range []string{"owner", "note", "tx_committed_at"} {
			if r[column] != old[column] {
				t.Errorf("%s: %s is %s while prepared, not %s", kind, column, r[column], old[column])
			}
		}
		want := map[string]string{"delete": "2", "put": "1"}[kind]
		if r["tx_state"] != want || r["before_balance"] != "100" || kind == "delete" && r["balance"] != "100" {
			t.Errorf("%s prepared as %v", kind, r)
		}
	}
}

func trapNulls(t testing.TB) {
	w := newWorld(t, worldOptions{two: true})
	c := w.open()
	c.fill(2, accountsName, vaultName)
	w.must(c.transfer(c.begin(), accountsName, vaultName))
	w.must(c.Flush(ctx))
	for column := range w.stored(vaultName, 2) {
		if len(column) > 7 && column[:7] == "before_" {
			t.Errorf("%s is left in a committed record", column)
		}
	}
	// Nor does what an old version left outlive the next write, in one step too.
	w.raw(1, map[string]model.Value{"before_note": model.TextValue("stale"), "before_tx_id": model.TextValue("stale")})
	tx := c.begin()
	rmw(w, tx, accountsName, 1)
	w.must(tx.Commit(ctx))
	if r := w.stored(accountsName, 1); r["before_note"]+r["before_tx_id"] != "" || r["tx_state"] != "3" {
		t.Errorf("after a one-phase commit: %v", r)
	}
}

func trapCommitOrder(t testing.TB) {
	for _, change := range []func(*txn.Options){textbook, func(*txn.Options) {}} {
		w := newWorld(t, worldOptions{two: true})
		c := w.open(synchronous, change)
		c.fill(2, accountsName, vaultName)
		tx := c.begin()
		checked := false
		c.onMutate(func(b storage.Batch, next func() error) error {
			if decides(b) {
				checked = true
				if r := w.stored(vaultName, 2); r["tx_state"] != "1" || r["tx_id"] != `"`+tx.ID()+`"` {
					t.Errorf("before the decision the record is %v", r)
				}
			}
			return next()
		})
		w.must(c.transfer(tx, accountsName, vaultName))
		if !checked {
			t.Error("nothing was decided")
		}
	}
}

func trapLateAbort(t testing.TB) {
	for _, change := range []func(*txn.Options){textbook, noOnePhase} {
		w := newWorld(t, worldOptions{two: true})
		c, other := w.open(change), w.open()
		c.fill(2, accountsName, vaultName)
		tx := c.begin()
		c.onMutate(func(b storage.Batch, next func() error) error {
			if decides(b) && w.state(tx.ID()) == "" {
				d, err := other.Abort(ctx, tx.ID())
				if w.must(err); d.State != record.Aborted {
					t.Errorf("abort: %v", d)
				}
			}
			return next()
		})
		if err := c.transfer(tx, accountsName, vaultName); !errors.Is(err, model.ErrConflict) {
			t.Errorf("committed after it was aborted: %v", err)
		}
		w.must(c.Flush(ctx))
		if a, b := other.balanceOf(accountsName, 1), other.balanceOf(vaultName, 2); a != 100 || b != 100 {
			t.Errorf("balances %d and %d of an aborted transfer", a, b)
		}
		if s := w.state(tx.ID()); s != "4" {
			t.Errorf("state %q", s)
		}
		w.must(other.Flush(ctx))
	}
}

func trapLateCommit(t testing.TB) {
	w := newWorld(t, worldOptions{two: true})
	c := w.open(synchronous)
	c.fill(2, accountsName, vaultName)
	decided, next2 := false, ""
	c.onMutate(func(b storage.Batch, next func() error) error {
		if decided && next2 == "" {
			// The settlement is on its way; meanwhile another manager
			// settles the record, and announces the next version of it.
			other := w.open(synchronous)
			if got := other.balanceOf(vaultName, 2); got != 110 {
				t.Errorf("read %d", got)
			}
			w.must(other.Flush(ctx))
			next2 = leavePrepared(other, func(tx *txn.Tx) error { return tx.Put(ctx, put(vaultName, 2, 5)) })
		}
		err := next()
		decided = decided || decides(b)
		return err
	})
	w.must(c.transfer(c.begin(), accountsName, vaultName))
	if r := w.stored(vaultName, 2); r["tx_state"] != "1" || r["tx_id"] != `"`+next2+`"` {
		t.Errorf("the late settlement hit the next version: %v", r)
	}
}
