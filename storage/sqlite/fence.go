package sqlite

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/sqlite/internal/capi"
)

// defaultFenceWait is the wait of a fence that does not say how long.
const defaultFenceWait = 50 * time.Millisecond

var _ storage.Fencer = (*Storage)(nil)

// Fence implements storage.Fencer: it holds SQLite's write lock on the whole
// file. Writers of this process queue; those of others poll, up to their busy
// timeouts.
func (s *Storage) Fence(ctx context.Context, opts storage.FenceOptions) (storage.Fence, error) {
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	defer s.end()
	c, err := openConn(s.set, capi.ReadWrite)
	if err != nil {
		return nil, s.readError(err)
	}
	probe, err := openConn(s.set, capi.ReadWrite)
	if err != nil {
		_ = c.Close()
		return nil, s.readError(err)
	}
	f := &fence{s: s, c: c, probe: probe}
	fail := func(err error) (storage.Fence, error) {
		f.close()
		return nil, err
	}
	c.BusyTimeout(0)
	wait := opts.Wait
	if wait <= 0 {
		wait = defaultFenceWait
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	if err := s.file.take(ctx); err != nil {
		return fail(&storage.FenceBusyError{Storage: s.name, Err: err})
	}
	for tries := newBackoff(wait); ; {
		err := c.Exec("BEGIN IMMEDIATE")
		if err == nil {
			break
		}
		if capi.IsBusy(err) && tries.sleep(ctx) {
			continue
		}
		s.file.give()
		if capi.IsBusy(err) {
			return fail(&storage.FenceBusyError{Storage: s.name, Holders: othersOf(s.set.path), Err: err})
		}
		return fail(s.readError(err))
	}
	f.held = true
	if f.version, err = dataVersion(probe); err != nil {
		_ = f.Release(ctx)
		return nil, s.readError(err)
	}
	return f, nil
}

// fence is a fence over a file.
type fence struct {
	s       *Storage
	c       *capi.Conn // has the write lock
	probe   *capi.Conn // sees the commits of others
	version string
	mu      sync.Mutex
	held    bool
}

// Alive implements storage.Fence: the lock is held, the file is the one that
// the path names, and nobody has committed since.
func (f *fence) Alive(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	lost := func(why string) error {
		return &model.Error{Class: model.ErrUnavailable, Op: "fence on storage", Subject: strconv.Quote(f.s.name), Detail: why}
	}
	if !f.held || !f.c.InTransaction() {
		return lost("it is no longer held")
	}
	if id, err := identityOf(f.s.set.path); err != nil || id != f.s.file.identity {
		return lost("the file " + f.s.set.path + " was moved or replaced")
	}
	v, err := dataVersion(f.probe)
	if err != nil {
		return f.s.readError(err)
	}
	if v != f.version {
		return lost("somebody committed in spite of the lock; is the file on a network file system?")
	}
	return nil
}

// Release implements storage.Fence.
func (f *fence) Release(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.held {
		return nil
	}
	f.held = false
	err := f.c.Exec("ROLLBACK")
	f.close() // this, too, ends the transaction
	f.s.file.give()
	return f.s.readError(err)
}

func (f *fence) close() {
	_ = f.c.Close()
	_ = f.probe.Close()
}

// dataVersion changes when another connection commits.
func dataVersion(c *capi.Conn) (string, error) {
	rows, err := c.Strings("PRAGMA data_version")
	if err != nil || len(rows) != 1 {
		return "", errors.Join(err)
	}
	return rows[0][0], nil
}

func identityOf(path string) (string, error) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", err
	}
	info, err := os.Stat(real)
	if err != nil {
		return "", err
	}
	return fileIdentity(real, info), nil
}

// ProveFence implements storage.Fencer.
func (s *Storage) ProveFence(ctx context.Context, opts storage.FenceOptions) error {
	fence, err := s.Fence(ctx, opts)
	if err != nil {
		return err
	}
	defer func() { _ = fence.Release(ctx) }()
	second, err := openConn(s.set, capi.ReadWrite)
	if err != nil {
		return s.readError(err)
	}
	defer func() { _ = second.Close() }()
	second.BusyTimeout(0)
	switch err := second.Exec("BEGIN IMMEDIATE"); {
	case err == nil:
		return &model.Error{Class: model.ErrRefused, Op: "fence on storage", Subject: strconv.Quote(s.name),
			Detail: "a second session could write under the lock; the file system of " + s.set.path + " has no locks that work"}
	case !capi.IsBusy(err):
		return s.readError(err)
	}
	return fence.Alive(ctx)
}
