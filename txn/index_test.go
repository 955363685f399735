package txn_test

import (
	"slices"
	"testing"

	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/txn"
)

// hides has a write to an account under way while some scans of the client are made,
// which are counted from 1, and has another process take it back right after each.
func (c *client) hides(other *client, no int, set []txn.Set, during ...int) {
	scans := 0
	c.onScan(func(next func() (storage.Page, error)) (storage.Page, error) {
		if scans++; !slices.Contains(during, scans) {
			return next()
		}
		id := leavePrepared(c, func(tx *txn.Tx) error { return tx.Put(ctx, txn.Write{Table: accountsName, Key: at(no), Set: set}) })
		page, err := next()
		_, aborted := other.Abort(ctx, id)
		c.w.must(aborted)
		other.balanceOf(accountsName, no) // takes the write back
		c.w.must(other.Flush(ctx))
		return page, err
	})
}

// A write under way moves a record from the index to that of the before column, and
// back when it is undone: at no moment is it in neither, so one that looks at both
// at once finds it.
func TestAWriteThatIsTakenBackHidesNoRecordFromAnIndexScan(t *testing.T) {
	for _, iso := range []txn.Isolation{txn.Snapshot, txn.Serializable, txn.ReadCommitted} {
		t.Run(iso.String(), func(t *testing.T) {
			w := newWorld(t, worldOptions{})
			c, other := w.open(func(o *txn.Options) { o.Isolation = iso }), w.open()
			c.fill(3, accountsName)
			c.hides(other, 2, owner("bob"), 1)
			tx := c.begin()
			got, err := numbers(tx, byOwner("ann"))
			if err != nil || !slices.Equal(got, []int64{1, 2, 3}) {
				t.Errorf("the index returned %v, %v", got, err)
			}
			w.must(tx.Rollback(ctx))
		})
	}
}
