package txn

import (
	"context"

	"github.com/stillpoint-db/stillpoint/txn/record"
)

// fetchReversed is fetch with the Coordinator's table asked before the record is
// read: wrong, and there to show that it is.
func (tx *Tx) fetchReversed(ctx context.Context, fs []fetched) error {
	if err := tx.m.fetchRaw(ctx, fs); err != nil {
		return err
	}
	early := make([]*record.Decision, len(fs))
	for i := range fs {
		f := &fs[i]
		if f.row == nil || f.table.IsCommitted(f.row) {
			continue
		}
		id := f.table.WriterID(f.row)
		asked, ok := tx.m.asked.Load(id)
		if !ok {
			d, err := tx.m.coord.read(ctx, id)
			if err != nil {
				return err
			}
			tx.m.asked.Store(id, d)
			asked = d
		}
		d := asked.(record.Decision)
		early[i] = &d
	}
	if err := tx.m.fetchRaw(ctx, fs); err != nil {
		return err
	}
	for i := range fs {
		if f := &fs[i]; f.row != nil && early[i] != nil {
			f.row = f.table.Settle(f.row, *early[i])
		}
	}
	return tx.resolve(ctx, fs)
}
