package check

import (
	"context"
	"errors"
	"fmt"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

// suspect is something that looks wrong across rows. In a copy it is wrong; on
// live databases the rows were read at different times, so they are read again.
type suspect struct {
	rule       string
	id         string // the transaction
	committed  fact   // a record that names it
	undecided  fact   // V8b: a record of it that is not committed
	falseAbort bool   // V8a: the ABORTED row may have been written after a clean-up
	at         int64  // V9: when it committed
}

// recheckAt is how many suspects are kept before they are looked at again.
const recheckAt = 256

func (r *run) suspect(ctx context.Context, s suspect) error {
	if r.live == nil {
		r.confirm(s)
		return nil
	}
	r.suspects = append(r.suspects, s)
	if len(r.suspects) < recheckAt {
		return nil
	}
	return r.recheck(ctx)
}

// confirm reports a suspect.
func (r *run) confirm(s suspect) {
	t := r.targets[s.committed.table]
	name := "committed"
	if s.committed.kind == factBefore {
		name = "the version before is committed"
	}
	var f finding
	switch s.rule {
	case "V8":
		f = doubtful("V8", "%s by a transaction that the Coordinator does not know, and not in one phase", name)
		if s.committed.preparedAt == s.committed.committedAt {
			f.text = name + " by a transaction that the Coordinator does not know"
		}
	case "V8a":
		f = broken("V8a", "%s by a transaction that the Coordinator says is ABORTED", name)
		if s.falseAbort {
			f = doubtful("V8a", "%s by a transaction that the Coordinator says is ABORTED, which may have been said after its clean-up", name)
		}
	case "V8b":
		f = broken("V8b", "%s, while %s %s of the same transaction is undecided and the Coordinator does not know it: the data is torn",
			name, r.targets[s.undecided.table].Name(), s.undecided.key)
	case "V9":
		f = broken("V9", "older than the transaction, which wrote it and committed at %s: the data is torn", millis(s.at))
	}
	r.report(f, t.Table, s.committed.key.String(), s.id)
}

// recheck looks at the suspects again: the record first, then the Coordinator,
// then an undecided record once more.
func (r *run) recheck(ctx context.Context) error {
	batch := r.suspects
	r.suspects = r.suspects[:0]
	for _, s := range batch {
		still, err := r.still(ctx, s)
		if err != nil {
			return fmt.Errorf("read %s %s again: %w", r.targets[s.committed.table].Name(), s.committed.key, err)
		}
		if still {
			r.confirm(s)
		}
	}
	return nil
}

func (r *run) still(ctx context.Context, s suspect) (bool, error) {
	row, err := r.again(ctx, s.committed)
	if err != nil || row == nil {
		return false, err
	}
	l := r.targets[s.committed.table].layout
	if s.rule == "V9" {
		if keyFactOf(l, row).explains(s.id, s.at, r.opts.Skew.Milliseconds()) {
			return false, nil
		}
		d, err := r.decision(ctx, s.id)
		return d.State == record.Committed, err
	}
	named := l.IsCommitted(row) && l.WriterID(row) == s.id ||
		!l.IsCommitted(row) && row.Values[l.BeforeMeta.TxID].Str() == s.id
	if !named {
		return false, nil
	}
	if s.rule == "V8b" {
		if is, err := r.undecidedBy(ctx, s); err != nil || !is {
			return false, err
		}
	}
	d, err := r.decision(ctx, s.id)
	if err != nil {
		return false, err
	}
	switch s.rule {
	case "V8a":
		return d.State == record.Aborted, nil
	case "V8b":
		if d.State != 0 {
			return false, nil
		}
		return r.undecidedBy(ctx, s)
	}
	return d.State == 0, nil
}

func (r *run) undecidedBy(ctx context.Context, s suspect) (bool, error) {
	row, err := r.again(ctx, s.undecided)
	if err != nil || row == nil {
		return false, err
	}
	l := r.targets[s.undecided.table].layout
	return !l.IsCommitted(row) && l.WriterID(row) == s.id, nil
}

func (r *run) again(ctx context.Context, f fact) (*model.Row, error) {
	rows, err := r.live.Get(ctx, r.targets[f.table].Table, []model.Key{f.key})
	if err != nil {
		return nil, err
	}
	return rows[0], nil
}

// decision asks the live Coordinator, group first. A row that cannot be right
// decides nothing here either: readCoordinator has reported it.
func (r *run) decision(ctx context.Context, id string) (record.Decision, error) {
	get := func(id string) (*record.Coordinator, error) {
		rows, err := r.live.Get(ctx, r.coordinator, []model.Key{{Partition: []model.Value{model.TextValue(id)}}})
		if err != nil {
			return nil, err
		}
		c, err := record.ParseCoordinator(rows[0])
		if errors.Is(err, model.ErrInconsistent) {
			return nil, nil
		}
		return c, err
	}
	var parent *record.Coordinator
	if group, _, ok := record.SplitID(id); ok {
		p, err := get(group)
		if err != nil {
			return record.Decision{}, err
		}
		parent = p
	}
	own, err := get(id)
	return record.Decide(id, parent, own), err
}
