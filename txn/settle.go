package txn

import (
	"context"
	"log/slog"

	"github.com/stillpoint-db/stillpoint/internal/failpoint"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

// settleRecords settles the prepared records of the transaction, whose fate is
// d: behind the answer if Options.AsyncCommit, else before it, as well as it
// can. What it cannot do the next reader does.
func (tx *Tx) settleRecords(ctx context.Context, groups []*group, d record.Decision) {
	var writes []storage.Mutation
	for _, g := range groups {
		for _, e := range g.entries {
			if d.State == record.Committed {
				writes = append(writes, e.commit(tx.id, d.At))
			} else {
				writes = append(writes, e.rollback(tx.id))
			}
		}
	}
	if len(writes) == 0 {
		return
	}
	failpoint.Here("txn.records.before")
	defer failpoint.Here("txn.records.after")
	if !tx.m.opts.AsyncCommit {
		tx.m.fates.put(tx.id, d, nil)
		// The transaction is decided: its caller's hurry must not leave the
		// records to others.
		ctx, cancel := tx.detached(ctx)
		defer cancel()
		_ = tx.m.back.write(ctx, writes)
		return
	}
	ctx, cancel := tx.detached(ctx)
	defer cancel()
	tx.m.back.settle(ctx, writes, func(w *wait) { tx.m.fates.put(tx.id, d, w) })
}

// detached makes the context of what must be done after the caller's context has
// ended: it lives on for a moment.
func (tx *Tx) detached(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), afterwards)
}

// abort ends a transaction that failed before its decision. If nothing of it can
// be in the database, nothing has to be done. Otherwise the decision is written
// first, because a write whose answer was lost may still arrive; then the
// records are taken back. It returns the reason.
func (tx *Tx) abort(ctx context.Context, groups []*group, reason error) error {
	var touched []*group
	for _, g := range groups {
		if g.outcome == storage.Applied || g.outcome == storage.Unknown && g.err != nil {
			touched = append(touched, g)
		}
	}
	if len(touched) == 0 {
		return reason
	}
	ctx, cancel := tx.detached(ctx)
	defer cancel()
	failpoint.Here("txn.abort.before")
	d, err := tx.m.coord.putAborted(ctx, tx.id)
	if err != nil || d.State == record.Committed {
		tx.m.opts.Logger.LogAttrs(ctx, slog.LevelWarn, "an aborted transaction's records are left to be taken back by their next reader",
			slog.String("tx", tx.id), slog.Any("error", err))
		return reason
	}
	failpoint.Here("txn.abort.after")
	tx.settleRecords(ctx, touched, record.Decision{State: record.Aborted, At: d.At})
	return reason
}
