package restore

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"time"

	"github.com/stillpoint-db/stillpoint/check"
	"github.com/stillpoint-db/stillpoint/internal/failpoint"
	"github.com/stillpoint-db/stillpoint/model"
)

// check reads everything back: what was loaded must be there, row by row, and
// the invariants are looked at. Nobody else may be connected before and after.
func (x *executor) check(ctx context.Context, s Step) (*stepOutcome, error) {
	failpoint.Here("restore.check")
	if err := x.alone(ctx); err != nil {
		return nil, err
	}
	src := &restored{x: x, step: s, got: map[string]*digest{}}
	o := &stepOutcome{}
	if src.hasCoordinator() {
		rep, err := check.Run(ctx, src, check.Options{Scratch: x.opts.Scratch})
		if err != nil {
			return nil, err
		}
		if o.Check, err = json.Marshal(rep); err != nil {
			return nil, err
		}
	}
	for _, bt := range x.opts.Backup.Tables() {
		if src.got[bt.Table.Name().String()] != nil {
			continue
		}
		for _, err := range src.read(ctx, bt) {
			if err != nil {
				return nil, err
			}
		}
	}
	failpoint.Here("restore.check.read")
	if err := x.compare(ctx, src); err != nil {
		return nil, err
	}
	if err := x.alone(ctx); err != nil {
		return nil, err
	}
	o.Rows = src.rows
	failpoint.Here("restore.check.done")
	return o, nil
}

// compare compares what was read back with what was loaded. A table that differs
// is loaded again by the next run.
func (x *executor) compare(ctx context.Context, src *restored) error {
	for _, s := range x.plan.Steps {
		if s.Kind != Load && s.Kind != LoadCoordinator {
			continue
		}
		want, got := x.journal.Outcomes[s.ID], src.got[s.Table]
		if got.rows == want.Rows && got.String() == want.Digest {
			continue
		}
		x.journal.mu.Lock()
		delete(x.journal.Outcomes, s.ID)
		err := x.journal.save(context.WithoutCancel(ctx))
		x.journal.mu.Unlock()
		differs := &model.Error{Class: model.ErrInconsistent, Subject: s.Table,
			Detail: "what is in \"" + s.Storage + "\" is not what was loaded (" + rowCount(got.rows) + " where " + rowCount(want.Rows) + " were loaded): somebody else writes to it, or the database does not keep what it is given"}
		return errors.Join(differs, err)
	}
	return nil
}

// restored is the check.Source of the databases as they were loaded. Nobody else
// writes to them, so it is not a check.Live.
type restored struct {
	x    *executor
	step Step
	got  map[string]*digest // of the tables that were read to their end, by name
	rows int64
}

var _ check.Source = (*restored)(nil)

func (r *restored) hasCoordinator() bool {
	for _, bt := range r.x.opts.Backup.Tables() {
		if bt.Coordinator {
			return true
		}
	}
	return false
}

func (r *restored) table(bt BackupTable) check.Table {
	return check.Table{Table: bt.Table, Storage: r.x.places[bt.Storage].Name()}
}

// Label implements check.Source.
func (r *restored) Label() string { return "restored " + r.x.opts.Backup.ID() }

// Moment implements check.Source.
func (r *restored) Moment() time.Time { return time.Now() }

// Skipped implements check.Source.
func (r *restored) Skipped() []check.Table { return nil }

// Tables implements check.Source.
func (r *restored) Tables(context.Context) (ts []check.Table, err error) {
	for _, bt := range r.x.opts.Backup.Tables() {
		if bt.Transactional {
			ts = append(ts, r.table(bt))
		}
	}
	return ts, nil
}

// Coordinator implements check.Source.
func (r *restored) Coordinator(context.Context) (check.Table, error) {
	for _, bt := range r.x.opts.Backup.Tables() {
		if bt.Coordinator {
			return r.table(bt), nil
		}
	}
	return check.Table{}, model.Errorf(model.ErrNotFound, "the backup has no Coordinator's table")
}

// Rows implements check.Source.
func (r *restored) Rows(ctx context.Context, t check.Table) iter.Seq2[*model.Row, error] {
	return r.read(ctx, r.x.tables[t.Name().String()])
}

// read streams a restored table and takes its digest.
func (r *restored) read(ctx context.Context, bt BackupTable) iter.Seq2[*model.Row, error] {
	return func(yield func(*model.Row, error) bool) {
		d := newDigest(bt.Table)
		for row, err := range scanAll(ctx, r.x.places[bt.Storage].Storage, bt.Table) {
			if err == nil {
				d.add(row)
				if r.rows++; r.rows%tellEvery == 0 {
					r.x.tell(Event{Step: r.step, Rows: r.rows})
				}
			}
			if !yield(row, err) || err != nil {
				return
			}
		}
		r.got[bt.Table.Name().String()] = d
	}
}
