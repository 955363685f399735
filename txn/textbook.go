package txn

import (
	"context"

	"github.com/stillpoint-db/stillpoint/internal/mutant"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

// commitTextbook prepares every group, validates what was read, and then decides.
// If a group is in the Coordinator's atomic unit, its records are settled in the
// same call as the COMMITTED row.
func (tx *Tx) commitTextbook(ctx context.Context, groups []*group) error {
	tx.path = "textbook"
	begun := tx.m.opts.Now()
	preparedAt := begun.UnixMilli()
	if err := tx.prepare(ctx, groups, preparedAt); err != nil {
		return tx.abort(ctx, groups, err)
	}
	if tx.mustValidate() {
		if err := tx.validate(ctx); err != nil {
			return tx.abort(ctx, groups, err)
		}
	}
	now := max(tx.m.opts.Now().UnixMilli(), preparedAt)
	rest := groups
	muts := mutations(0)
	var entries []*entry
	if near := tx.near(groups); near != nil {
		tx.path = "merged"
		rest, entries = without(groups, near), near.entries
		muts = near.batch(func(e *entry) storage.Mutation { return e.commit(tx.id, now) })
	}
	if mutant.On("txn.commit-before-coordinator") {
		tx.settleRecords(ctx, groups, record.Decision{State: record.Committed, At: now})
	}
	muts, at := withDecision(muts, tx.m.coord.row(tx.id, record.Committed, now))
	v := tx.decide(ctx, storage.Batch{Mutations: muts}, at, entries, now, &preparation{groups, begun})
	if v.err != nil {
		rest = groups
	}
	return tx.carryOut(ctx, v, rest)
}

// near finds the group whose records can be settled together with the decision.
func (tx *Tx) near(groups []*group) *group {
	if tx.m.opts.Schedule == Textbook {
		return nil
	}
	unit := tx.m.coordUnit(tx.id)
	for _, g := range groups {
		if g.unit == unit && g.room(1) {
			return g
		}
	}
	return nil
}
