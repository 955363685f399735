package txn

import (
	"context"

	"github.com/stillpoint-db/stillpoint/internal/failpoint"
	"github.com/stillpoint-db/stillpoint/internal/mutant"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

// verdict is how the deciding call ended.
type verdict struct {
	decision record.Decision // Committed, Aborted, or 0: not decided by it, and never to be
	err      error           // why it is not committed; nil if it is
}

// decide sends the call with the COMMITTED row in it, whose place in the batch is
// at, and finds out what became of the transaction. The call is guarded by "not
// decided yet", so it may be sent again after a lost answer; it may then meet its
// own row.
//
// An error of class model.ErrUnknownOutcome means that it could not be found
// out; every other one that the transaction is not committed.
func (tx *Tx) decide(ctx context.Context, batch storage.Batch, at int, entries []*entry, now int64, p *preparation) verdict {
	start := tx.clock(tx.m.opts.Hooks.CommitPoint)
	v := tx.trySeveralTimes(ctx, batch, at, entries, now, p)
	tx.hook(tx.m.opts.Hooks.CommitPoint, start, len(entries), v.err)
	return v
}

func (tx *Tx) trySeveralTimes(ctx context.Context, batch storage.Batch, at int, entries []*entry, now int64, p *preparation) verdict {
	lost := false
	for i := 0; ; i++ {
		if err := tx.stillPrepared(ctx, p); err != nil {
			if lost {
				return tx.forceDecision(ctx, err, err, now)
			}
			return verdict{err: err}
		}
		failpoint.Here("txn.decide.before")
		err := tx.m.store.Mutate(ctx, batch)
		failpoint.Here("txn.decide.after")
		outcome := storage.OutcomeOf(err)
		switch outcome {
		case storage.Applied:
			return verdict{decision: record.Decision{State: record.Committed, At: now}}
		case storage.Refused:
			if lost {
				return tx.forceDecision(ctx, err, tx.notWritten("commit", entries, err), now)
			}
			return verdict{err: tx.notWritten("commit", entries, err)}
		case storage.ConditionFailed:
			if failedAt(err) != at && !lost {
				return verdict{err: tx.notWritten("commit", entries, err)}
			}
		case storage.Unknown:
			lost = true
			if mutant.On("txn.unknown-is-failed") {
				return verdict{err: tx.conflict("commit", "", nil)}
			}
		}
		if outcome != storage.NotApplied || lost {
			if v, known := tx.metRow(ctx, err, entries, lost, outcome == storage.ConditionFailed, now); known {
				return v
			}
		}
		if i+1 == attempts || ctx.Err() != nil || tx.m.opts.Sleep(ctx, pause(i)) != nil {
			if lost {
				return tx.forceDecision(ctx, err, nil, now)
			}
			return verdict{err: tx.notWritten("commit", entries, err)}
		}
	}
}

// metRow looks at the row that the deciding call may have met, or written. It
// tells false if that could not be found out, or if nothing is decided and the
// call may be sent again.
func (tx *Tx) metRow(ctx context.Context, cause error, entries []*entry, lost, refused bool, now int64) (verdict, bool) {
	ctx, cancel := tx.detached(ctx)
	defer cancel()
	d, err := tx.m.coord.read(ctx, tx.id)
	switch {
	case err != nil && refused && !lost:
		return verdict{err: tx.unknown(err, "Ask later: stillpoint tx state "+tx.id)}, true
	case err != nil:
		return verdict{}, false
	case d.State == record.Committed && d.At == now && !mutant.On("txn.own-row-is-conflict"):
		return verdict{decision: d}, true // its own, of an attempt whose answer was lost
	case d.State == record.Committed:
		return verdict{decision: d, err: tx.misuse("commit", "its id was used before; ids must never be used twice")}, true
	case d.State == record.Aborted:
		if mutant.On("txn.ignore-late-abort") {
			return verdict{decision: record.Decision{State: record.Committed, At: now}}, true
		}
		return verdict{decision: d, err: tx.conflict("commit", "another transaction has aborted it, because it was silent for too long", nil)}, true
	case refused && lost:
		return tx.forceDecision(ctx, cause, tx.notWritten("commit", entries, cause), now), true
	case refused:
		return verdict{err: tx.notWritten("commit", entries, cause)}, true
	}
	return verdict{}, false
}

// forceDecision ends the uncertainty about a call whose answers were lost, by
// deciding for an abort unless the call has been applied: a late arrival of it
// then finds the transaction decided. Only where that gets no answer either is
// the outcome unknown. reason, if not nil, is why it was going to fail anyway: a
// lost attempt that arrives between that finding and the abort commits it still.
func (tx *Tx) forceDecision(ctx context.Context, cause, reason error, now int64) verdict {
	ctx, cancel := tx.detached(ctx)
	defer cancel()
	failpoint.Here("txn.decide.force")
	d, err := tx.m.coord.putAborted(ctx, tx.id)
	switch {
	case err == nil && d.State == record.Committed && d.At == now:
		return verdict{decision: d}
	case err == nil && d.State == record.Aborted && reason != nil:
		return verdict{decision: d, err: reason}
	case err == nil && d.State == record.Aborted:
		return verdict{decision: d, err: tx.failed("commit", model.ErrUnavailable, "a database did not answer, and the transaction is aborted: "+cause.Error(), nil)}
	}
	return verdict{err: tx.unknown(cause, "Ask later: stillpoint tx state "+tx.id+" (it is settled at the latest when another transaction meets its records)")}
}
