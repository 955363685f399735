package faulty

import (
	"context"
	"iter"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// The optional powers are those of the storage that is wrapped: model.ErrRefused
// where it lacks one, as its Capabilities say.

func power[T any](s *Storage, what string) (T, error) {
	p, ok := s.Storage.(T)
	if !ok {
		return p, model.Errorf(model.ErrRefused, "storage %q has no %s", s.Name(), what)
	}
	return p, nil
}

// Fence implements storage.Fencer.
func (s *Storage) Fence(ctx context.Context, opts storage.FenceOptions) (f storage.Fence, err error) {
	p, err := power[storage.Fencer](s, "fence")
	if err != nil {
		return nil, err
	}
	err = s.call(ctx, Call{Method: Fence, Tables: opts.Tables}, func(ctx context.Context) error {
		f, err = p.Fence(ctx, opts)
		return err
	})
	if err != nil && f != nil { // taken, and its answer lost: the session's end frees it
		_ = f.Release(context.WithoutCancel(ctx))
		f = nil
	}
	return f, err
}

// WarmFence implements storage.FenceWarmer.
func (s *Storage) WarmFence(ctx context.Context) error {
	if w, ok := s.Storage.(storage.FenceWarmer); ok {
		return w.WarmFence(ctx)
	}
	return nil // there is nothing to begin
}

// ProveFence implements storage.Fencer.
func (s *Storage) ProveFence(ctx context.Context, opts storage.FenceOptions) error {
	p, err := power[storage.Fencer](s, "fence")
	if err != nil {
		return err
	}
	return p.ProveFence(ctx, opts)
}

// PrepareSnapshot implements storage.Snapshotter.
func (s *Storage) PrepareSnapshot(ctx context.Context, opts storage.SnapshotOptions) (storage.Snapshot, error) {
	p, err := power[storage.Snapshotter](s, "snapshots")
	if err != nil {
		return nil, err
	}
	snap, err := p.PrepareSnapshot(ctx, opts)
	if err != nil {
		return nil, err
	}
	return &snapshot{Snapshot: snap, s: s, tables: opts.Tables}, nil
}

// snapshot lets Open fail on purpose.
type snapshot struct {
	storage.Snapshot
	s      *Storage
	tables []model.TableName
}

// Open implements storage.Snapshot.
func (p *snapshot) Open(ctx context.Context) error {
	return p.s.call(ctx, Call{Method: OpenSnapshot, Tables: p.tables}, p.Snapshot.Open)
}

// Load implements storage.Loader.
func (s *Storage) Load(ctx context.Context, t *model.Table, rows iter.Seq2[*model.Row, error]) (int64, error) {
	p, err := power[storage.Loader](s, "fast loading")
	if err != nil {
		return 0, err
	}
	return p.Load(ctx, t, rows)
}

// Inspect implements storage.Inspector.
func (s *Storage) Inspect(ctx context.Context, opts storage.InspectOptions) (storage.Inspection, error) {
	p, err := power[storage.Inspector](s, "inspection")
	if err != nil {
		return storage.Inspection{}, err
	}
	return p.Inspect(ctx, opts)
}

// Sessions implements storage.Inspector.
func (s *Storage) Sessions(ctx context.Context) ([]storage.Session, error) {
	p, err := power[storage.Inspector](s, "inspection")
	if err != nil {
		return nil, err
	}
	return p.Sessions(ctx)
}

// TerminateSessions implements storage.Inspector.
func (s *Storage) TerminateSessions(ctx context.Context) (int, error) {
	p, err := power[storage.Inspector](s, "inspection")
	if err != nil {
		return 0, err
	}
	return p.TerminateSessions(ctx)
}

var (
	_ storage.Storage     = (*Storage)(nil)
	_ storage.Fencer      = (*Storage)(nil)
	_ storage.FenceWarmer = (*Storage)(nil)
	_ storage.Snapshotter = (*Storage)(nil)
	_ storage.Loader      = (*Storage)(nil)
	_ storage.Inspector   = (*Storage)(nil)
)
