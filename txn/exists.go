package txn

import (
	"context"
	"errors"

	"github.com/stillpoint-db/stillpoint/model"
)

// reallyExists judges the error of an insert that has met a row. That a row is
// stored says little: it may be an insert that is being taken back, of an earlier
// attempt of the same program even, or a deletion that is decided and not settled
// yet. Such a row is settled, as its reader would do it, and the error becomes a
// plain conflict, after which another attempt helps.
func (tx *Tx) reallyExists(ctx context.Context, err error) error {
	e := tx.met
	if e == nil || !errors.Is(err, model.ErrExists) {
		return err
	}
	passing := func(cause error) error {
		return tx.conflict("commit", "another transaction was writing the row to insert, "+e.String(), cause)
	}
	fs := [1]fetched{{table: e.table, key: e.key}}
	f := &fs[0]
	if cause := tx.m.fetchRaw(ctx, fs[:]); cause != nil {
		return passing(cause)
	}
	if f.row != nil && !e.table.IsCommitted(f.row) {
		f.doubt = f.row
		if cause := tx.decideAll(ctx, []*fetched{f}); cause != nil {
			return passing(cause)
		}
	}
	if f.row != nil {
		return err
	}
	if f.wait != nil {
		_ = tx.await(ctx, f.wait) // the transaction is over; this is for the next one
	}
	return passing(nil)
}
