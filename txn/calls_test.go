package txn_test

import (
	"maps"
	"testing"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/memory"
	"github.com/stillpoint-db/stillpoint/txn"
)

// The gate on what a transaction costs: calls to the storage, by kind, up to the
// answer of Commit and afterwards. A change of these numbers is a change of
// DESIGN.md.

type calls = map[string]int

// rmw reads and writes account n of a table.
func rmw(w *world, tx *txn.Tx, name model.TableName, no int) {
	row, err := tx.Get(ctx, name, at(no))
	w.must(err)
	w.must(tx.Put(ctx, put(name, no, row.Get("balance").Int64()+1)))
}

func TestCallsOfATransaction(t *testing.T) {
	read := func(w *world, tx *txn.Tx, name model.TableName, no int) {
		_, err := tx.Get(ctx, name, at(no))
		w.must(err)
	}
	for _, c := range []struct {
		name    string
		two     bool
		memory  memory.Options
		options []func(*txn.Options)
		tx      []func(*txn.TxOptions)
		run     func(*world, *txn.Tx)
		sync    bool
		answer  calls // when Commit returns
		after   calls // until everything is settled
	}{
		{name: "1 RMW, one unit", run: func(w *world, tx *txn.Tx) { rmw(w, tx, accountsName, 1) },
			answer: calls{"get": 1, "mutate": 1}},
		{name: "4 RMW, one unit", run: func(w *world, tx *txn.Tx) {
			for i := 1; i <= 4; i++ {
				rmw(w, tx, accountsName, i)
			}
		}, answer: calls{"get": 4, "mutate": 1}},
		{name: "4 blind puts, one unit", run: func(w *world, tx *txn.Tx) {
			for i := 1; i <= 4; i++ {
				w.must(tx.Put(ctx, put(accountsName, i, 1)))
			}
		}, answer: calls{"get": 1, "mutate": 1}},
		{name: "insert, one unit", run: func(w *world, tx *txn.Tx) { w.must(tx.Insert(ctx, put(accountsName, 9, 1))) },
			answer: calls{"mutate": 1}},
		{name: "1 RMW, one unit, no one-phase commit", options: []func(*txn.Options){noOnePhase},
			run: func(w *world, tx *txn.Tx) { rmw(w, tx, accountsName, 1) }, answer: calls{"get": 1, "mutate": 1}},
		{name: "1 RMW, textbook", options: []func(*txn.Options){textbook},
			run: func(w *world, tx *txn.Tx) { rmw(w, tx, accountsName, 1) }, answer: calls{"get": 1, "mutate": 2}, after: calls{"mutate": 1}},
		{name: "1 RMW, textbook and synchronous", sync: true, options: []func(*txn.Options){textbook, synchronous},
			run: func(w *world, tx *txn.Tx) { rmw(w, tx, accountsName, 1) }, answer: calls{"get": 1, "mutate": 3}},
		{name: "2 RMW, two units", two: true, run: func(w *world, tx *txn.Tx) { rmw(w, tx, accountsName, 1); rmw(w, tx, vaultName, 1) },
			answer: calls{"get": 2, "mutate": 2}, after: calls{"mutate": 1}},
		{name: "1 RMW, a unit without the Coordinator, one-phase", two: true,
			run: func(w *world, tx *txn.Tx) { rmw(w, tx, vaultName, 1) }, answer: calls{"get": 1, "mutate": 1}},
		{name: "1 RMW, a unit without the Coordinator, no one-phase", two: true, options: []func(*txn.Options){noOnePhase},
			run: func(w *world, tx *txn.Tx) { rmw(w, tx, vaultName, 1) }, answer: calls{"get": 1, "mutate": 2}, after: calls{"mutate": 1}},
		{name: "read-only", tx: []func(*txn.TxOptions){readOnly}, run: func(w *world, tx *txn.Tx) { read(w, tx, accountsName, 1); read(w, tx, accountsName, 2) },
			answer: calls{"get": 2}},
		{name: "the same record read again", run: func(w *world, tx *txn.Tx) { read(w, tx, accountsName, 1); read(w, tx, accountsName, 1) },
			answer: calls{"get": 1}},
		{name: "2 reads in one batch", run: func(w *world, tx *txn.Tx) {
			_, err := tx.GetAll(ctx, []txn.Ref{{Table: accountsName, Key: at(1)}, {Table: accountsName, Key: at(2)}})
			w.must(err)
		}, answer: calls{"get": 1}},
		{name: "SERIALIZABLE, 1 get", options: []func(*txn.Options){serializable}, run: func(w *world, tx *txn.Tx) { read(w, tx, accountsName, 1) },
			answer: calls{"get": 1}},
		{name: "SERIALIZABLE, 2 gets", options: []func(*txn.Options){serializable}, run: func(w *world, tx *txn.Tx) { read(w, tx, accountsName, 1); read(w, tx, accountsName, 2) },
			answer: calls{"get": 3}},
		{name: "SERIALIZABLE, 1 get and 1 RMW, one unit", options: []func(*txn.Options){serializable},
			run: func(w *world, tx *txn.Tx) { read(w, tx, accountsName, 2); rmw(w, tx, accountsName, 1) }, answer: calls{"get": 2, "mutate": 1}},
		{name: "the same, no one-phase commit", options: []func(*txn.Options){serializable, noOnePhase},
			run: func(w *world, tx *txn.Tx) { read(w, tx, accountsName, 2); rmw(w, tx, accountsName, 1) }, answer: calls{"get": 2, "mutate": 1}},
		{name: "SERIALIZABLE, a read of a missing record and 1 RMW, one unit", options: []func(*txn.Options){serializable},
			run: func(w *world, tx *txn.Tx) { read(w, tx, accountsName, 9); rmw(w, tx, accountsName, 1) }, answer: calls{"get": 3, "mutate": 2}},
		{name: "SERIALIZABLE, a deletion of a missing record and 1 RMW, one unit", options: []func(*txn.Options){serializable},
			run: func(w *world, tx *txn.Tx) {
				w.must(tx.Delete(ctx, txn.Write{Table: accountsName, Key: at(9)}))
				rmw(w, tx, accountsName, 1)
			}, answer: calls{"get": 2, "mutate": 2}},
		{name: "SERIALIZABLE, 1 get and 1 RMW, one unit whose checks do not last", options: []func(*txn.Options){serializable}, memory: memory.Options{NoLockedChecks: true},
			run: func(w *world, tx *txn.Tx) { read(w, tx, accountsName, 2); rmw(w, tx, accountsName, 1) }, answer: calls{"get": 3, "mutate": 2}},
		{name: "SERIALIZABLE, 2 RMW, two units", two: true, options: []func(*txn.Options){serializable},
			run: func(w *world, tx *txn.Tx) { rmw(w, tx, accountsName, 1); rmw(w, tx, vaultName, 1) }, answer: calls{"get": 2, "mutate": 2}, after: calls{"mutate": 1}},
		{name: "SERIALIZABLE, a read in one unit and RMW in two", two: true, options: []func(*txn.Options){serializable},
			run: func(w *world, tx *txn.Tx) {
				read(w, tx, vaultName, 2)
				rmw(w, tx, accountsName, 1)
				rmw(w, tx, vaultName, 1)
			}, answer: calls{"get": 4, "mutate": 3}, after: calls{"mutate": 1}},
		{name: "SERIALIZABLE, a scan and 1 RMW, one unit", options: []func(*txn.Options){serializable},
			run: func(w *world, tx *txn.Tx) {
				_, err := numbers(tx, inBranch())
				w.must(err)
				w.must(tx.Put(ctx, put(accountsName, 1, 1)))
			}, answer: calls{"scan": 2, "mutate": 2}},
		{name: "SERIALIZABLE, a scan, a read of a missing record, another one and a write, one after the other", options: []func(*txn.Options){serializable},
			run: func(w *world, tx *txn.Tx) {
				_, err := numbers(tx, inBranch())
				w.must(err)
				read(w, tx, vaultName, 9)
				read(w, tx, vaultName, 1)
				w.must(tx.Put(ctx, put(accountsName, 1, 1)))
			}, answer: calls{"get": 4, "scan": 2, "mutate": 2}},
		{name: "SERIALIZABLE, two scans and a write: both once more, and again", options: []func(*txn.Options){serializable},
			run: func(w *world, tx *txn.Tx) {
				for _, name := range []model.TableName{accountsName, vaultName} {
					s := inBranch()
					s.Table = name
					_, err := numbers(tx, s)
					w.must(err)
				}
				w.must(tx.Put(ctx, put(accountsName, 1, 1)))
			}, answer: calls{"scan": 6, "mutate": 2}},
		{name: "SERIALIZABLE, a scan and a write, where a page is not read at one moment: twice", options: []func(*txn.Options){serializable},
			memory: memory.Options{NoAtomicScan: true}, run: func(w *world, tx *txn.Tx) {
				_, err := numbers(tx, inBranch())
				w.must(err)
				w.must(tx.Put(ctx, put(accountsName, 1, 1)))
			}, answer: calls{"scan": 3, "mutate": 2}},
		{name: "SNAPSHOT, a scan and 1 write", run: func(w *world, tx *txn.Tx) {
			_, err := numbers(tx, inBranch())
			w.must(err)
			w.must(tx.Put(ctx, put(accountsName, 1, 1)))
		}, answer: calls{"scan": 1, "mutate": 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, worldOptions{two: c.two, memory: c.memory})
			client := w.open(c.options...)
			client.fill(4, accountsName, vaultName)
			_, err := client.Table(ctx, accountsName)
			w.must(err)
			if !c.sync {
				client.hold() // nothing is settled before the answer is counted
			}
			tx := client.begin(c.tx...)
			c.run(w, tx)
			w.must(tx.Commit(ctx))
			answer := client.counted()
			if !c.sync {
				client.release()
			}
			w.must(client.Flush(ctx))
			after := client.take()
			for kind, n := range answer {
				if after[kind] -= n; after[kind] == 0 {
					delete(after, kind)
				}
			}
			if !maps.Equal(answer, c.answer) || !maps.Equal(after, c.after) {
				t.Errorf("calls up to the answer %v, afterwards %v; want %v and %v", answer, after, c.answer, c.after)
			}
		})
	}
}

func TestRecordsOfSeveralTransactionsAreSettledInOneCall(t *testing.T) {
	w := newWorld(t, worldOptions{two: true})
	c := w.open()
	c.fill(20, accountsName, vaultName)
	c.hold()
	for i := 1; i <= 20; i++ {
		tx := c.begin()
		rmw(w, tx, accountsName, i)
		rmw(w, tx, vaultName, i)
		w.must(tx.Commit(ctx))
	}
	before := c.counted()["mutate"]
	c.release()
	w.must(c.Flush(ctx))
	if n := c.take()["mutate"] - before; n > 4 {
		t.Errorf("%d calls settled 20 records", n)
	}
	for i := 1; i <= 20; i++ {
		if r := w.stored(vaultName, i); r["tx_state"] != "3" || r["balance"] != "101" {
			t.Errorf("record %d: %v", i, r)
		}
	}
}

// hold keeps calls that settle records waiting until release.
func (c *client) hold() {
	gate := make(chan struct{})
	c.gate, c.gated = gate, settles
	c.onMutate(func(b storage.Batch, next func() error) error {
		if settles(b) {
			<-gate
			c.mu.Lock()
			c.counts["mutate"]++
			c.mu.Unlock()
		}
		return next()
	})
}

func (c *client) release() { close(c.gate) }

// settles tells a call that settles prepared records and decides nothing.
func settles(b storage.Batch) bool {
	m := b.Mutations[0]
	return !decides(b) && m.Guard.Kind == storage.If && len(m.Guard.Conditions) == 2 && m.Guard.Conditions[1].Value == model.IntValue(1) && m.Guard.Conditions[1].Column == "tx_state"
}

// counted returns the calls so far, those that are held not among them.
func (c *client) counted() calls {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.counts)
}
