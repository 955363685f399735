package txntest_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage/faulty"
	"github.com/stillpoint-db/stillpoint/storage/memory"
	"github.com/stillpoint-db/stillpoint/txn"
	"github.com/stillpoint-db/stillpoint/txn/txntest"
)

// TestRecordThatComesAndGoesIsAConflict: a scan does not find a record, a read
// then finds it, and it is deleted again while the commit validates both: the
// scan, made again after the deletion, returns what it did at first, and yet
// there is no moment at which both were true.
func TestRecordThatComesAndGoesIsAConflict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		inner, err := several(inMemory(memory.Options{})).Open(ctx)
		if err != nil {
			t.Fatal(err)
		}
		table := model.TableName{Namespace: "w0", Name: "t"}
		if err := txntest.Create(ctx, inner, table); err != nil {
			t.Fatal(err)
		}
		key := model.Key{Partition: []model.Value{model.IntValue(1)}, Clustering: []model.Value{model.IntValue(1)}}
		other, err := txn.Open(ctx, inner, txn.Defaults())
		if err != nil {
			t.Fatal(err)
		}
		change := func(f func(tx *txn.Tx) error) {
			t.Helper()
			tx, err := other.Begin(ctx, txn.TxOptions{})
			if err == nil {
				err = errors.Join(f(tx), tx.Commit(ctx))
			}
			if err != nil {
				t.Error(err)
			}
		}
		s := faulty.New(inner, 1)
		s.Add(faulty.Delay(time.Second).On(faulty.Scan).Nth(2)) // that of the validation
		m, err := txn.Open(ctx, s, txn.Options{Isolation: txn.Serializable})
		if err != nil {
			t.Fatal(err)
		}
		tx, err := m.Begin(ctx, txn.TxOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for row, err := range tx.Scan(ctx, txn.Scan{Table: table, Partition: key.Partition}) {
			t.Fatal(row, err)
		}
		change(func(tx *txn.Tx) error { return tx.Insert(ctx, txn.Write{Table: table, Key: key}) })
		row, err := tx.Get(ctx, table, key)
		if err != nil || row == nil {
			t.Fatal(row, err)
		}
		committed := make(chan error, 1)
		go func() { committed <- tx.Commit(ctx) }()
		time.Sleep(time.Second / 2)
		change(func(tx *txn.Tx) error { return tx.Delete(ctx, txn.Write{Table: table, Key: key}) })
		if err := <-committed; !errors.Is(err, model.ErrConflict) {
			t.Errorf("Commit returned %v", err)
		}
		for _, m := range []*txn.Manager{m, other} {
			if err := m.Close(ctx); err != nil {
				t.Error(err)
			}
		}
	})
}
