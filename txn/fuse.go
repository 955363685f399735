package txn

import (
	"context"
	"errors"

	"github.com/stillpoint-db/stillpoint/internal/mutant"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

// lastResource finds the group that needs no preparation, because the
// Coordinator's row is in its atomic unit: its records are written as committed
// in the same call as the row, after all others are prepared. Under Serializable
// that is right only if no read has to be validated before the decision: each is
// guarded by a write, or held still in that call. Otherwise two such
// transactions could each pass validation before seeing the other's write.
func (tx *Tx) lastResource(groups []*group) (last *group, checks []storage.Mutation, ok bool) {
	unit := tx.m.coordUnit(tx.id)
	checks, ok = tx.lockedChecks(unit)
	if !ok {
		return nil, nil, false
	}
	for _, g := range groups {
		if g.unit == unit && g.room(len(checks)+1) {
			last = g
		}
	}
	return last, checks, last != nil
}

func (m *Manager) coordUnit(id string) storage.Unit {
	return m.store.Unit(m.coord.table.Name(), key(id))
}

// commitFused prepares all groups but the last, and then writes the last one's
// records and the COMMITTED row in one atomic call.
func (tx *Tx) commitFused(ctx context.Context, groups []*group, last *group, checks []storage.Mutation) error {
	tx.path = "fused"
	prepared := without(groups, last)
	begun := tx.m.opts.Now()
	preparedAt := begun.UnixMilli()
	if err := tx.prepare(ctx, prepared, preparedAt); err != nil {
		return tx.abort(ctx, prepared, err)
	}
	now := max(tx.m.opts.Now().UnixMilli(), preparedAt)
	if mutant.On("txn.commit-before-coordinator") {
		tx.settleRecords(ctx, prepared, record.Decision{State: record.Committed, At: now})
	}
	muts := withChecks(last.batch(func(e *entry) storage.Mutation { return e.final(tx.id, preparedAt, now) }), checks)
	muts, at := withDecision(muts, tx.m.coord.row(tx.id, record.Committed, now))
	v := tx.decide(ctx, storage.Batch{Mutations: muts}, at, last.entries, now, &preparation{prepared, begun})
	return tx.carryOut(ctx, v, prepared)
}

// carryOut settles the prepared records as the verdict says, and returns what
// Commit returns.
func (tx *Tx) carryOut(ctx context.Context, v verdict, prepared []*group) error {
	switch {
	case v.err == nil:
		tx.settleRecords(ctx, prepared, v.decision)
		return nil
	case errors.Is(v.err, model.ErrUnknownOutcome):
		return v.err // the records stay prepared: nobody knows yet
	case v.decision.State == record.Aborted:
		tx.settleRecords(ctx, prepared, v.decision)
		return v.err
	}
	return tx.abort(ctx, prepared, v.err)
}

func without(groups []*group, one *group) []*group {
	if len(groups) == 1 && groups[0] == one {
		return nil
	}
	out := make([]*group, 0, len(groups))
	for _, g := range groups {
		if g != one {
			out = append(out, g)
		}
	}
	return out
}
