package restore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/stillpoint-db/stillpoint/internal/failpoint"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/restore/settle"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

// maxSettled is how many settled records of a table are listed.
const maxSettled = 100

// Settled is a record that was in doubt in the backup.
type Settled struct {
	ID     string `json:"id"` // table and key
	Table  string `json:"table"`
	Key    string `json:"key"`
	Tx     string `json:"tx"`
	Action string `json:"action"`
}

// load fills a table, settling its records on the way.
func (x *executor) load(ctx context.Context, s Step) (*stepOutcome, error) {
	failpoint.Here("restore.load")
	bt := x.tables[s.Table]
	t := x.byName[s.Storage]
	if err := x.emptyTable(ctx, t, bt.Table); err != nil {
		return nil, err
	}
	failpoint.Here("restore.load.emptied")
	l := &loading{x: x, step: s, table: bt, digest: newDigest(bt.Table), outcome: &stepOutcome{Actions: map[string]int64{}}}
	if bt.Transactional {
		var err error
		if l.layout, err = record.NewLayout(bt.Table); err != nil {
			return nil, err
		}
	}
	o, err := l.into(ctx, t)
	if err != nil {
		return nil, err
	}
	failpoint.Here("restore.load.done")
	return o, nil
}

// emptyTable empties a table that a step before this one has made or found
// right. If it is not there any more, or something else, it is made again.
func (x *executor) emptyTable(ctx context.Context, t powers, def *model.Table) error {
	have, err := t.Admin().Table(ctx, def.Name())
	if err == nil && have.Equal(def) {
		if err = t.readable(ctx, have); err == nil {
			return t.Admin().TruncateTable(ctx, def.Name())
		}
	}
	if err != nil && transient(ctx, err) {
		return err
	}
	if err := dropIfThere(ctx, t, def.Name()); err != nil {
		return err
	}
	return makeTable(ctx, t, def)
}

// loadCoordinator makes and fills the Coordinator's table, and makes the
// decision final for transactions that had none.
func (x *executor) loadCoordinator(ctx context.Context, s Step) (*stepOutcome, error) {
	failpoint.Here("restore.load-coordinator")
	bt := x.tables[s.Table]
	t := x.byName[s.Storage]
	if err := dropIfThere(ctx, t, bt.Table.Name()); err != nil {
		return nil, err
	}
	failpoint.Here("restore.load-coordinator.dropped")
	if err := makeTable(ctx, t, bt.Table); err != nil {
		return nil, err
	}
	failpoint.Here("restore.load-coordinator.made")
	l := &loading{x: x, step: s, table: bt, digest: newDigest(bt.Table), outcome: &stepOutcome{Actions: map[string]int64{}}}
	o, err := l.into(ctx, t)
	if err != nil {
		return nil, err
	}
	failpoint.Here("restore.load-coordinator.loaded")
	if err := x.abortUndecided(ctx, t, bt.Table, l); err != nil {
		return nil, err
	}
	o.Digest = l.digest.String()
	failpoint.Here("restore.load-coordinator.done")
	return o, nil
}

// abortUndecided adds ABORTED for each transaction whose records were undone for
// want of a decision.
func (x *executor) abortUndecided(ctx context.Context, t powers, def *model.Table, l *loading) error {
	now := time.Now().UnixMilli()
	for id, d := range x.decisions.All() {
		if d.State != 0 {
			continue
		}
		ids := []string{id}
		if parent, _, grouped := record.SplitID(id); grouped {
			ids = []string{parent, id} // the group's row first, so that the group cannot commit any more
		}
		for _, id := range ids {
			row := abortedRow(def, id, now)
			err := t.Mutate(ctx, storage.Batch{Mutations: []storage.Mutation{put(row, storage.Guard{Kind: storage.NotExists})}})
			if errors.Is(err, model.ErrConditionNotMet) {
				continue // the group has a row already
			}
			if err != nil {
				return fmt.Errorf("make it final that transaction %s is aborted: %w", id, err)
			}
			l.digest.add(row)
			l.outcome.Rows++
			l.outcome.Actions["made final"]++
		}
	}
	return nil
}

func abortedRow(def *model.Table, id string, at int64) *model.Row {
	row := &model.Row{Table: def, Values: make([]model.Value, len(def.Columns()))}
	for i, c := range def.Columns() {
		row.Values[i] = model.Null(c.Type)
	}
	row.Values[def.Position(record.TxID)] = model.TextValue(id)
	row.Values[def.Position(record.TxState)] = model.IntValue(int32(record.Aborted))
	row.Values[def.Position(record.CreatedAt)] = model.BigIntValue(at)
	return row
}

// loading is one table being loaded.
type loading struct {
	x       *executor
	step    Step
	table   BackupTable
	layout  *record.Layout // nil if the table is not transactional
	digest  *digest
	outcome *stepOutcome
	read    int64
	err     error // why the rows ended
}

func (l *loading) into(ctx context.Context, t powers) (*stepOutcome, error) {
	n, err := t.loader.Load(ctx, l.table.Table, l.rows(ctx))
	if l.err != nil {
		return nil, l.err
	}
	if err != nil {
		return nil, err
	}
	if l.read != l.table.Rows {
		return nil, model.Errorf(model.ErrDamaged, "backup %s has %d rows of %s, not %d", l.x.opts.Backup.ID(), l.read, l.table.Table.Name(), l.table.Rows)
	}
	if n != l.outcome.Rows {
		return nil, model.Errorf(model.ErrInconsistent, "storage %q took %d rows of %s, not %d", t.Name(), n, l.table.Table.Name(), l.outcome.Rows)
	}
	l.outcome.Digest = l.digest.String()
	return l.outcome, nil
}

// rows yields the settled rows, each a copy that the loader may keep.
func (l *loading) rows(ctx context.Context) iter.Seq2[*model.Row, error] {
	return func(yield func(*model.Row, error) bool) {
		for row, err := range l.x.opts.Backup.Rows(ctx, l.table) {
			if err != nil {
				l.err = err
				yield(nil, err)
				return
			}
			if l.read++; l.read%tellEvery == 0 {
				l.x.tell(Event{Step: l.step, Rows: l.read})
			}
			out := l.settle(row)
			if out == nil {
				continue
			}
			l.digest.add(out)
			l.outcome.Rows++
			failpoint.Here("restore.load.row")
			if !yield(out, nil) {
				return
			}
		}
	}
}

func (l *loading) settle(row *model.Row) *model.Row {
	if l.layout == nil || l.layout.IsCommitted(row) {
		return row.Clone()
	}
	out, action := l.x.decisions.Settle(l.layout, row)
	l.outcome.Actions[action.String()]++
	if action != settle.Kept && len(l.outcome.Settled) < maxSettled {
		name, key := l.table.Table.Name().String(), row.Key().String()
		l.outcome.Settled = append(l.outcome.Settled, Settled{ID: name + " " + key, Table: name, Key: key, Tx: l.layout.WriterID(row), Action: action.String()})
	}
	if out == nil {
		return nil
	}
	return &model.Row{Table: out.Table, Values: slices.Clone(out.Values)}
}
