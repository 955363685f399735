package txn_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/txn"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

func trapOrder(t testing.TB) {
	w := newWorld(t, worldOptions{})
	c := w.open()
	c.fill(1, accountsName)
	first := leavePrepared(c, putOne(90))
	w.decide(first, record.Committed, 1)
	// Right after the Coordinator has been asked, another manager settles the
	// record and the next transaction announces a version that it never
	// commits.
	done := false
	c.onGet(func(gets []storage.Get, next func() ([]*model.Row, error)) ([]*model.Row, error) {
		rows, err := next()
		if gets[0].Table.Name() == stateName && !done {
			done = true
			w.raw(1, map[string]model.Value{record.TxState: model.IntValue(3), record.CommittedAt: model.BigIntValue(1)})
			leavePrepared(c, putOne(666))
		}
		return rows, err
	})
	tx := c.begin(readOnly)
	row, err := tx.Get(ctx, accountsName, at(1))
	w.must(err)
	if got := row.Get("balance").Int64(); got != 90 {
		t.Errorf("read %d, which nobody has committed", got)
	}
}

const parentID = "abcdefghijklmnopqrstuvwx"

// groupWorld has a Coordinator's table with the column of group commits.
func groupWorld(t testing.TB) (*world, *client) {
	w := newWorld(t, worldOptions{})
	spec := record.CoordinatorTable("").Spec()
	spec.Columns = append(spec.Columns, model.Column{Name: record.ChildIDs, Type: model.Text})
	table, err := model.NewTable(spec)
	w.must(err)
	w.must(w.store.Admin().DropTable(ctx, stateName))
	w.must(w.store.Admin().CreateTable(ctx, table))
	return w, w.open()
}

func (w *world) group(children string) storage.Mutation {
	table, err := w.store.Admin().Table(ctx, stateName)
	w.must(err)
	return storage.Mutation{Kind: storage.Put, Table: table, Key: model.Key{Partition: []model.Value{model.TextValue(parentID)}},
		Guard: storage.Guard{Kind: storage.NotExists}, Set: []storage.Assignment{{Column: record.TxState, Value: model.IntValue(3)},
			{Column: record.CreatedAt, Value: model.BigIntValue(77)}, {Column: record.ChildIDs, Value: model.TextValue(children)}}}
}

// asMember makes the record that a transaction left prepared one of a member of a
// group commit.
func (w *world) asMember(child string) string {
	id := parentID + "$" + child
	w.raw(1, map[string]model.Value{record.TxID: model.TextValue(id)})
	return id
}

func trapGroupIDs(t testing.TB) {
	w, c := groupWorld(t)
	c.fill(1, accountsName)
	leavePrepared(c, putOne(90))
	id := w.asMember("c2")
	w.must(w.store.Mutate(ctx, storage.Batch{Mutations: []storage.Mutation{w.group("c1,c2")}}))
	w.advance(time.Minute)
	if got := c.balanceOf(accountsName, 1); got != 90 {
		t.Errorf("read %d though the group has committed", got)
	}
	if d, err := c.State(ctx, id); err != nil || d.State != record.Committed {
		t.Errorf("state %v %v", d, err)
	}
	w.must(c.Flush(ctx))
	if r := w.stored(accountsName, 1); r["tx_state"] != "3" || r["tx_committed_at"] != "77" {
		t.Errorf("settled as %v", r)
	}
}

func trapGroupAbort(t testing.TB) {
	w, c := groupWorld(t)
	c.fill(1, accountsName)
	leavePrepared(c, putOne(90))
	id := w.asMember("c2")
	w.advance(time.Minute)
	if got := c.balanceOf(accountsName, 1); got != 100 {
		t.Errorf("read %d of an expired member", got)
	}
	if w.state(id) != "4" {
		t.Errorf("the member's own row says %q", w.state(id))
	}
	// The group's row comes late, with the member in it: it must not land.
	err := w.store.Mutate(ctx, storage.Batch{Mutations: []storage.Mutation{w.group("c1,c2")}})
	if storage.OutcomeOf(err) != storage.ConditionFailed {
		t.Errorf("the group commits a member that was aborted: %v", err)
	}
	w.must(c.Flush(ctx))
}

func trapAbsent(t testing.TB) {
	// The writer finishes, and its row is removed, between the read of the
	// record and that of the Coordinator's table.
	w := newWorld(t, worldOptions{})
	c := w.open()
	c.fill(1, accountsName)
	id := leavePrepared(c, putOne(90))
	w.advance(time.Minute)
	c.onGet(func(gets []storage.Get, next func() ([]*model.Row, error)) ([]*model.Row, error) {
		if gets[0].Table.Name() == stateName && w.stored(accountsName, 1)["tx_state"] == "1" {
			w.raw(1, map[string]model.Value{record.TxState: model.IntValue(3), record.CommittedAt: model.BigIntValue(1)})
		}
		return next()
	})
	if got := c.balanceOf(accountsName, 1); got != 90 {
		t.Errorf("read %d, the version before a finished write", got)
	}
	if s := w.state(id); s != "" {
		t.Errorf("wrote state %s of a finished transaction", s)
	}
	// Or right before the ABORTED row is written, which then says what is not so.
	c.onGet(nil)
	leavePrepared(c, putOne(91))
	w.advance(time.Minute)
	finished := false
	c.onMutate(func(b storage.Batch, next func() error) error {
		if touches(b, stateName) && !finished {
			finished = true
			w.raw(1, map[string]model.Value{record.TxState: model.IntValue(3), record.CommittedAt: model.BigIntValue(1)})
		}
		return next()
	})
	if got := c.balanceOf(accountsName, 1); got != 91 || !finished {
		t.Errorf("read %d, the version before a write that was finished meanwhile", got)
	}
	c.onMutate(nil)
	// And a writer that is at work still is not taken for aborted.
	leavePrepared(c, putOne(80))
	if _, err := c.begin().Get(ctx, accountsName, at(1)); !errors.Is(err, model.ErrConflict) {
		t.Errorf("a record being written: %v", err)
	}
}

func trapBadRow(t testing.TB) {
	for _, bad := range []struct {
		state   record.State
		created int64
	}{{5, 1}, {3, 0}, {1, 1}} {
		w := newWorld(t, worldOptions{})
		c := w.open()
		c.fill(1, accountsName)
		id := leavePrepared(c, putOne(90))
		w.decide(id, bad.state, bad.created)
		w.advance(time.Minute)
		before := w.stored(accountsName, 1)
		if _, err := c.begin().Get(ctx, accountsName, at(1)); !errors.Is(err, model.ErrInconsistent) {
			t.Errorf("state %d, time %d: %v", bad.state, bad.created, err)
		}
		w.must(c.Flush(ctx))
		if d := cmp.Diff(before, w.stored(accountsName, 1)); d != "" {
			t.Errorf("the record was changed: %s", d)
		}
	}
}

func byOwner(s string) txn.Scan {
	return txn.Scan{Table: accountsName, Kind: storage.ScanIndex, IndexColumn: "owner", IndexValue: model.TextValue(s)}
}

// numbers returns the account numbers that a scan finds, or its error.
func numbers(tx *txn.Tx, s txn.Scan) (out []int64, err error) {
	for row, err := range tx.Scan(ctx, s) {
		if err != nil {
			return nil, err
		}
		out = append(out, row.Get("no").Int64())
	}
	slices.Sort(out)
	return out, nil
}

func trapIndexOrder(t testing.TB) {
	for _, who := range []func(*txn.TxOptions){readOnly, func(*txn.TxOptions) {}} {
		w := newWorld(t, worldOptions{})
		c := w.open()
		c.fill(1, accountsName)
		first := true
		c.onScan(func(next func() (storage.Page, error)) (storage.Page, error) {
			page, err := next()
			if first {
				first = false
				leavePrepared(c, func(tx *txn.Tx) error {
					return tx.Put(ctx, txn.Write{Table: accountsName, Key: at(1), Set: owner("bob")})
				})
			}
			return page, err
		})
		got, err := numbers(c.begin(who), byOwner("ann"))
		if err == nil && !slices.Equal(got, []int64{1}) || err != nil && !errors.Is(err, model.ErrConflict) {
			t.Errorf("the index read lost a committed record, or returned it twice: %v %v", got, err)
		}
	}
}

func trapIndexHidden(t testing.TB) {
	for _, change := range []func(*txn.Options){serializable, readCommitted, func(*txn.Options) {}} {
		w := newWorld(t, worldOptions{})
		c := w.open(change)
		c.fill(2, accountsName)
		leavePrepared(c, func(tx *txn.Tx) error {
			return tx.Put(ctx, txn.Write{Table: accountsName, Key: at(1), Set: owner("bob")})
		})
		w.advance(time.Minute)
		tx := c.begin()
		if got, err := numbers(tx, byOwner("ann")); err != nil || !slices.Equal(got, []int64{1, 2}) {
			t.Errorf("index read: %v %v", got, err)
		}
		if err := tx.Commit(ctx); err != nil {
			t.Errorf("commit: %v", err)
		}
		w.must(c.Flush(ctx))
		if got, err := numbers(c.begin(), byOwner("bob")); err != nil || len(got) != 0 {
			t.Errorf("index read of the new value: %v %v", got, err)
		}
	}
}

func trapConditionHidden(t testing.TB) {
	w := newWorld(t, worldOptions{})
	c := w.open()
	c.fill(2, accountsName)
	leavePrepared(c, putOne(1))
	w.advance(time.Minute)
	for _, s := range []txn.Scan{
		{Table: accountsName, Kind: storage.ScanTable},
		{Table: accountsName, Kind: storage.ScanPartition, Partition: at(1).Partition},
	} {
		s.Where = model.Predicate{{{Column: "balance", Op: model.Eq, Value: model.BigIntValue(100)}, {Column: "no", Op: model.Gt, Value: model.IntValue(0)}}}
		if got, err := numbers(c.begin(), s); err != nil || !slices.Equal(got, []int64{1, 2}) {
			t.Errorf("scan with a condition: %v %v", got, err)
		}
		s.Where[0][0].Value = model.BigIntValue(1)
		if got, err := numbers(c.begin(), s); err != nil || len(got) != 0 {
			t.Errorf("scan for what was never committed: %v %v", got, err)
		}
	}
}

func trapLease(t testing.TB) {
	w := newWorld(t, worldOptions{})
	c := w.open()
	c.fill(1, accountsName)
	id := leavePrepared(c, putOne(90))
	w.advance(14900 * time.Millisecond)
	if _, err := c.begin().Get(ctx, accountsName, at(1)); !errors.Is(err, model.ErrConflict) {
		t.Errorf("within the lease: %v", err)
	}
	if w.state(id) != "" || w.stored(accountsName, 1)["tx_state"] != "1" {
		t.Error("something was written within the lease")
	}
	w.advance(200 * time.Millisecond)
	if got := c.balanceOf(accountsName, 1); got != 100 || w.state(id) != "4" {
		t.Errorf("after the lease: balance %d, state %q", got, w.state(id))
	}
	w.must(c.Flush(ctx))
}
