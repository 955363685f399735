package txn_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/txn"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

// leave runs a transaction whose process ends when stop says so, and returns its
// id.
func (w *world) leave(stop func(storage.Batch) bool, run func(*txn.Tx) error, change ...func(*txn.Options)) string {
	w.t.Helper()
	victim := w.open(change...)
	victim.crashBefore(stop)
	tx := victim.begin()
	w.must(run(tx))
	_ = tx.Commit(ctx)
	_ = victim.Flush(ctx)
	return tx.ID()
}

func putIn(name model.TableName, no int, n int64) func(*txn.Tx) error {
	return func(tx *txn.Tx) error { return tx.Put(ctx, put(name, no, n)) }
}

func TestRecoverAllSettlesEveryRecordInDoubt(t *testing.T) {
	w := newWorld(t, worldOptions{two: true})
	c := w.open(func(o *txn.Options) { o.PageSize = 2 })
	c.fill(12, accountsName, vaultName)
	// Undecided ones of several kinds, and a decided one.
	for i := 1; i <= 5; i++ {
		w.leave(decides, putIn(accountsName, i, 1), textbook)
	}
	w.leave(decides, func(tx *txn.Tx) error { return tx.Insert(ctx, put(accountsName, 20, 1)) }, textbook)
	w.leave(decides, func(tx *txn.Tx) error { return tx.Delete(ctx, txn.Write{Table: accountsName, Key: at(6)}) }, textbook)
	w.leave(decides, func(tx *txn.Tx) error { return tx.Delete(ctx, txn.Write{Table: accountsName, Key: at(30)}) }, textbook)
	committed := w.leave(settles, func(tx *txn.Tx) error {
		for _, name := range []model.TableName{accountsName, vaultName} {
			if err := tx.Put(ctx, put(name, 10, 1)); err != nil {
				return err
			}
		}
		return tx.Delete(ctx, txn.Write{Table: vaultName, Key: at(11)})
	})
	if s := w.state(committed); s != "3" {
		t.Fatalf("state %q", s)
	}

	got, err := c.RecoverAll(ctx, txn.RecoverOptions{})
	w.must(err)
	got.Elapsed = 0
	if d := cmp.Diff(txn.RecoverReport{Tables: 2, RolledForward: 1, Live: 8}, got); d != "" {
		// The deletion in the vault is settled by its own process, or not,
		// in one call with the other record.
		got.RolledForward = 0
		if d := cmp.Diff(txn.RecoverReport{Tables: 2, Live: 8}, got); d != "" {
			t.Error(d)
		}
	}
	got, err = c.RecoverAll(ctx, txn.RecoverOptions{IgnoreLease: true})
	w.must(err)
	got.Elapsed = 0
	if d := cmp.Diff(txn.RecoverReport{Tables: 2, RolledBack: 8, Aborted: 8}, got); d != "" {
		t.Error(d)
	}
	got, err = c.RecoverAll(ctx, txn.RecoverOptions{IgnoreLease: true})
	w.must(err)
	got.Elapsed = 0
	if d := cmp.Diff(txn.RecoverReport{Tables: 2}, got); d != "" {
		t.Errorf("a second run: %s", d)
	}
	for i := 1; i <= 6; i++ {
		if r := w.stored(accountsName, i); r["balance"] != "100" || r["tx_state"] != "3" {
			t.Errorf("account %d: %v", i, r)
		}
	}
	if w.stored(accountsName, 20) != nil || w.stored(accountsName, 30) != nil || w.stored(vaultName, 11) != nil || w.stored(vaultName, 10)["balance"] != "1" {
		t.Error("inserted and deleted records are not as decided")
	}
}

// TestRecoverAllDoesNotAbortWhatIsFinished: a writer finishes, and its row is
// removed, after the page with its record has been read.
func TestRecoverAllDoesNotAbortWhatIsFinished(t *testing.T) {
	w := newWorld(t, worldOptions{})
	c := w.open()
	c.fill(1, accountsName)
	id := leavePrepared(c, putOne(90))
	w.advance(time.Minute)
	c.onGet(func(gets []storage.Get, next func() ([]*model.Row, error)) ([]*model.Row, error) {
		if gets[0].Table.Name() == stateName {
			w.raw(1, map[string]model.Value{record.TxState: model.IntValue(3), record.CommittedAt: model.BigIntValue(1)})
		}
		return next()
	})
	got, err := c.RecoverAll(ctx, txn.RecoverOptions{})
	if w.must(err); got.Aborted != 0 || got.RolledBack != 0 || w.state(id) != "" {
		t.Errorf("%+v, state %q", got, w.state(id))
	}
}

func TestRecoverAllLeavesTheCoordinatorAndPlainTablesAlone(t *testing.T) {
	plain, err := model.NewTable(model.TableSpec{Name: model.TableName{Namespace: "bank", Name: "plain"},
		Columns: []model.Column{{Name: "id", Type: model.Int}}, PartitionKey: []string{"id"}})
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, worldOptions{tables: []*model.Table{physical(accountsName), plain}})
	c := w.open()
	got, err := c.RecoverAll(ctx, txn.RecoverOptions{})
	w.must(err)
	if got.Tables != 1 {
		t.Errorf("%+v", got)
	}
	_, err = c.RecoverAll(ctx, txn.RecoverOptions{}, plain.Name())
	w.want(err, model.ErrRefused)
}

func TestADeadWritersRecordsAreSettledByTheirNextReader(t *testing.T) {
	type step struct {
		name string
		run  func(*txn.Tx) error
		// the record afterwards, committed and not
		committed, aborted string
	}
	for _, s := range []step{
		{"update", putOne(7), "7", "100"},
		{"delete", func(tx *txn.Tx) error { return do(tx, "delete") }, "", "100"},
		{"delete and insert", func(tx *txn.Tx) error {
			if err := do(tx, "delete"); err != nil {
				return err
			}
			return tx.Insert(ctx, put(accountsName, 1, 7))
		}, "7", "100"},
	} {
		for _, fate := range []record.State{record.Committed, record.Aborted, 0} {
			for _, change := range []func(*txn.Options){serializable, readCommitted, func(*txn.Options) {}} {
				w := newWorld(t, worldOptions{})
				c := w.open(change)
				c.fill(1, accountsName)
				id := leavePrepared(c, s.run)
				want := s.aborted
				switch fate {
				case record.Committed:
					w.decide(id, fate, 5)
					want = s.committed
				case record.Aborted:
					w.decide(id, fate, 5)
				case 0:
					w.advance(time.Minute)
				}
				// A writer settles what it meets, at any level.
				tx := c.begin()
				_, err := tx.Get(ctx, accountsName, at(1))
				w.must(err)
				w.must(tx.Put(ctx, txn.Write{Table: accountsName, Key: at(1), Set: []txn.Set{{Column: "note", Value: model.TextValue("x")}}}))
				err = tx.Commit(ctx)
				if tx.Isolation() == txn.ReadCommitted && fate == record.Committed {
					w.want(err, model.ErrConflict) // it had read the version before
					w.must(c.Flush(ctx))
				} else {
					w.must(err)
				}
				w.must(c.Flush(ctx))
				if r := w.stored(accountsName, 1); r["balance"] != want || r != nil && r["tx_state"] != "3" {
					t.Errorf("%s, fate %s, %s: balance %q, want %q: %v", s.name, fate, tx.Isolation(), r["balance"], want, r)
				}
			}
		}
	}
}

// TestAReadOnlySnapshotIsNotStale: between its two looks at a record that is being
// written, that write and the next one are committed, and the next one is not
// settled. The version before it is not the last committed one.
func TestAReadOnlySnapshotIsNotStale(t *testing.T) {
	w := newWorld(t, worldOptions{})
	c := w.open()
	c.fill(1, accountsName)
	first := leavePrepared(c, putOne(1))
	looks := 0
	c.onGet(func(gets []storage.Get, next func() ([]*model.Row, error)) ([]*model.Row, error) {
		if gets[0].Table.Name() == accountsName {
			if looks++; looks == 2 {
				w.decide(first, record.Committed, 5)
				w.raw(1, map[string]model.Value{record.TxState: model.IntValue(3), record.CommittedAt: model.BigIntValue(5)})
				w.decide(leavePrepared(c, putOne(2)), record.Committed, 6)
			}
		}
		return next()
	})
	row, err := c.begin(readOnly).Get(ctx, accountsName, at(1))
	w.must(err)
	if got := row.Get("balance").Int64(); got != 2 || looks != 2 {
		t.Errorf("read %d at look %d; 2 is committed", got, looks)
	}
	c.onGet(nil)
	w.must(c.Flush(ctx))
}

func TestAReadOnlySnapshotReadsBesideAWriter(t *testing.T) {
	w := newWorld(t, worldOptions{})
	c := w.open()
	c.fill(2, accountsName)
	id := leavePrepared(c, putOne(1))
	tx := c.begin(readOnly)
	row, err := tx.Get(ctx, accountsName, at(1))
	w.must(err)
	if got := row.Get("balance").Int64(); got != 100 {
		t.Errorf("read %d", got)
	}
	if got, err := numbers(tx, inBranch()); err != nil || len(got) != 2 {
		t.Errorf("scan %v %v", got, err)
	}
	if w.state(id) != "" || w.stored(accountsName, 1)["tx_state"] != "1" {
		t.Error("reading beside a living writer wrote something")
	}
	_, err = c.begin().Get(ctx, accountsName, at(1))
	w.want(err, model.ErrConflict)
}

func TestAbortAndStateByID(t *testing.T) {
	w := newWorld(t, worldOptions{})
	c := w.open(noOnePhase)
	c.fill(1, accountsName)
	tx := c.begin()
	w.must(tx.Put(ctx, put(accountsName, 1, 1)))
	d, err := c.State(ctx, tx.ID())
	if w.must(err); d.State != 0 {
		t.Errorf("undecided: %v", d)
	}
	d, err = c.Abort(ctx, tx.ID())
	if w.must(err); d.State != record.Aborted {
		t.Errorf("abort: %v", d)
	}
	w.want(tx.Commit(ctx), model.ErrConflict)

	tx = c.begin()
	w.must(tx.Put(ctx, put(accountsName, 1, 1)))
	w.must(tx.Commit(ctx))
	d, err = c.Abort(ctx, tx.ID())
	if w.must(err); d.State != record.Committed {
		t.Errorf("abort of a committed one: %v", d)
	}
	_, err = c.Abort(ctx, "")
	w.want(err, model.ErrBadArgument)
}

func TestAOnePhaseCommitIsKnownByItsRecords(t *testing.T) {
	w := newWorld(t, worldOptions{})
	c := w.open()
	c.fill(1, accountsName)
	tx := c.begin()
	w.must(tx.Put(ctx, put(accountsName, 1, 1)))
	w.must(tx.Commit(ctx))
	d, err := c.State(ctx, tx.ID())
	if w.must(err); d.State != 0 {
		t.Errorf("the Coordinator knows it: %v", d)
	}
	d, err = c.StateOf(ctx, tx.ID(), accountsName, at(1))
	if w.must(err); d.State != record.Committed || d.At == 0 {
		t.Errorf("its record does not tell: %v", d)
	}
	leavePrepared(c, putOne(2)) // which hides it
	d, err = c.StateOf(ctx, tx.ID(), accountsName, at(1))
	if w.must(err); d.State != record.Committed || d.At == 0 {
		t.Errorf("its record does not tell behind a write under way: %v", d)
	}
	d, err = c.StateOf(ctx, "another", accountsName, at(1))
	if w.must(err); d.State != 0 {
		t.Errorf("somebody else's record tells: %v", d)
	}
}

func TestAnUnreachableCoordinatorStopsReadersOfRecordsInDoubt(t *testing.T) {
	w := newWorld(t, worldOptions{})
	c := w.open()
	c.fill(1, accountsName)
	leavePrepared(c, putOne(1))
	tries := 0
	c.onGet(func(gets []storage.Get, next func() ([]*model.Row, error)) ([]*model.Row, error) {
		if gets[0].Table.Name() == stateName {
			tries++
			return nil, storage.UnavailableError("a", errStop)
		}
		return next()
	})
	_, err := c.begin().Get(ctx, accountsName, at(1))
	if !errors.Is(err, model.ErrUnavailable) || tries != 5 {
		t.Errorf("%d tries, %v", tries, err)
	}
}
