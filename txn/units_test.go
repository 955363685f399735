package txn_test

import (
	"errors"
	"testing"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage/memory"
	"github.com/stillpoint-db/stillpoint/txn"
)

// elsewhere names an account in a partition of its own.
func elsewhere(branch string) model.Key {
	k := at(1)
	k.Partition = []model.Value{model.TextValue(branch)}
	return k
}

func TestStoragesWhoseUnitIsAPartition(t *testing.T) {
	w := newWorld(t, worldOptions{memory: memory.Options{Unit: memory.Partition, NoCopyColumns: true, NoLockedChecks: true, NoAtomicScan: true}})
	c := w.open()
	c.fill(2, accountsName) // one partition
	tx := c.begin()
	rmw(w, tx, accountsName, 1)
	rmw(w, tx, accountsName, 2)
	w.must(tx.Commit(ctx))
	if n := c.take(); n["mutate"] != 1 || w.state(tx.ID()) != "" {
		t.Errorf("one partition: %v", n)
	}
	tx = c.begin()
	for _, branch := range []string{"x", "y", "z"} {
		w.must(tx.Put(ctx, txn.Write{Table: accountsName, Key: elsewhere(branch), Set: balance(1)}))
	}
	w.must(tx.Commit(ctx))
	w.must(c.Flush(ctx))
	// Three preparations, the decision, three settlements.
	if n := c.take(); n["mutate"] != 7 || w.state(tx.ID()) != "3" {
		t.Errorf("three partitions: %v, state %q", n, w.state(tx.ID()))
	}
}

func TestStoragesThatTakeFewMutationsAtOnce(t *testing.T) {
	for _, change := range []func(*txn.Options){serializable, func(*txn.Options) {}} {
		w := newWorld(t, worldOptions{memory: memory.Options{MaxMutations: 3}})
		c := w.open(change)
		tx := c.begin()
		for i := 1; i <= 8; i++ {
			w.must(tx.Insert(ctx, put(accountsName, i, 100)))
		}
		w.must(tx.Commit(ctx))
		w.must(c.Flush(ctx))
		if n := c.take()["mutate"]; n > 6 || w.state(tx.ID()) != "3" {
			t.Errorf("%d calls, state %q", n, w.state(tx.ID()))
		}
		for i := 1; i <= 8; i++ {
			if r := w.stored(accountsName, i); r["tx_state"] != "3" {
				t.Errorf("account %d: %v", i, r)
			}
		}
		tx = c.begin()
		for i := 1; i <= 3; i++ {
			rmw(w, tx, accountsName, i)
		}
		w.must(tx.Commit(ctx))
		w.must(c.Flush(ctx))
	}
}

func TestAFullBacklogIsSettledByTheCommitter(t *testing.T) {
	w := newWorld(t, worldOptions{two: true})
	c := w.open(func(o *txn.Options) { o.Backlog = 1 })
	c.fill(2, accountsName, vaultName)
	tx := c.begin()
	for _, name := range []model.TableName{accountsName, vaultName} {
		for i := 1; i <= 2; i++ {
			rmw(w, tx, name, i)
		}
	}
	w.must(tx.Commit(ctx))
	if r := w.stored(vaultName, 2); r["tx_state"] != "3" {
		t.Errorf("right after the answer: %v", r)
	}
}

func TestIndexReadsWithoutABeforeIndex(t *testing.T) {
	spec := physical(accountsName).Spec()
	spec.Indexes = []string{"owner"}
	table, err := model.NewTable(spec)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, worldOptions{tables: []*model.Table{table}})
	c := w.open()
	c.fill(2, accountsName)
	if got, err := numbers(c.begin(), byOwner("ann")); err != nil || len(got) != 2 {
		t.Errorf("SNAPSHOT: %v %v", got, err)
	}
	if _, err := numbers(w.open(serializable).begin(), byOwner("ann")); !errors.Is(err, model.ErrRefused) {
		t.Errorf("SERIALIZABLE: %v", err)
	}
}

func TestHooksSeeATransaction(t *testing.T) {
	var seen []string
	note := func(what string) func(txn.Event) {
		return func(e txn.Event) {
			s := what
			if e.Path != "" {
				s += " " + e.Path
			}
			if e.Err != nil {
				s += " failed"
			}
			if e.TxID == "" || e.Duration < 0 {
				t.Errorf("%+v", e)
			}
			seen = append(seen, s)
		}
	}
	w := newWorld(t, worldOptions{two: true})
	c := w.open(func(o *txn.Options) {
		o.Hooks = txn.Hooks{Begin: note("begin"), Read: note("read"), Prepare: note("prepare"), CommitPoint: note("commit point"), Done: note("done")}
	})
	c.fill(2, accountsName, vaultName)
	seen = nil
	w.must(c.transfer(c.begin(), accountsName, vaultName))
	want := []string{"begin", "read", "prepare fused", "commit point fused", "done fused"}
	if len(seen) != len(want) {
		t.Fatalf("%q", seen)
	}
	for i := range want {
		if seen[i] != want[i] {
			t.Errorf("%q, want %q", seen[i], want[i])
		}
	}
}

func TestMetadataIsShownWhenAskedFor(t *testing.T) {
	w := newWorld(t, worldOptions{})
	c := w.open(func(o *txn.Options) { o.IncludeMetadata = true })
	c.fill(1, accountsName)
	tx := c.begin()
	row, err := tx.Get(ctx, accountsName, at(1))
	w.must(err)
	if row.Get("tx_state").Int64() != 3 || row.Get("balance").Int64() != 100 {
		t.Errorf("%v", show(row))
	}
	w.must(tx.Put(ctx, put(accountsName, 1, 7)))
	row, err = tx.Get(ctx, accountsName, at(1))
	if w.must(err); row.Get("balance").Int64() != 7 || row.Get("note").Str() != "n" {
		t.Errorf("%v", show(row))
	}
	table, err := c.Table(ctx, accountsName)
	if w.must(err); table.Position("tx_id") < 0 {
		t.Error("the definition has no metadata")
	}
}

func TestDefinitionsAreReadAgainAfterAWhile(t *testing.T) {
	w := newWorld(t, worldOptions{})
	c := w.open()
	first, err := c.Table(ctx, accountsName)
	w.must(err)
	spec := physical(accountsName).Spec()
	spec.Columns = append(spec.Columns, model.Column{Name: "extra", Type: model.Int}, model.Column{Name: "before_extra", Type: model.Int})
	wider, err := model.NewTable(spec)
	w.must(err)
	w.must(w.store.Admin().DropTable(ctx, accountsName))
	w.must(w.store.Admin().CreateTable(ctx, wider))
	again, err := c.Table(ctx, accountsName)
	if w.must(err); again != first {
		t.Error("read again at once")
	}
	w.advance(61e9)
	again, err = c.Table(ctx, accountsName)
	if w.must(err); again.Position("extra") < 0 {
		t.Error("not read again after a minute")
	}
	w.must(w.store.Admin().DropTable(ctx, accountsName))
	c.Forget(accountsName)
	_, err = c.Table(ctx, accountsName)
	w.want(err, model.ErrNotFound)
}
