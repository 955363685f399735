package explore

import (
	"context"
	"errors"
	"strings"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/memory"
)

var errSimulated = errors.New("simulated")

// gate is the connection of one process to one database: every call stops until
// the scheduler lets it go on, twice for a write: before it reaches the
// database and, holding its locks there, before it is applied.
type gate struct {
	storage.Storage
	sched  *scheduler
	p      *process
	opened func() // called right after a snapshot is open, if not nil
}

// connect opens a gate. applied is told of each batch in the moment in which it
// is applied, its locks still held.
func connect(sched *scheduler, p *process, name string, db *memory.Database, opts memory.Options, applied func(context.Context, storage.Batch)) *gate {
	g := &gate{sched: sched, p: p}
	opts.Locked = func(ctx context.Context, b storage.Batch) {
		sched.wait(ctx, p, stopApply, "applies "+g.describe(b))
	}
	opts.Applied = applied
	g.Storage = db.Open(name, opts)
	return g
}

// Get implements storage.Storage.
func (g *gate) Get(ctx context.Context, gets []storage.Get) ([]*model.Row, error) {
	if err := g.read(ctx, func() string {
		names := make([]string, len(gets))
		for i, r := range gets {
			names[i] = row(r.Table, r.Key)
		}
		return "reads " + strings.Join(names, " ")
	}); err != nil {
		return nil, err
	}
	return g.Storage.Get(ctx, gets)
}

// Scan implements storage.Storage.
func (g *gate) Scan(ctx context.Context, scan storage.Scan) (storage.Page, error) {
	if err := g.read(ctx, func() string { return "scans " + scan.Table.Name().String() }); err != nil {
		return storage.Page{}, err
	}
	return g.Storage.Scan(ctx, scan)
}

func (g *gate) read(ctx context.Context, label func() string) error {
	if g.sched.wait(ctx, g.p, stopRead, label()) != proceed {
		return storage.UnavailableError(g.Name(), errSimulated)
	}
	return nil
}

// Mutate implements storage.Storage.
func (g *gate) Mutate(ctx context.Context, b storage.Batch) error {
	ctx = g.sched.begin(ctx)
	switch f := g.sched.wait(ctx, g.p, stopWrite, "writes "+g.describe(b)); f {
	case conflict:
		return storage.ConflictError(g.Name(), errSimulated)
	case unavailable:
		return storage.UnavailableError(g.Name(), errSimulated)
	case loseRequest, dead:
		return storage.UnknownError(g.Name(), errSimulated)
	case loseAnswer:
		_ = g.apply(context.WithoutCancel(ctx), b) // nobody is told
		return storage.UnknownError(g.Name(), errSimulated)
	case deliverLate:
		g.sched.work(func() {
			ctx := context.WithoutCancel(ctx)
			g.sched.wait(ctx, g.p, stopLate, "late "+g.describe(b))
			_ = g.apply(ctx, b) // nobody is told
		})
		return storage.UnknownError(g.Name(), errSimulated)
	}
	err := g.apply(ctx, b)
	if g.p.ctx.Err() != nil {
		return storage.UnknownError(g.Name(), errSimulated)
	}
	return err
}

func (g *gate) apply(ctx context.Context, b storage.Batch) error {
	err := g.Storage.Mutate(ctx, b)
	if err != nil {
		g.sched.note("%s: not applied: %v", g.describe(b), err)
	}
	return err
}

func (g *gate) describe(b storage.Batch) string {
	parts := make([]string, len(b.Mutations))
	for i, m := range b.Mutations {
		parts[i] = m.Kind.String() + " " + row(m.Table, m.Key)
	}
	return g.Name() + ": " + strings.Join(parts, ", ")
}

func row(t *model.Table, k model.Key) string { return t.Name().String() + k.String() }

// Fence implements storage.Fencer.
func (g *gate) Fence(ctx context.Context, opts storage.FenceOptions) (storage.Fence, error) {
	if g.sched.wait(ctx, g.p, stopStep, "fences "+g.Name()) != proceed {
		return nil, storage.UnavailableError(g.Name(), errSimulated)
	}
	f, err := g.Storage.(storage.Fencer).Fence(ctx, opts)
	if err != nil {
		return nil, err
	}
	return &gatedFence{f, g}, nil
}

// ProveFence implements storage.Fencer.
func (g *gate) ProveFence(ctx context.Context, opts storage.FenceOptions) error {
	return g.Storage.(storage.Fencer).ProveFence(ctx, opts)
}

type gatedFence struct {
	storage.Fence
	g *gate
}

// Alive implements storage.Fence.
func (f *gatedFence) Alive(ctx context.Context) error {
	if f.g.sched.wait(ctx, f.g.p, stopStep, "looks whether its fence lives in "+f.g.Name()) != proceed {
		return storage.UnavailableError(f.g.Name(), errSimulated)
	}
	return f.Fence.Alive(ctx)
}

// Release implements storage.Fence.
func (f *gatedFence) Release(ctx context.Context) error {
	if f.g.sched.wait(ctx, f.g.p, stopStep, "releases "+f.g.Name()) != proceed {
		return storage.UnavailableError(f.g.Name(), errSimulated) // the database ends it in a while
	}
	return f.Fence.Release(ctx)
}

// PrepareSnapshot implements storage.Snapshotter.
func (g *gate) PrepareSnapshot(ctx context.Context, opts storage.SnapshotOptions) (storage.Snapshot, error) {
	snap, err := g.Storage.(storage.Snapshotter).PrepareSnapshot(ctx, opts)
	if err != nil {
		return nil, err
	}
	return &gatedSnapshot{snap, g}, nil
}

type gatedSnapshot struct {
	storage.Snapshot
	g *gate
}

// Open implements storage.Snapshot.
func (s *gatedSnapshot) Open(ctx context.Context) error {
	if s.g.sched.wait(ctx, s.g.p, stopStep, "opens the snapshot of "+s.g.Name()) != proceed {
		return storage.UnavailableError(s.g.Name(), errSimulated)
	}
	err := s.Snapshot.Open(ctx)
	if err == nil && s.g.opened != nil {
		s.g.opened()
	}
	return err
}
