package txn_test

import (
	"slices"
	"testing"

	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/txn"
)

// A write under way moves a record from the index to that of the before column, and
// back when it is undone: at no moment is it in neither, so one that looks at both
// at once finds it.
func TestAWriteThatIsTakenBackHidesNoRecordFromAnIndexScan(t *testing.T) {
	for _, iso := range []txn.Isolation{txn.Snapshot, txn.Serializable, txn.ReadCommitted} {
		t.Run(iso.String(), func(t *testing.T) {
			w := newWorld(t, worldOptions{})
			c, other := w.open(func(o *txn.Options) { o.Isolation = iso }), w.open()
			c.fill(3, accountsName)
			scans := 0
			c.onScan(func(next func() (storage.Page, error)) (storage.Page, error) {
				if scans++; scans > 1 {
					return next()
				}
				id := leavePrepared(c, func(tx *txn.Tx) error {
					return tx.Put(ctx, txn.Write{Table: accountsName, Key: at(2), Set: owner("bob")})
				})
				page, err := next()
				_, aborted := other.Abort(ctx, id)
				w.must(aborted)
				other.balanceOf(accountsName, 2) // takes the write back
				w.must(other.Flush(ctx))
				return page, err
			})
			tx := c.begin()
			got, err := numbers(tx, byOwner("ann"))
			if err != nil || !slices.Equal(got, []int64{1, 2, 3}) {
				t.Errorf("the index returned %v, %v", got, err)
			}
			w.must(tx.Rollback(ctx))
		})
	}
}
