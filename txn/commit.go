package txn

import (
	"context"

	"github.com/stillpoint-db/stillpoint/internal/failpoint"
	"github.com/stillpoint-db/stillpoint/model"
)

// Commit makes the transaction's writes visible, all or none. nil means that
// they are. The errors:
//
//   - model.ErrConflict: another transaction was in the way; nothing is visible,
//     and running it again from the start may help.
//   - model.ErrUnknownOutcome: the deciding write was sent and its answer is
//     lost. Do not run it again before its id (model.Error.TxID) has been asked
//     for.
//   - model.ErrUnavailable and others: a database failed before the decision;
//     nothing is visible nor will be.
//
// When ctx ends before the deciding write is sent, nothing becomes visible; when
// it ends later, Commit takes a moment more to learn the outcome.
//
// Whatever it returns, the transaction is over, except for model.ErrBadArgument
// because a scan is under way.
func (tx *Tx) Commit(ctx context.Context) error {
	if err := tx.usable("commit"); err != nil {
		return err
	}
	if tx.open > 0 {
		return tx.misuse("commit", "a scan is under way; leave its loop first")
	}
	err := tx.reallyExists(ctx, tx.commit(ctx))
	tx.state = committed
	if err != nil {
		tx.state = failed
	}
	tx.hook(tx.m.opts.Hooks.Done, tx.began, tx.writes, err)
	return err
}

func (tx *Tx) commit(ctx context.Context) error {
	if tx.writes == 0 {
		tx.path = "read-only"
		if !tx.mustValidate() {
			return nil
		}
		if err := tx.awaitSettled(ctx); err != nil {
			return err
		}
		return tx.validate(ctx)
	}
	if err := tx.readUnread(ctx); err != nil {
		return err
	}
	if err := tx.clearDoubts(ctx); err != nil {
		return err
	}
	if err := tx.awaitSettled(ctx); err != nil {
		return err
	}
	groups := tx.m.groups(tx.written())
	if tx.m.opts.Schedule == Textbook {
		return tx.commitTextbook(ctx, groups)
	}
	if checks, ok := tx.onePhase(groups); ok {
		return tx.commitOnePhase(ctx, groups[0], checks)
	}
	if last, checks, ok := tx.lastResource(groups); ok {
		return tx.commitFused(ctx, groups, last, checks)
	}
	return tx.commitTextbook(ctx, groups)
}

// readUnread reads, together, the records that are put or deleted without having
// been read: their guard needs a version, their before-image an old one.
func (tx *Tx) readUnread(ctx context.Context) error {
	var missing []fetched
	for _, e := range tx.entries.list {
		if e.kind != writeNone && !e.known && !e.insert {
			missing = append(missing, fetched{table: e.table, key: e.key, entry: e})
		}
	}
	if len(missing) == 0 {
		return nil
	}
	failpoint.Here("txn.pre-read")
	return tx.readEntries(ctx, missing)
}

// clearDoubts finds out, for ReadCommitted, about records to be written whose
// version was taken without asking: it must be the last committed one.
func (tx *Tx) clearDoubts(ctx context.Context) error {
	var doubtful []*fetched
	var of []*entry
	for _, e := range tx.entries.list {
		if e.kind != writeNone && e.doubt != nil {
			doubtful = append(doubtful, &fetched{table: e.table, key: e.key, row: e.doubt, doubt: e.doubt})
			of = append(of, e)
		}
	}
	if len(doubtful) == 0 {
		return nil
	}
	all := append([]*fetched(nil), doubtful...)
	if err := tx.decideAll(ctx, doubtful); err != nil {
		return tx.readFailed("commit", err)
	}
	for i, f := range all {
		if !sameVersion(f.table, of[i].base, f.row) {
			return tx.conflict("commit", "another transaction has changed "+f.String(), nil)
		}
		of[i].wait, of[i].doubt = f.wait, nil
	}
	return nil
}

// awaitSettled waits for records in doubt that are being settled behind the
// answers: those that are to be written, whose guards would fail otherwise; under
// Serializable all, since their validation would.
func (tx *Tx) awaitSettled(ctx context.Context) error {
	for _, w := range tx.waits {
		if err := tx.await(ctx, w); err != nil {
			return err
		}
	}
	for _, e := range tx.entries.list {
		if e.kind != writeNone && e.wait != nil {
			if err := tx.await(ctx, e.wait); err != nil {
				return err
			}
		}
	}
	return nil
}

func (tx *Tx) await(ctx context.Context, w *wait) error {
	select {
	case <-w.done:
		return nil // a failure shows as a conflict, if the record is still in doubt
	case <-ctx.Done():
		return tx.failed("commit", model.ErrUnavailable, "nothing was written", context.Cause(ctx))
	}
}
