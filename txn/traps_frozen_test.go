package txn_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/txn"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

// trapFrozen freezes a writer between its
// preparation and its decision, or while the decision gets lost; the databases are
// restored meanwhile to a moment before the preparation, so that nothing in them
// tells of the transaction. Whatever it does when it goes on, not one half of it
// may be written.
func trapFrozen(t testing.TB) {
	for setup, change := range map[string][]func(*txn.Options){"fused": nil, "textbook": {textbook}, "serializable": {serializable}} {
		for _, when := range []string{"prepared", "decision lost"} {
			w := newWorld(t, worldOptions{two: true})
			c := w.open(append(change, func(o *txn.Options) { o.Parallelism = 1 })...) // the vault is prepared last
			c.fill(2, accountsName, vaultName)
			restored := false
			restore := func() {
				restored = true
				w.advance(10 * time.Second)
				for _, name := range []model.TableName{accountsName, vaultName} {
					w.undo(name)
				}
			}
			c.onMutate(func(b storage.Batch, next func() error) error {
				switch {
				case restored:
				case commits(b) && when == "decision lost":
					restore()
					return storage.UnknownError("a", errStop)
				case !touches(b, stateName) && when == "prepared":
					err := next()
					if touches(b, vaultName) {
						restore()
					}
					return err
				}
				return next()
			})
			tx := c.begin()
			err := c.transfer(tx, accountsName, vaultName)
			w.must(c.Flush(ctx))
			if err == nil || errors.Is(err, model.ErrUnknownOutcome) {
				t.Errorf("%s, %s: Commit says %v", setup, when, err)
			}
			if a, b := c.balanceOf(accountsName, 1), c.balanceOf(vaultName, 2); !restored || a != 100 || b != 100 {
				t.Errorf("%s, %s: restored %v, balances %d and %d", setup, when, restored, a, b)
			}
		}
	}
}

// undo makes every record of a table what it was before the write that is under
// way in it, and leaves the Coordinator's table alone: what a restore does to the
// work of somebody who came after the backup.
func (w *world) undo(name model.TableName) {
	w.t.Helper()
	layout, err := record.NewLayout(physical(name))
	w.must(err)
	page, err := w.store.Scan(ctx, storage.Scan{Table: layout.Physical, Kind: storage.ScanTable})
	w.must(err)
	for _, row := range page.Rows {
		before := layout.Before(row)
		m := storage.Mutation{Kind: storage.Put, Table: layout.Physical, Key: row.Key()}
		for i, col := range layout.Physical.Columns()[layout.Physical.KeyLen():] {
			m.Set = append(m.Set, storage.Assignment{Column: col.Name, Value: before.Values[layout.Physical.KeyLen()+i]})
		}
		w.must(w.store.Mutate(ctx, storage.Batch{Mutations: []storage.Mutation{m}}))
	}
}
