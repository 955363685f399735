package txn

import (
	"context"
	"slices"

	"github.com/stillpoint-db/stillpoint/internal/failpoint"
	"github.com/stillpoint-db/stillpoint/internal/mutant"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

// fetched is a stored row on its way to being understood.
type fetched struct {
	table *table
	key   model.Key
	entry *entry

	row    *model.Row // as stored; after resolve: as committed, nil if absent
	placed *model.Row // of a scan: the row that the storage has put in its place
	clean  bool       // as stored it was committed, its before columns NULL
	before bool       // the version before a write that is undecided or aborted was taken
	doubt  *model.Row // the stored row, if it was in doubt
	wait   *wait      // the record is being settled
}

// passes bounds how often a record that changes under the reader's eyes is
// looked at again.
const passes = 5

// resolve turns stored rows into committed ones. Rows of decided transactions
// become what the decision makes of them, and are settled in the database behind
// the answer; silent writers are aborted; a live one is a conflict.
//
// The order is what makes it right: the record has been read before the
// Coordinator's table is asked, so a writer that is found undecided had not
// committed when the record was read; and before that is taken for the truth the
// record is read once more, because the row of a writer that had finished may
// have been removed.
func (tx *Tx) resolve(ctx context.Context, fs []fetched) error {
	var doubtful []*fetched
	for i := range fs {
		f := &fs[i]
		if f.row == nil {
			continue
		}
		f.clean = f.table.IsCommitted(f.row) && !f.table.HasBefore(f.row)
		if !f.table.IsCommitted(f.row) {
			f.doubt = f.row
			doubtful = append(doubtful, f)
		}
	}
	if len(doubtful) == 0 {
		return nil
	}
	if tx.iso == ReadCommitted {
		tx.takeBefore(doubtful)
		return nil
	}
	return tx.decideAll(ctx, doubtful)
}

// decideAll finds out about writers until no row is in doubt.
func (tx *Tx) decideAll(ctx context.Context, doubtful []*fetched) error {
	for range passes {
		if err := tx.askCoordinator(ctx, doubtful); err != nil {
			return err
		}
		open, err := tx.applyKnown(ctx, doubtful)
		if err != nil || len(open) == 0 {
			return err
		}
		if doubtful, err = tx.lookAgain(ctx, open); err != nil || len(doubtful) == 0 {
			return err
		}
	}
	return tx.conflict("read", "the record "+doubtful[0].String()+" is being changed too often", nil)
}

// String names the record for people.
func (f *fetched) String() string { return f.table.User.Name().String() + " " + f.key.String() }

// takeBefore gives ReadCommitted the version before, or the one after if the
// decision happens to be known here. The records are left for a write to them,
// or for another reader, to settle.
func (tx *Tx) takeBefore(doubtful []*fetched) {
	for _, f := range doubtful {
		if d, ok := tx.m.fates.get(f.table.WriterID(f.row)); ok {
			f.row, f.before = f.table.Settle(f.row, d.Decision), d.State != record.Committed
			f.wait = d.settling.running()
			continue
		}
		f.row, f.before = f.table.Before(f.row), true
		if !tx.readOnly && !tx.leased(f.doubt, f.table) {
			tx.m.settleSilent(f.table, f.key, f.doubt)
		}
	}
}

// askCoordinator learns the fates of the writers that are not known yet, in one
// call.
func (tx *Tx) askCoordinator(ctx context.Context, doubtful []*fetched) error {
	var ids []string
	for _, f := range doubtful {
		id := f.table.WriterID(f.row)
		if _, known := tx.m.fates.get(id); !known && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	failpoint.Here("txn.resolve.ask")
	ds, err := tx.m.coord.readAll(ctx, ids)
	if err != nil {
		return err
	}
	for i, id := range ids {
		tx.m.fates.put(id, ds[i], nil)
	}
	return nil
}

// applyKnown resolves the rows whose writers' fates are known, and returns the
// others.
func (tx *Tx) applyKnown(ctx context.Context, doubtful []*fetched) (open []*fetched, err error) {
	var writes []storage.Mutation
	var settling []*fetched
	for _, f := range doubtful {
		id := f.table.WriterID(f.row)
		d, known := tx.m.fates.get(id)
		if !known {
			open = append(open, f)
			continue
		}
		if f.wait = d.settling.running(); f.wait == nil {
			writes = append(writes, f.table.settlement(f.key, f.row, d.Decision))
			settling = append(settling, f)
		}
		f.row, f.before = f.table.Settle(f.row, d.Decision), d.State != record.Committed
	}
	if len(writes) > 0 {
		w := tx.m.back.settle(ctx, writes, nil)
		for _, f := range settling {
			f.wait = w
		}
	}
	return open, nil
}

// settlement makes the write that settles a record of a decided transaction.
func (t *table) settlement(key model.Key, row *model.Row, d record.Decision) storage.Mutation {
	id, state := t.WriterID(row), t.State(row)
	if d.State == record.Committed {
		return t.rollForward(key, id, state, d.At, true)
	}
	return t.rollBack(key, id, state, t.Before(row))
}

// leased tells whether the writer of a record in doubt may still be at work.
func (tx *Tx) leased(row *model.Row, t *table) bool { return tx.m.leased(t, row) }

func (m *Manager) leased(t *table, row *model.Row) bool {
	if mutant.On("txn.no-lease") {
		return false
	}
	return m.opts.Now().UnixMilli() <= t.PreparedAt(row)+m.opts.Lease.Milliseconds()
}
