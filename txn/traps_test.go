package txn_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stillpoint-db/stillpoint/internal/mutant"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/memory"
	"github.com/stillpoint-db/stillpoint/txn"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

// trap is a way to get the protocol wrong, a scenario that tells, and the lines
// whose removal makes it go wrong (run with the build tag "mutants").
type trap struct {
	name    string
	mutants []mutant.Name
	run     func(t testing.TB)
}

var traps = []trap{
	{"T1 every column is in the before-image", []mutant.Name{"txn.partial-before-image"}, trapBeforeImage},
	{"T2 one of two writers of a version loses", []mutant.Name{"txn.prepare-guard"}, trapLostUpdate},
	{"T2 an insert meets a record", []mutant.Name{"txn.insert-guard"}, trapInsertTwice},
	{"T2 versions count every write", []mutant.Name{"txn.version"}, trapVersion},
	{"T3 the record is read before the Coordinator", []mutant.Name{"txn.coordinator-before-record"}, trapOrder},
	{"T4 members of group commits are decided by their group", []mutant.Name{"txn.plain-group-ids"}, trapGroupIDs},
	{"T4 and T14 a member is aborted in two steps", []mutant.Name{"txn.one-step-abort", "txn.plain-group-ids"}, trapGroupAbort},
	{"T5 an imported record comes back as it was", []mutant.Name{"txn.imported-mark", "txn.imported-guard"}, trapImported},
	{"T6 a missing row does not mean aborted", []mutant.Name{"txn.absent-is-aborted"}, trapAbsent},
	{"T7 an impossible row decides nothing", []mutant.Name{"txn.trust-coordinator"}, trapBadRow},
	{"T8 a lost answer is not a failure", []mutant.Name{"txn.unknown-is-failed"}, trapLostAnswer},
	{"T9 its own row is success", []mutant.Name{"txn.own-row-is-conflict"}, trapOwnRow},
	{"T10 a deletion keeps what it deletes until it is decided", []mutant.Name{"txn.delete-clears-columns", "txn.early-commit-time"}, trapDeleted},
	{"T11 the before-index is read after the index", []mutant.Name{"txn.before-index-first"}, trapIndexOrder},
	{"T11 an index read finds what a write under way hides", []mutant.Name{"txn.no-before-index", "txn.before-index-first"}, trapIndexHidden},
	{"T11 so does a condition", []mutant.Name{"txn.after-image-only"}, trapConditionHidden},
	{"T12 committed records keep no before-image", []mutant.Name{"txn.keep-before-image"}, trapNulls},
	{"T13 a writer has its lease", []mutant.Name{"txn.no-lease"}, trapLease},
	{"T15 G1 a record written by others into a scanned range", []mutant.Name{"txn.skip-own-rows"}, trapG1},
	{"T15 G2 a record changed between read and write", []mutant.Name{"txn.last-read-guards"}, trapG2},
	{"T15 G3 a record hidden by a write under way", []mutant.Name{"txn.pass-foreign-prepared"}, trapG3},
	{"write skew within one database", []mutant.Name{"txn.fuse-unvalidated"}, trapSkewOne},
	{"write skew between two databases", []mutant.Name{"txn.fuse-unvalidated", "txn.skip-validation"}, trapSkewTwo},
	{"no record is committed before the decision", []mutant.Name{"txn.commit-before-coordinator"}, trapCommitOrder},
	{"an abort by others wins", []mutant.Name{"txn.ignore-late-abort", "txn.coordinator-guard"}, trapLateAbort},
	{"a late settlement spares the next version", []mutant.Name{"txn.unguarded-commit"}, trapLateCommit},
}

func TestTraps(t *testing.T) {
	for _, trap := range traps {
		t.Run(trap.name, func(t *testing.T) { trap.run(t) })
	}
}

// leavePrepared runs a transaction on account 1 by a process that ends before its
// decision, and returns its id.
func leavePrepared(c *client, write func(*txn.Tx) error) string {
	c.w.t.Helper()
	victim := c.w.open(textbook)
	victim.crashBefore(decides)
	tx := victim.begin()
	c.w.must(write(tx))
	if err := tx.Commit(ctx); err == nil {
		c.w.t.Fatal("the commit of a dead process succeeded")
	}
	return tx.ID()
}

func putOne(n int64) func(*txn.Tx) error {
	return func(tx *txn.Tx) error { return tx.Put(ctx, put(accountsName, 1, n)) }
}

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
	// And a writer that is at work still is not taken for aborted.
	c.onGet(nil)
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
	got, err := numbers(c.begin(), byOwner("ann"))
	if err == nil && !slices.Equal(got, []int64{1}) || err != nil && !errors.Is(err, model.ErrConflict) {
		t.Errorf("the index read lost a committed record: %v %v", got, err)
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
