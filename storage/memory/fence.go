package memory

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/stillpoint-db/stillpoint/internal/mutant"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// Fence implements storage.Fencer. The fence ends by itself after
// Options.FenceLimit, as a dead session's does on a server.
func (s *Storage) Fence(ctx context.Context, opts storage.FenceOptions) (storage.Fence, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	names := slices.Clone(opts.Tables)
	slices.SortFunc(names, model.TableName.Compare)
	names = slices.Compact(names)
	if err := s.known(names); err != nil {
		return nil, err
	}
	wait := opts.Wait
	if wait <= 0 {
		wait = defaultFenceWait
	}
	bounded, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for i, name := range names {
		if err := s.db.locks.fenceOne(bounded, name, mutant.On("fence.ignore-in-flight")); err != nil {
			s.db.locks.unfence(names[:i])
			if ctx.Err() != nil {
				return nil, storage.UnavailableError(s.name, ctx.Err())
			}
			return nil, &storage.FenceBusyError{Storage: s.name, Table: name, Err: err}
		}
	}
	f := &fence{s: s, names: names}
	f.limit = time.AfterFunc(s.opts.FenceLimit, func() { f.end(true) })
	return f, nil
}

// known checks that the tables exist.
func (s *Storage) known(names []model.TableName) error {
	s.db.mu.RLock()
	defer s.db.mu.RUnlock()
	for _, name := range names {
		if _, err := s.db.find(name); err != nil {
			return err
		}
	}
	return nil
}

// ProveFence implements storage.Fencer.
func (s *Storage) ProveFence(ctx context.Context, opts storage.FenceOptions) error {
	f, err := s.Fence(ctx, opts)
	if err != nil {
		return err
	}
	defer func() { _ = f.Release(ctx) }()
	for _, name := range opts.Tables {
		soon, cancel := context.WithTimeout(ctx, time.Millisecond)
		unlock, err := s.db.locks.write(soon, []model.TableName{name})
		cancel()
		if err == nil {
			unlock()
			return model.Errorf(model.ErrRefused, "storage %q: a write to %s went past the fence", s.name, name)
		}
	}
	return nil
}

// fence implements storage.Fence.
type fence struct {
	s     *Storage
	names []model.TableName
	limit *time.Timer

	mu    sync.Mutex
	ended bool
	lost  bool
}

var errFenceLost = errors.New("the fence was held for too long and the database ended it")

// Alive implements storage.Fence.
func (f *fence) Alive(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.lost:
		return storage.UnavailableError(f.s.name, errFenceLost)
	case f.ended:
		return model.Errorf(model.ErrBadArgument, "storage %q: the fence is released", f.s.name)
	}
	return nil
}

// Release implements storage.Fence.
func (f *fence) Release(context.Context) error {
	f.limit.Stop()
	f.end(false)
	return nil
}

func (f *fence) end(lost bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended {
		return
	}
	f.ended, f.lost = true, lost
	f.s.db.locks.unfence(f.names)
}
