package txn

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/stillpoint-db/stillpoint/internal/failpoint"
	"github.com/stillpoint-db/stillpoint/internal/mutant"
	"github.com/stillpoint-db/stillpoint/storage"
)

// afterwards is how long a transaction goes on, when its caller's context has
// ended, to learn or to settle what it has begun.
const afterwards = 5 * time.Second

// onePhase tells whether the transaction can be written in one step, as
// committed, without a row in the Coordinator's table: if all its records are
// one atomic unit, and what must be validated can be held still in the same
// call.
func (tx *Tx) onePhase(groups []*group) (checks []storage.Mutation, ok bool) {
	if !tx.m.opts.OnePhaseCommit || len(groups) != 1 {
		return nil, false
	}
	checks, ok = tx.lockedChecks(groups[0].unit)
	return checks, ok && groups[0].room(len(checks))
}

// commitOnePhase writes all records as committed in one atomic call: it decides
// the transaction and carries it out.
func (tx *Tx) commitOnePhase(ctx context.Context, g *group, checks []storage.Mutation) error {
	tx.path = "one-phase"
	now := tx.m.opts.Now().UnixMilli()
	batch := storage.Batch{Mutations: withChecks(g.batch(func(e *entry) storage.Mutation { return e.final(tx.id, now, now) }), checks)}
	start := tx.clock(tx.m.opts.Hooks.CommitPoint)
	err := tx.writeOnce(ctx, g, batch)
	tx.hook(tx.m.opts.Hooks.CommitPoint, start, len(g.entries), err)
	return err
}

// writeOnce sends the batch, and when the answer is lost finds out what became of
// it: by its traces, or by sending it again where that is harmless.
func (tx *Tx) writeOnce(ctx context.Context, g *group, batch storage.Batch) error {
	lost := false
	for i := 0; ; i++ {
		failpoint.Here("txn.one-phase.before")
		err := tx.m.mutate(ctx, batch)
		failpoint.Here("txn.one-phase.after")
		switch storage.OutcomeOf(err) {
		case storage.Applied:
			return nil
		case storage.Unknown:
			lost = true
			if mutant.On("txn.unknown-is-failed") {
				return tx.conflict("commit", "", nil)
			}
		default:
			if !lost {
				return tx.notWritten("commit", g.entries, err)
			}
		}
		if tx.traceOf(ctx, g) {
			return nil
		}
		if storage.OutcomeOf(err) == storage.ConditionFailed || !g.repeatable() || i+1 == attempts || ctx.Err() != nil || tx.m.opts.Sleep(ctx, pause(i)) != nil {
			return tx.unknown(err, g.whereToLook(tx.id))
		}
	}
}

// traceOf tells whether a record of the group shows that the whole group has been
// written: one is enough, the call being atomic. That none does proves nothing.
func (tx *Tx) traceOf(ctx context.Context, g *group) bool {
	ctx, cancel := tx.detached(ctx)
	defer cancel()
	var fs []fetched
	for _, e := range g.entries {
		if e.kind == writePut {
			fs = append(fs, fetched{table: e.table, key: e.key})
		}
	}
	if len(fs) == 0 || tx.m.fetchRaw(ctx, fs) != nil {
		return false
	}
	for i := range fs {
		if f := &fs[i]; f.row != nil && f.table.holds(f.row, tx.id) {
			return true
		}
	}
	return false
}

// repeatable tells whether sending the group again is harmless even if the first
// one arrives later: if each guard names a version that never comes back. "There
// is no row" may become true again.
func (g *group) repeatable() bool {
	return !slices.ContainsFunc(g.entries, func(e *entry) bool { return e.insert || e.base == nil })
}

// whereToLook says how to learn the outcome of a transaction that has no row in
// the Coordinator's table.
func (g *group) whereToLook(id string) string {
	for _, e := range g.entries {
		if e.kind == writePut {
			return fmt.Sprintf("It was written in one step, so the Coordinator does not know it: it is committed if tx_id of %s is %s", e, id)
		}
	}
	return "It was written in one step and only deletes: it is committed if its records are gone"
}
