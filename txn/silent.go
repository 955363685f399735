package txn

import (
	"context"

	"github.com/stillpoint-db/stillpoint/internal/failpoint"
	"github.com/stillpoint-db/stillpoint/internal/mutant"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

// lookAgain deals with rows whose writers are undecided: it reads them once
// more, and aborts writers that have been silent for too long. It returns the
// rows that are in doubt still.
func (tx *Tx) lookAgain(ctx context.Context, open []*fetched) ([]*fetched, error) {
	if mutant.On("txn.absent-is-aborted") {
		var writes []storage.Mutation
		for _, f := range open {
			writes = append(writes, f.table.settlement(f.key, f.row, record.Decision{State: record.Aborted}))
			f.row, f.before = f.table.Before(f.row), true
		}
		w := tx.m.back.settle(ctx, writes, nil)
		for _, f := range open {
			f.wait = w
		}
		return nil, nil
	}
	live := false
	for _, f := range open {
		if !tx.leased(f.row, f.table) {
			continue
		}
		if !tx.readOnly || tx.iso != Snapshot {
			return nil, tx.conflict("read", "the record "+f.String()+" is being written by transaction "+f.table.WriterID(f.row), nil)
		}
		live = true
	}
	again, err := tx.reread(ctx, open)
	if err != nil {
		return nil, err
	}
	var doubtful, expired []*fetched
	for _, f := range again {
		switch {
		case !f.same:
			doubtful = append(doubtful, f.fetched)
		case live && tx.leased(f.row, f.table):
			// Undecided after the record was read, and still there: the
			// version before was the committed one in between.
			f.row, f.before = f.table.Before(f.row), true
		default:
			expired = append(expired, f.fetched)
		}
	}
	rest, err := tx.expire(ctx, expired)
	return append(doubtful, rest...), err
}

// seenAgain is a row in doubt that has been read once more.
type seenAgain struct {
	*fetched
	same bool // still the same writer's
}

// reread reads rows once more and drops those that are in doubt no longer.
func (tx *Tx) reread(ctx context.Context, open []*fetched) ([]seenAgain, error) {
	fresh := make([]fetched, len(open))
	for i, f := range open {
		fresh[i] = fetched{table: f.table, key: f.key}
	}
	failpoint.Here("txn.resolve.reread")
	if err := tx.m.fetchRaw(ctx, fresh); err != nil {
		return nil, err
	}
	var out []seenAgain
	for i, f := range open {
		row := fresh[i].row
		if row == nil || f.table.IsCommitted(row) {
			f.row, f.before = row, false
			f.clean = row != nil && !f.table.HasBefore(row)
			continue
		}
		same := f.table.WriterID(row) == f.table.WriterID(f.row)
		f.row, f.doubt = row, row
		out = append(out, seenAgain{f, same})
	}
	return out, nil
}

// expire aborts silent writers, by the one row that makes it true for everybody,
// and looks at the records again afterwards.
func (tx *Tx) expire(ctx context.Context, expired []*fetched) ([]*fetched, error) {
	if len(expired) == 0 {
		return nil, nil
	}
	for _, f := range expired {
		id := f.table.WriterID(f.row)
		if _, known := tx.m.fates.get(id); known {
			continue
		}
		failpoint.Here("txn.expire.before")
		d, err := tx.m.coord.abort(ctx, id)
		if err != nil {
			return nil, err
		}
		failpoint.Here("txn.expire.after")
		tx.m.fates.put(id, d, nil)
	}
	again, err := tx.reread(ctx, expired)
	if err != nil {
		return nil, err
	}
	doubtful := make([]*fetched, 0, len(again))
	for _, f := range again {
		doubtful = append(doubtful, f.fetched) // resolved by the next pass, by the fates now known
	}
	return doubtful, nil
}

// settleSilent settles, behind the answer, a record whose writer has been silent
// for too long.
func (m *Manager) settleSilent(t *table, key model.Key, row *model.Row) {
	m.back.do(func(ctx context.Context) error {
		helper := &Tx{m: m, iso: Snapshot, id: "recovery"}
		return helper.decideAll(ctx, []*fetched{{table: t, key: key, row: row, doubt: row}})
	})
}
