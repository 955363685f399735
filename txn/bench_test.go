package txn_test

import (
	"context"
	"testing"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/txn"
)

// nullStorage answers at once and allocates next to nothing, so that what is
// measured is this package.
type nullStorage struct {
	storage.Storage
	rows [2][]*model.Row // the Coordinator's never; the account's always
}

func (s *nullStorage) Get(_ context.Context, gets []storage.Get) ([]*model.Row, error) {
	return s.rows[len(gets)], nil
}

func (s *nullStorage) Mutate(context.Context, storage.Batch) error { return nil }

func (s *nullStorage) Unit(model.TableName, model.Key) storage.Unit {
	return storage.Unit{Storage: "null"}
}

// oneRMW opens a manager over a storage that costs nothing, and returns a
// transaction to repeat.
func oneRMW(t testing.TB, change ...func(*txn.Options)) func() {
	w := newWorld(t, worldOptions{})
	c := w.open()
	c.fill(1, accountsName)
	table := physical(accountsName)
	rows, err := w.store.Get(ctx, []storage.Get{{Table: table, Key: at(1)}})
	w.must(err)
	null := &nullStorage{Storage: w.store}
	null.rows[1] = rows
	o := txn.Defaults()
	for _, f := range change {
		f(&o)
	}
	m, err := txn.Open(ctx, null, o)
	w.must(err)
	key, set := at(1), balance(1)
	return func() {
		tx, err := m.Begin(ctx, txn.TxOptions{})
		w.must(err)
		row, err := tx.Get(ctx, accountsName, key)
		w.must(err)
		set[0].Value = model.BigIntValue(row.Values[3].Int64() + 1)
		w.must(tx.Put(ctx, txn.Write{Table: accountsName, Key: key, Set: set}))
		w.must(tx.Commit(ctx))
	}
}

// The gate on allocations of one read-modify-write, storage not counted.
func TestAllocationsOfATransaction(t *testing.T) {
	for name, c := range map[string]struct {
		change []func(*txn.Options)
		most   float64
	}{
		"one-phase":    {nil, 16},
		"fused":        {[]func(*txn.Options){noOnePhase}, 20},
		"serializable": {[]func(*txn.Options){serializable}, 16},
	} {
		run := oneRMW(t, c.change...)
		if got := testing.AllocsPerRun(200, run); got > c.most {
			t.Errorf("%s: %.0f allocations, at most %.0f are allowed", name, got, c.most)
		} else {
			t.Logf("%s: %.0f allocations", name, got)
		}
	}
}

func BenchmarkRMWOnePhase(b *testing.B) { benchmark(b) }

func BenchmarkRMWFused(b *testing.B) { benchmark(b, noOnePhase) }

func BenchmarkRMWTextbook(b *testing.B) { benchmark(b, textbook, synchronous) }

func benchmark(b *testing.B, change ...func(*txn.Options)) {
	run := oneRMW(b, change...)
	b.ReportAllocs()
	for b.Loop() {
		run()
	}
}

// BenchmarkRMWOnMemory counts the in-memory storage too.
func BenchmarkRMWOnMemory(b *testing.B) {
	w := newWorld(b, worldOptions{})
	c := w.open()
	c.fill(1, accountsName)
	m, err := txn.Open(ctx, w.store, txn.Defaults())
	w.must(err)
	b.ReportAllocs()
	for b.Loop() {
		tx, err := m.Begin(ctx, txn.TxOptions{})
		w.must(err)
		row, err := tx.Get(ctx, accountsName, at(1))
		w.must(err)
		w.must(tx.Put(ctx, put(accountsName, 1, row.Get("balance").Int64()+1)))
		w.must(tx.Commit(ctx))
	}
}
