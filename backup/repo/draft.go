package repo

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/stillpoint-db/stillpoint/internal/failpoint"
	"github.com/stillpoint-db/stillpoint/model"
)

// folderDraft implements Draft.
type folderDraft struct {
	r  *Folder
	id string

	mu      sync.Mutex
	folders map[string]bool // made, and to be synced by Seal
}

// Begin implements Repository.
func (r *Folder) Begin(_ context.Context, id string) (Draft, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	if _, err := ParseID(id); err != nil {
		return nil, err
	}
	for _, suffix := range []string{"", deleting} {
		if _, err := os.Lstat(r.path(id, suffix)); err == nil {
			return nil, model.Errorf(model.ErrExists, "backup %s exists already in %s", id, r.root)
		}
	}
	d := &folderDraft{r: r, id: id, folders: map[string]bool{}}
	if err := os.Mkdir(d.root(), folderMode); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return nil, model.Errorf(model.ErrExists, "backup %s exists already in %s", id, r.root)
		}
		return nil, r.trouble("begin a backup in", err)
	}
	d.folders[d.root()] = true
	return d, nil
}

func (d *folderDraft) root() string { return d.r.path(d.id, unfinished) }

// ID implements Draft.
func (d *folderDraft) ID() string { return d.id }

// Create implements Draft.
func (d *folderDraft) Create(_ context.Context, name string) (io.WriteCloser, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	path := filepath.Join(d.root(), dataName, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), folderMode); err != nil {
		return nil, d.r.trouble("write to", err)
	}
	d.mu.Lock()
	for dir := filepath.Dir(path); !d.folders[dir]; dir = filepath.Dir(dir) {
		d.folders[dir] = true
	}
	d.mu.Unlock()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if errors.Is(err, fs.ErrExist) {
		return nil, model.Errorf(model.ErrExists, "file %s exists already in backup %s", name, d.id)
	}
	if err != nil {
		return nil, d.r.trouble("write to", err)
	}
	return &folderFile{d.r, f}, nil
}

// folderFile is a file whose Close makes it durable.
type folderFile struct {
	r *Folder
	f *os.File
}

// Write implements io.Writer.
func (f *folderFile) Write(b []byte) (int, error) {
	n, err := f.f.Write(b)
	return n, f.r.trouble("write to", err)
}

// Close implements io.Closer.
func (f *folderFile) Close() error {
	return f.r.trouble("write to", errors.Join(f.f.Sync(), f.f.Close()))
}

// Seal implements Draft.
func (d *folderDraft) Seal(_ context.Context, manifest []byte) error {
	sum := fmt.Sprintf("%x  %s\n", sha256.Sum256(manifest), manifestName)
	if err := writeFile(filepath.Join(d.root(), manifestName), manifest); err != nil {
		return d.r.trouble("write to", err)
	}
	failpoint.Here("backup.seal.manifest-written")
	if err := writeFile(filepath.Join(d.root(), sumName), []byte(sum)); err != nil {
		return d.r.trouble("write to", err)
	}
	for dir := range d.folders {
		if err := syncFolder(dir); err != nil {
			return d.r.trouble("write to", err)
		}
	}
	failpoint.Here("backup.seal.synced")
	if err := os.Rename(d.root(), d.r.path(d.id, "")); err != nil {
		return d.r.trouble("write to", err)
	}
	failpoint.Here("backup.seal.renamed")
	return d.r.trouble("write to", syncFolder(d.r.root))
}

// Discard implements Draft.
func (d *folderDraft) Discard(context.Context) error {
	return d.r.trouble("clean up", os.RemoveAll(d.root()))
}
