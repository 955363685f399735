package create

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/stillpoint-db/stillpoint/backup/manifest"
	"github.com/stillpoint-db/stillpoint/backup/plan"
	"github.com/stillpoint-db/stillpoint/storage"
)

const (
	partBytes = 64 << 20 // a table is cut into parts of about this
	mostParts = 1000     // of one table
)

// task is one part of a table to be copied.
type task struct {
	t    *table
	part storage.Part
}

// copy copies all rows, several parts at once.
func (b *run) copy(ctx context.Context) error {
	queues := make([][]task, len(b.sources))
	if err := each(b.sources, func(s *source) (err error) {
		queues[slices.Index(b.sources, s)], err = b.split(ctx, s)
		return err
	}); err != nil {
		return err
	}
	left := map[*source]int{}
	for i, s := range b.sources {
		left[s] = len(queues[i])
		b.opts.Progress.Copying(s.db.Name, s.db.Bytes)
	}
	for _, s := range b.sources {
		if left[s] == 0 {
			b.opts.Progress.Complete(s.db.Name)
		}
	}
	done := make(chan *source)
	counted := make(chan struct{})
	go func() {
		defer close(counted)
		for s := range done {
			if left[s]--; left[s] == 0 {
				b.opts.Progress.Complete(s.db.Name)
			}
		}
	}()
	th := newThrottle(b.opts.Throttle)
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(b.opts.Workers)
	for _, task := range interleave(queues) {
		if gctx.Err() != nil {
			break
		}
		g.Go(func() error {
			if err := b.copyPart(gctx, task, th); err != nil {
				return fmt.Errorf("copy %s of storage %q: %w", task.t.def.Name(), task.t.plan.Storage, err)
			}
			done <- task.t.source
			return nil
		})
	}
	err := g.Wait()
	close(done)
	<-counted
	if err != nil {
		return err
	}
	b.list()
	return ctx.Err()
}

// split cuts the tables of a source into parts, the largest tables first.
func (b *run) split(ctx context.Context, s *source) ([]task, error) {
	tables := slices.Clone(s.tables)
	slices.SortStableFunc(tables, func(x, y *table) int { return cmp.Compare(y.plan.Bytes, x.plan.Bytes) })
	var tasks []task
	for _, t := range tables {
		parts, err := s.snap.Split(ctx, t.def, b.parts(t.plan))
		if err != nil {
			return nil, fmt.Errorf("split %s: %w", t.def.Name(), spoiled(err))
		}
		for _, p := range parts {
			tasks = append(tasks, task{t, p})
		}
	}
	return tasks, nil
}

// parts is the most parts that a table is cut into.
func (b *run) parts(t *plan.Table) int {
	if t.Bytes < 0 {
		return min(b.opts.Workers, mostParts)
	}
	return int(min(t.Bytes/partBytes+1, mostParts))
}

// readers is the most parts of a database that are read at once. Each needs a
// session of its own, and the server has no more of them than its applications
// need: none is opened that would have nothing to read.
func (b *run) readers(db *plan.Database) int {
	n := 0
	for _, t := range db.Tables {
		n += b.parts(t)
	}
	return min(n, b.opts.Workers)
}

// interleave mixes the queues, so that all databases are read from the start.
func interleave(queues [][]task) []task {
	var all []task
	for i := 0; ; i++ {
		any := false
		for _, q := range queues {
			if i < len(q) {
				all, any = append(all, q[i]), true
			}
		}
		if !any {
			return all
		}
	}
}

// list puts the tables with their files into the manifest.
func (b *run) list() {
	for _, s := range b.sources {
		for i := range b.man.Storages {
			if b.man.Storages[i].Name == s.db.Name {
				b.man.Storages[i].Opened = s.opened
			}
		}
		for _, t := range s.tables {
			files := slices.SortedFunc(slices.Values(t.files), func(x, y manifest.File) int { return cmp.Compare(x.Name, y.Name) })
			b.man.Tables = append(b.man.Tables, entry(t, files))
		}
	}
}
