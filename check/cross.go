package check

import (
	"context"
	"time"

	"github.com/stillpoint-db/stillpoint/txn/record"
)

// transaction is all that is known of one transaction while its facts go by, in
// the order of their kinds.
type transaction struct {
	id                string
	own, listed       bool
	decision          record.Decision // by its own row, or by its group's
	hasWriteSet       bool
	undecided         *fact // the first one
	preparedAt        int64 // of undecided
	committed         int64 // tx_committed_at of the first committed record
	seenCommitted     bool
	reportedTimes     bool // V11 once for each transaction
	reportedPrepared  bool // V12 likewise
	reportedHalf      bool // V8b likewise
	reportedUnbacked  bool // V8 likewise
	reportedConfusion bool // V10 likewise
}

// transactions compares all facts of each transaction: V8, V8a, V8b, V11, V12,
// what of V10 needs two rows, and the classes of records in doubt.
func (r *run) transactions(ctx context.Context) error {
	var tx transaction
	for e, err := range r.facts.Sorted() {
		if err != nil {
			return err
		}
		if string(e.Key) != tx.id || !tx.begun() {
			tx = transaction{id: string(e.Key)}
		}
		f, err := decodeFact(e.Value, r.targets)
		if err != nil {
			return err
		}
		switch f.kind {
		case factOwn:
			tx.own, tx.hasWriteSet, tx.decision = true, f.hasWriteSet, record.Decision{State: f.state, At: f.at}
		case factListed:
			r.listed(&tx, f)
		case factUndecided:
			if err := r.undecided(&tx, f); err != nil {
				return err
			}
		default:
			if err := r.committed(ctx, &tx, f); err != nil {
				return err
			}
		}
	}
	return nil
}

// begun tells whether any fact of the transaction has gone by; it tells an empty
// id from none.
func (tx *transaction) begun() bool {
	return tx.own || tx.listed || tx.undecided != nil || tx.seenCommitted
}

// listed takes a group's row into account: it wins over a row of the member's own.
func (r *run) listed(tx *transaction, f fact) {
	if (tx.own || tx.listed) && !tx.reportedConfusion {
		tx.reportedConfusion = true
		what := "has a row of its own and is listed by its group's row"
		if !tx.own {
			what = "is listed twice by its group's row"
		}
		r.report(broken("V10", "the transaction %s", what), r.coordinator, "", tx.id)
	}
	tx.listed, tx.hasWriteSet, tx.decision = true, f.hasWriteSet, record.Decision{State: f.state, At: f.at}
}

func (r *run) undecided(tx *transaction, f fact) error {
	t := r.targets[f.table]
	if tx.undecided == nil {
		first := f
		first.rest = nil
		tx.undecided, tx.preparedAt = &first, f.preparedAt
	} else if f.preparedAt != tx.preparedAt && !tx.reportedPrepared {
		tx.reportedPrepared = true
		r.report(doubtful("V12", "prepared at %s; another record of the transaction, %s %s, at %s",
			millis(f.preparedAt), r.targets[tx.undecided.table].Name(), tx.undecided.key, millis(tx.preparedAt)), t.Table, f.key.String(), tx.id)
	}
	r.inDoubt(tx, f)
	return r.eval.undecided(t, f.rest, decided(tx.decision))
}

func (r *run) inDoubt(tx *transaction, f fact) {
	now := r.rep.Moment
	if r.live != nil {
		now = time.Now()
	}
	class := UndecidedDead
	switch {
	case tx.decision.State == record.Committed:
		class = RollForward
	case tx.decision.State == record.Aborted:
		class = RollBack
	case f.preparedAt >= now.Add(-undecidedAfter).UnixMilli():
		class = UndecidedLive
	}
	r.rep.InDoubtCounts[class]++
	if len(r.rep.InDoubt) >= r.opts.MaxListed {
		return
	}
	t := r.targets[f.table]
	r.rep.InDoubt = append(r.rep.InDoubt, InDoubt{ID: t.Name().String() + " " + f.key.String(), Class: class, Storage: t.Storage,
		Table: t.Name().String(), Key: f.key.String(), Tx: tx.id, Since: time.UnixMilli(f.preparedAt).UTC()})
}

// committed compares a committed record, or the committed version before an
// undecided one, with the decision of its writer.
func (r *run) committed(ctx context.Context, tx *transaction, f fact) error {
	r.commitTime(tx, f)
	switch tx.decision.State {
	case record.Aborted:
		return r.suspect(ctx, suspect{rule: "V8a", id: tx.id, committed: f, falseAbort: r.keys != nil && !tx.hasWriteSet && tx.undecided == nil})
	case record.Committed:
		return nil
	}
	if tx.undecided != nil && !tx.reportedHalf {
		tx.reportedHalf = true
		return r.suspect(ctx, suspect{rule: "V8b", id: tx.id, committed: f, undecided: *tx.undecided})
	}
	// A one-phase commit is prepared and committed at one time.
	if (r.opts.Strict || f.preparedAt != f.committedAt) && tx.undecided == nil && !tx.reportedUnbacked {
		tx.reportedUnbacked = true
		return r.suspect(ctx, suspect{rule: "V8", id: tx.id, committed: f})
	}
	return nil
}

// commitTime is V11.
func (r *run) commitTime(tx *transaction, f fact) {
	if f.committedAt == 0 {
		tx.seenCommitted = true
		return // V2 has said so
	}
	if tx.committed == 0 {
		tx.seenCommitted, tx.committed = true, f.committedAt
	}
	want, whose := tx.committed, "another record of the transaction"
	if tx.decision.State == record.Committed {
		want, whose = tx.decision.At, "the transaction"
	}
	if f.committedAt == want || tx.reportedTimes {
		return
	}
	tx.reportedTimes = true
	t := r.targets[f.table]
	r.report(doubtful("V11", "committed at %s, and %s at %s", millis(f.committedAt), whose, millis(want)), t.Table, f.key.String(), tx.id)
}
