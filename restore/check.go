package restore

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/stillpoint-db/stillpoint/check"
	"github.com/stillpoint-db/stillpoint/internal/failpoint"
	"github.com/stillpoint-db/stillpoint/model"
)

// check reads everything back: what was loaded must be there, row by row, and
// the invariants are looked at. Nobody else may be connected before and after.
// A table that differs, or cannot be read, is loaded again by the next run.
func (x *executor) check(ctx context.Context, s Step) (*stepOutcome, error) {
	failpoint.Here("restore.check")
	if err := x.alone(ctx); err != nil {
		return nil, err
	}
	src := &restored{x: x, step: s, got: map[string]*digest{}, failed: map[string]error{}}
	o, err := x.readBack(ctx, src)
	if err != nil {
		return nil, err
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

// readBack checks the invariants, and takes the digest of every table that can be
// read.
func (x *executor) readBack(ctx context.Context, src *restored) (*stepOutcome, error) {
	o := &stepOutcome{}
	if src.hasCoordinator() {
		rep, err := check.Run(ctx, src, check.Options{Scratch: x.opts.Scratch})
		if err != nil && (len(src.failed) == 0 || transient(ctx, err)) {
			return nil, err
		}
		if o.Check, err = json.Marshal(rep); err != nil {
			return nil, err
		}
	}
	for _, bt := range x.opts.Backup.Tables() {
		if name := bt.Table.Name().String(); src.got[name] != nil || src.failed[name] != nil {
			continue
		}
		for _, err := range src.read(ctx, bt) {
			if err != nil && transient(ctx, err) {
				return nil, err
			}
		}
	}
	return o, nil
}

// transient tells whether an error is the moment's rather than the data's.
func transient(ctx context.Context, err error) bool {
	return ctx.Err() != nil || errors.Is(err, model.ErrUnavailable)
}

// compare compares what was read back with what was loaded.
func (x *executor) compare(ctx context.Context, src *restored) error {
	var tables, texts []string
	for _, s := range x.plan.Steps {
		if s.Kind != Load && s.Kind != LoadCoordinator {
			continue
		}
		want, got := x.journal.Outcomes[s.ID], src.got[s.Table]
		var how string
		switch {
		case got == nil:
			how = "it cannot be read: " + src.failed[s.Table].Error()
		case got.rows != want.Rows:
			how = rowCount(got.rows) + " where " + rowCount(want.Rows) + " were loaded"
		case got.String() != want.Digest:
			how = "other " + rowCount(got.rows) + " than those that were loaded"
		default:
			continue
		}
		tables = append(tables, s.Table)
		texts = append(texts, s.Table+" in \""+s.Storage+"\" ("+how+")")
	}
	if len(tables) == 0 {
		return nil
	}
	differs := &model.Error{Class: model.ErrUnavailable,
		Detail: "what is there is not what was loaded: " + strings.Join(texts, "; ") + ": somebody else writes to it, or the database does not keep what it is given. The next run empties and loads it again"}
	return errors.Join(differs, x.loadAgain(ctx, tables))
}

// loadAgain takes back that tables were loaded, and with them the Coordinator's:
// it must not be there while they are loaded.
func (x *executor) loadAgain(ctx context.Context, tables []string) error {
	ctx = context.WithoutCancel(ctx)
	if err := x.journal.forget(ctx, func(s Step) bool {
		return s.Kind == LoadCoordinator || s.Kind == Load && slices.Contains(tables, s.Table)
	}); err != nil {
		return err
	}
	return x.withdrawAgain(ctx)
}

// withdrawAgain drops the Coordinator's table, whoever made it.
func (x *executor) withdrawAgain(ctx context.Context) error {
	for _, s := range x.plan.Steps {
		if s.Kind != LoadCoordinator {
			continue
		}
		if err := dropIfThere(ctx, x.byName[s.Storage], x.tables[s.Table].Table.Name()); err != nil {
			return err
		}
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

	failed map[string]error // why tables cannot be read, by name
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
		for row, err := range check.ScanAll(ctx, r.x.places[bt.Storage].Storage, bt.Table) {
			if err != nil {
				r.failed[bt.Table.Name().String()] = err
			} else {
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
