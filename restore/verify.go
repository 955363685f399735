package restore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"

	"github.com/stillpoint-db/stillpoint/check"
	"github.com/stillpoint-db/stillpoint/internal/failpoint"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/restore/settle"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/txn/record"
	"golang.org/x/sync/errgroup"
)

// verifyBackup reads everything, before anything is destroyed, and learns how
// the records in doubt are settled. All damage is found, not only the first.
func (x *executor) verifyBackup(ctx context.Context, s Step) (*stepOutcome, error) {
	failpoint.Here("restore.verify-backup")
	v := &verifier{x: x, step: s, decisions: settle.New()}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(x.opts.Workers)
	var coordinator *BackupTable
	for _, bt := range x.opts.Backup.Tables() {
		if bt.Coordinator {
			coordinator = &bt
		}
		g.Go(func() error { return v.table(gctx, bt) })
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	if err := v.damage(); err != nil {
		return nil, err
	}
	if coordinator != nil {
		if err := v.decisions.Learn(ctx, settle.Coordinators{Copy: x.rowsOf(*coordinator), Live: x.liveCoordinator(*coordinator)}); err != nil {
			return nil, err
		}
	}
	x.decisions = v.decisions
	failpoint.Here("restore.verify-backup.done")
	return &stepOutcome{Rows: v.rows}, nil
}

// UnfitError says that the engine of a target cannot hold some value. It was found
// before anything was changed.
type UnfitError struct {
	Row     string // its key
	Table   model.TableName
	Storage string // the target
	Err     error
}

// Error implements error.
func (e *UnfitError) Error() string {
	const most = 120 // a key that does not fit may be long
	row := e.Row
	if len(row) > most {
		row = strings.ToValidUTF8(row[:most], "") + "…"
	}
	return fmt.Sprintf("row %s of %s cannot be kept in %q: %v", row, e.Table, e.Storage, e.Err)
}

// Unwrap returns the cause.
func (e *UnfitError) Unwrap() error { return e.Err }

type verifier struct {
	x    *executor
	step Step

	mu        sync.Mutex // guards what follows
	decisions *settle.Decisions
	rows      int64
	damaged   []string
	first     error
}

const tellEvery = 8192

func (v *verifier) table(ctx context.Context, bt BackupTable) error {
	var layout *record.Layout
	if bt.Transactional {
		var err error
		if layout, err = record.NewLayout(bt.Table); err != nil {
			return err
		}
	}
	to := v.x.places[bt.Storage]
	fits, err := v.x.fits(ctx, bt)
	if err != nil {
		return fmt.Errorf("look at table %s in storage %q: %w", bt.Table.Name(), to.Name(), err)
	}
	var n int64
	for row, err := range v.x.opts.Backup.Rows(ctx, bt) {
		if errors.Is(err, model.ErrDamaged) {
			v.mu.Lock()
			v.damaged = append(v.damaged, bt.Table.Name().String())
			if v.first == nil {
				v.first = err
			}
			v.mu.Unlock()
			return nil
		}
		if err != nil {
			return fmt.Errorf("read %s of backup %s: %w", bt.Table.Name(), v.x.opts.Backup.ID(), err)
		}
		if layout != nil && !layout.IsCommitted(row) {
			v.mu.Lock()
			_, err := v.decisions.Meet(layout, row)
			v.mu.Unlock()
			if err != nil {
				return err
			}
		}
		if fits != nil {
			if err := fits(row); err != nil {
				return &model.Error{Class: model.ErrRefused, Err: &UnfitError{Row: row.Key().String(), Table: bt.Table.Name(), Storage: to.Name(), Err: err},
					Hint: "Restore that storage into an engine that can keep it, with --into"}
			}
		}
		if n++; n%tellEvery == 0 {
			v.progress(tellEvery)
		}
	}
	v.progress(n % tellEvery)
	return nil
}

// fits returns what tells whether the target can keep a row of a table; nil if
// nothing can.
func (x *executor) fits(ctx context.Context, bt BackupTable) (func(*model.Row) error, error) {
	switch to := x.places[bt.Storage].Storage.(type) {
	case storage.RowFitter:
		anew := slices.ContainsFunc(x.plan.Steps, func(s Step) bool {
			return s.Table == bt.Table.Name().String() && (s.Kind == Create || s.Kind == LoadCoordinator)
		})
		return to.RowFit(ctx, bt.Table, anew)
	case storage.RowChecker:
		return func(row *model.Row) error { return to.CheckRow(bt.Table, row) }, nil
	}
	return nil, nil
}

func (v *verifier) progress(rows int64) {
	v.mu.Lock()
	v.rows += rows
	total := v.rows
	v.mu.Unlock()
	v.x.tell(Event{Step: v.step, Rows: total})
}

// damage says what cannot be restored, and what can.
func (v *verifier) damage() error {
	if len(v.damaged) == 0 {
		return nil
	}
	still := "nothing"
	if len(v.damaged) < len(v.x.opts.Backup.Tables()) {
		still = "everything but " + strings.Join(v.damaged, ", ")
	}
	detail := v.first.Error()
	if e, ok := errors.AsType[*model.Error](v.first); ok && e.Hint != "" {
		detail = strings.TrimSuffix(detail, ". "+e.Hint)
	}
	return &model.Error{Class: model.ErrDamaged, Detail: detail, Hint: "Still whole in it: " + still}
}

func (x *executor) rowsOf(bt BackupTable) settle.Rows {
	return func(ctx context.Context) iter.Seq2[*model.Row, error] { return x.opts.Backup.Rows(ctx, bt) }
}

// liveCoordinator reads the target's Coordinator. It is what settle must not
// ask; only the test that shows why does.
func (x *executor) liveCoordinator(bt BackupTable) settle.Rows {
	return func(ctx context.Context) iter.Seq2[*model.Row, error] {
		return check.ScanAll(ctx, x.places[bt.Storage].Storage, bt.Table)
	}
}
