// Package create takes backups: it opens a snapshot of every database at one
// moment, under the commit fence where there are several, lets the writers go
// on at once, and then copies the rows at leisure. The manifest comes last: a
// run that dies at any point before leaves no backup, nothing that is held in
// any database, and only what the next run removes.
package create

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/stillpoint-db/stillpoint/backup/fence"
	"github.com/stillpoint-db/stillpoint/backup/manifest"
	"github.com/stillpoint-db/stillpoint/backup/plan"
	"github.com/stillpoint-db/stillpoint/backup/repo"
	"github.com/stillpoint-db/stillpoint/internal/failpoint"
	"github.com/stillpoint-db/stillpoint/storage/multi"
)

// Options say how a backup is taken. The zero value is right for most.
type Options struct {
	// Plan says what is backed up. Its Repository is set by Run.
	Plan plan.Options
	// Fence bounds the commit fence. Its Coordinator is set by Run.
	Fence fence.Options
	// Workers is how many parts of tables are read at once; 0 = one for each
	// processor, and at least one for each database.
	Workers int
	// Throttle bounds the rate of reading, in bytes of rows a second; 0 = no
	// bound.
	Throttle int64
	// Version is that of the program, for the manifest.
	Version string
	// Progress is told what happens; may be nil.
	Progress Progress
	// Logger may be nil.
	Logger *slog.Logger
}

// Progress is told how a backup goes on. Copied may be called from several
// goroutines at once; the others are called in the order given here.
type Progress interface {
	// Planned is called with the plan, when it is clear that it is carried out.
	Planned(p *plan.Plan)
	// Opened is called when all snapshots are open and nothing is held any
	// more; the report is nil if no fence was needed.
	Opened(r *fence.Report)
	// Copying is called before the first row of a database is read. Bytes is
	// an estimate; -1 = unknown.
	Copying(storage string, bytes int64)
	// Copied is called after some rows of a database were read.
	Copied(storage string, rows, bytes int64)
	// Complete is called when all of a database is copied.
	Complete(storage string)
}

// run is one backup being taken.
type run struct {
	opts    Options
	set     *multi.Set
	repo    repo.Repository
	plan    *plan.Plan
	draft   repo.Draft
	scratch string
	sources []*source
	man     *manifest.Manifest
	log     *slog.Logger
}

// Run takes a backup of the databases of a set and returns its manifest. Unless
// it succeeds there is no backup. Errors, besides those of the databases and
// the repository:
//
//	model.ErrRefused   the plan found reasons not to begin; nothing was changed
//	model.ErrLocked    another run writes to the repository
//	model.ErrConflict  the commit fence was not granted within its budget
//	model.ErrVoid      the databases may not show one moment: the fence was lost, or a table
//	                   was redefined, truncated or rewritten meanwhile; run it again
func Run(ctx context.Context, set *multi.Set, r repo.Repository, opts Options) (m *manifest.Manifest, err error) {
	// Sessions and transactions may be bound to ctx: it ends when all is done.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	b := &run{opts: opts, set: set, repo: r, log: opts.Logger}
	if b.log == nil {
		b.log = slog.New(slog.DiscardHandler)
	}
	if b.opts.Progress == nil {
		b.opts.Progress = silent{}
	}
	b.opts.Plan.Repository = r
	if b.plan, err = plan.Make(ctx, set, b.opts.Plan); err != nil {
		return nil, err
	}
	if err := b.plan.Refusal(); err != nil {
		return nil, err
	}
	if b.opts.Workers <= 0 {
		b.opts.Workers = max(runtime.GOMAXPROCS(0), len(b.plan.Databases))
	}
	b.opts.Progress.Planned(b.plan)
	failpoint.Here("backup.planned")

	lock, err := r.Lock(ctx, "backup create")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	if err := b.begin(ctx); err != nil {
		return nil, err
	}
	if err := b.take(ctx); err != nil {
		return nil, b.failed(err, b.discard(ctx))
	}
	failpoint.Here("backup.done")
	return b.man, nil
}

// begin removes what runs that died have left, and makes room for this one.
func (b *run) begin(ctx context.Context) error {
	list, err := b.repo.List(ctx)
	if err != nil {
		return err
	}
	for _, e := range list {
		if e.State == repo.Sealed {
			continue
		}
		b.log.InfoContext(ctx, "removing what an interrupted run left", "backup", e.ID)
		if err := errors.Join(os.RemoveAll(b.scratchOf(e.ID)), b.repo.Delete(ctx, e.ID)); err != nil {
			return fmt.Errorf("remove unfinished backup %s: %w", e.ID, err)
		}
	}
	failpoint.Here("backup.cleaned")
	now := time.Now().UTC()
	id := repo.NewID(after(now, list))
	if b.draft, err = b.repo.Begin(ctx, id); err != nil {
		return err
	}
	failpoint.Here("backup.begun")
	b.scratch = b.scratchOf(id)
	b.man = b.describe(id, now)
	if err := os.Mkdir(b.scratch, 0o700); err != nil {
		return b.failed(fmt.Errorf("make a folder for staged data: %w", err), b.draft.Discard(ctx))
	}
	failpoint.Here("backup.scratch-made")
	return nil
}

// after returns now, or the second after the newest backup if that is later: the
// order of the ids is that in which backups were begun, whatever the clock does.
func after(now time.Time, list []repo.Entry) time.Time {
	for _, e := range list {
		if next := e.Created.Add(time.Second); now.Before(next) {
			now = next
		}
	}
	return now
}

// scratchOf names the folder in which a backup stages data. A run that dies
// leaves it to the run that removes the unfinished backup of that id.
func (b *run) scratchOf(id string) string {
	return filepath.Join(b.opts.Plan.ScratchFolder(), "stillpoint-"+id)
}

// take goes through the steps of the backup.
func (b *run) take(ctx context.Context) (err error) {
	defer func() {
		closed := b.close()
		if err == nil {
			err = closed
		}
	}()
	if err := b.prepare(ctx); err != nil {
		return err
	}
	failpoint.Here("backup.prepared")
	if err := b.openAll(ctx); err != nil {
		return err
	}
	b.opts.Progress.Opened(b.man.Fence)
	failpoint.Here("backup.released")
	if err := b.complete(ctx); err != nil {
		return err
	}
	failpoint.Here("backup.completed")
	if err := b.detach(ctx); err != nil {
		return err
	}
	failpoint.Here("backup.detached")
	if err := b.define(ctx); err != nil {
		return err
	}
	failpoint.Here("backup.defined")
	if err := b.copy(ctx); err != nil {
		return err
	}
	failpoint.Here("backup.copied")
	if err := b.verify(ctx); err != nil {
		return err
	}
	failpoint.Here("backup.verified")
	if err := b.close(); err != nil {
		return err
	}
	failpoint.Here("backup.closed")
	return b.seal(ctx)
}

// seal writes the manifest.
func (b *run) seal(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	b.man.Ended = time.Now().UTC()
	b.man.Sum()
	data, err := b.man.Encode()
	if err != nil {
		return err
	}
	return b.draft.Seal(ctx, data)
}

// discard removes what there is of the backup.
func (b *run) discard(ctx context.Context) error { return b.draft.Discard(context.WithoutCancel(ctx)) }
