package sqlite

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/stillpoint-db/stillpoint/model"
)

// file is what all Storages of this process on one database file share: their
// turn to write. SQLite's own lock is polled and serves nobody in order; this
// one does, so that neither a fence nor a writer starves beside the other.
type file struct {
	identity string // of the file, whatever its path
	path     string // without links
	info     fs.FileInfo
	turn     chan struct{}
	commits  atomic.Uint64 // by writers of this process
	refs     int
}

var (
	filesMu sync.Mutex
	files   = map[string]*file{}
)

// fileOf finds the file at path; fs.ErrNotExist if there is none. Release it when
// done. A second name of a file that is open, a hard link, is refused.
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
	for _, f := range files {
		if os.SameFile(f.info, info) && !sameName(f.path, real) {
			return nil, &model.Error{Class: model.ErrBadArgument, Detail: fmt.Sprintf("SQLite file %s is open already, under its other name %s", real, f.path),
				Hint: "Use one name everywhere: SQLite keeps what is not yet in a file beside the name that it was opened by, and two names destroy the data"}
		}
	}
	f := files[id]
	if f == nil {
		f = &file{identity: id, path: real, info: info, turn: make(chan struct{}, 1)}
		files[id] = f
	}
	f.refs++
	return f, nil
}

// sameName tells whether two paths are one name in one folder, which may be
// mounted twice.
func sameName(a, b string) bool {
	if a == b {
		return true
	}
	folderA, errA := os.Stat(filepath.Dir(a))
	folderB, errB := os.Stat(filepath.Dir(b))
	return filepath.Base(a) == filepath.Base(b) && errA == nil && errB == nil && os.SameFile(folderA, folderB)
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
