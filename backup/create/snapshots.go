package create

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/stillpoint-db/stillpoint/backup/archive"
	"github.com/stillpoint-db/stillpoint/backup/fence"
	"github.com/stillpoint-db/stillpoint/backup/manifest"
	"github.com/stillpoint-db/stillpoint/backup/plan"
	"github.com/stillpoint-db/stillpoint/internal/failpoint"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// source is a database and its snapshot.
type source struct {
	db     *plan.Database
	snap   storage.Snapshot
	tables []*table
	opened time.Time
}

// table is a table being copied.
type table struct {
	source *source
	plan   *plan.Table
	def    *model.Table // as of the snapshot

	mu     sync.Mutex
	opened int             // files so far
	files  []manifest.File // finished ones
}

// each runs f for several sources at once, and returns all errors.
func each(sources []*source, f func(*source) error) error {
	errs := make([]error, len(sources))
	var wg sync.WaitGroup
	for i, s := range sources {
		wg.Go(func() {
			if err := f(s); err != nil {
				errs[i] = fmt.Errorf("storage %q: %w", s.db.Name, err)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// prepare does what is slow before anything is held: sessions, definitions.
func (b *run) prepare(ctx context.Context) error {
	for _, db := range b.plan.Databases {
		if len(db.Tables) > 0 {
			b.sources = append(b.sources, &source{db: db})
		}
	}
	return each(b.sources, func(s *source) (err error) {
		scratch := b.scratch + "/" + fmt.Sprint(slices.Index(b.sources, s))
		if err := os.Mkdir(scratch, 0o700); err != nil {
			return err
		}
		s.snap, err = s.db.Storage.(storage.Snapshotter).PrepareSnapshot(ctx, storage.SnapshotOptions{
			Tables: s.db.Names(), Readers: b.readers(s.db), Scratch: scratch})
		return err
	})
}

// openAll pins the moment: in one database, or in several of them under the
// fence; then in those that are copied by themselves.
func (b *run) openAll(ctx context.Context) error {
	var together, apart []*source
	var members []fence.Member
	for _, s := range b.sources {
		if s.db.Mechanism != plan.UnderFence {
			apart = append(apart, s)
			continue
		}
		together = append(together, s)
		members = append(members, fence.Member{Storage: s.db.Name, Fencer: s.db.Storage.(storage.Fencer), Tables: s.db.CommitPoints()})
	}
	if b.plan.Strategy == manifest.Fenced {
		opts := b.opts.Fence
		opts.Coordinator = b.plan.Coordinator.Table
		report, err := fence.Under(ctx, members, opts, func(ctx context.Context) error { return b.open(ctx, together) })
		b.man.Fence = &report
		if err != nil {
			return err
		}
		b.man.Moment = newest(together)
		return b.open(ctx, apart)
	}
	err := b.open(ctx, apart)
	alone := slices.DeleteFunc(slices.Clone(apart), func(s *source) bool { return s.db.Mechanism != plan.Alone })
	if len(alone) == 0 {
		alone = apart
	}
	b.man.Moment = newest(alone)
	return err
}

// newest returns when the last snapshot was open.
func newest(sources []*source) (t time.Time) {
	for _, s := range sources {
		if s.opened.After(t) {
			t = s.opened
		}
	}
	return t
}

// open opens the snapshots, the Coordinator's first: whatever a record in one
// of the others says of a decision, its snapshot knows.
func (b *run) open(ctx context.Context, sources []*source) error {
	var first, rest []*source
	for _, s := range sources {
		if s.db.Name == b.plan.Coordinator.Storage {
			first = append(first, s)
		} else {
			rest = append(rest, s)
		}
	}
	one := func(s *source) error {
		err := s.snap.Open(ctx)
		s.opened = time.Now().UTC()
		return err
	}
	if err := each(first, one); err != nil {
		return err
	}
	failpoint.Here("backup.coordinator-opened")
	if err := each(rest, one); err != nil {
		return err
	}
	failpoint.Here("backup.opened")
	return nil
}

// complete looks that no table was made between the plan and the snapshots: it
// would be in none of them, and the fence has not covered it.
func (b *run) complete(ctx context.Context) error {
	missed, err := b.plan.Missed(ctx, b.set, b.opts.Plan.Exclude)
	if err != nil {
		return err
	}
	if len(missed) > 0 {
		return void(fmt.Errorf("table %s was made while the backup began, and is not in it", missed[0]))
	}
	return nil
}

// detach makes the snapshots harmless to writers.
func (b *run) detach(ctx context.Context) error {
	return each(b.sources, func(s *source) error { return spoiled(s.snap.Detach(ctx)) })
}

// define takes the definitions as of the snapshots, which must be those that
// the plan was made for.
func (b *run) define(ctx context.Context) error {
	return each(b.sources, func(s *source) error {
		for _, t := range s.db.Tables {
			def, err := s.snap.Table(ctx, t.Definition.Name())
			if err != nil {
				return spoiled(err)
			}
			if err := same(t.Definition, def); err != nil {
				return err
			}
			s.tables = append(s.tables, &table{source: s, plan: t, def: def})
		}
		return nil
	})
}

// same fails if a table was redefined.
func same(before, after *model.Table) error {
	if archive.Define(before).Hash() == archive.Define(after).Hash() {
		return nil
	}
	return void(fmt.Errorf("table %s was redefined while it was being copied", before.Name()))
}

// verify looks, after the last row, that what was read is the truth.
func (b *run) verify(ctx context.Context) error {
	return each(b.sources, func(s *source) error {
		if err := s.snap.Verify(ctx); err != nil {
			return spoiled(err)
		}
		for _, t := range s.tables {
			now, err := s.db.Storage.Admin().Table(ctx, t.def.Name())
			if err != nil {
				return spoiled(err)
			}
			if err := same(t.def, now); err != nil {
				return err
			}
		}
		return nil
	})
}

// close ends the snapshots and removes what was staged. It may be called more
// than once.
func (b *run) close() error {
	var errs []error
	for _, s := range b.sources {
		if s.snap != nil {
			if err := s.snap.Close(); err != nil {
				errs = append(errs, fmt.Errorf("storage %q: close the snapshot: %w", s.db.Name, err))
			}
			s.snap = nil
		}
	}
	errs = append(errs, os.RemoveAll(b.scratch))
	return errors.Join(errs...)
}

// spoiled makes what a database says of a picture that is gone, or of a table
// that is, an error of class model.ErrVoid. Other errors are returned as they are.
func spoiled(err error) error {
	if errors.Is(err, model.ErrInconsistent) || errors.Is(err, model.ErrNotFound) {
		return void(err)
	}
	return err
}

// void says that the backup cannot be of one moment.
func void(err error) error {
	return &model.Error{Class: model.ErrVoid, Err: err, Hint: "Run it again when no table is being made, altered, truncated or dropped"}
}
