package sqlite

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
)

// file is what all Storages of this process on one database file share: their
// turn to write. SQLite's own lock is polled and serves nobody in order; this
// one does, so that neither a fence nor a writer starves beside the other.
type file struct {
	identity string // of the file, whatever its path
	turn     chan struct{}
	commits  atomic.Uint64 // by writers of this process
	refs     int
}

var (
	filesMu sync.Mutex
	files   = map[string]*file{}
)

// fileOf finds the file at path, which must exist. Release it when done.
func fileOf(path string) (*file, error) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(real)
	if err != nil {
		return nil, err
	}
	id := fileIdentity(real, info)
	filesMu.Lock()
	defer filesMu.Unlock()
	f := files[id]
	if f == nil {
		f = &file{identity: id, turn: make(chan struct{}, 1)}
		files[id] = f
	}
	f.refs++
	return f, nil
}

func (f *file) release() {
	filesMu.Lock()
	defer filesMu.Unlock()
	if f.refs--; f.refs == 0 {
		delete(files, f.identity)
	}
}

// take waits for the turn to write.
func (f *file) take(ctx context.Context) error {
	select {
	case f.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for other writers of this process: %w", ctx.Err())
	}
}

// give lets the next one write.
func (f *file) give() { <-f.turn }
