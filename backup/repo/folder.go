package repo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stillpoint-db/stillpoint/internal/failpoint"
	"github.com/stillpoint-db/stillpoint/model"
)

// Folder is a repository in a folder:
//
//	stillpoint-repository.json   says that this is a repository, and its version
//	lock                         who writes now; empty = nobody
//	<id>/                        a sealed backup
//	  manifest.json
//	  manifest.sha256            its checksum, as sha256sum writes it
//	  data/…                     the files
//	  <name>.note                what was noted later
//	<id>.unfinished/             a backup being written, or left by a run that died
//	<id>.deleting/               a backup being deleted
//
// Folders are for their owner only (0700), and so are files (0600).
type Folder struct{ root string }

var _ Repository = (*Folder)(nil)

const (
	markerName     = "stillpoint-repository.json"
	manifestName   = "manifest.json"
	sumName        = "manifest.sha256"
	dataName       = "data"
	noteSuffix     = ".note"
	unfinished     = ".unfinished"
	deleting       = ".deleting"
	folderMode     = 0o700
	fileMode       = 0o600
	currentVersion = 1
)

type marker struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
}

// InFolder names a repository in a folder. It does no I/O.
func InFolder(path string) *Folder {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	return &Folder{root: path}
}

// Location implements Repository.
func (r *Folder) Location() string { return r.root }

// check tells whether the folder is a repository that this version can use.
func (r *Folder) check() error {
	b, err := os.ReadFile(filepath.Join(r.root, markerName))
	if err == nil {
		return r.checkMarker(b)
	}
	if info, statErr := os.Stat(r.root); statErr == nil && !info.IsDir() {
		return r.foreign("is not a folder")
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return r.trouble("open repository", err)
	}
	entries, err := os.ReadDir(r.root)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return r.trouble("open repository", err)
	}
	if slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return !ignorable(e.Name()) }) {
		if slices.ContainsFunc(entries, func(e fs.DirEntry) bool { _, err := ParseID(e.Name()); return err == nil }) {
			return r.unmarked()
		}
		return r.foreign("has no " + markerName)
	}
	return &model.Error{Class: model.ErrNotFound, Detail: fmt.Sprintf("there is no backup repository at %s", r.root),
		Hint: "The first stillpoint backup create makes it"}
}

func (r *Folder) checkMarker(b []byte) error {
	var m marker
	if err := json.Unmarshal(b, &m); err != nil || m.Format != "stillpoint-repository" || m.Version < 1 {
		return r.foreign("has a " + markerName + " that is not one")
	}
	if m.Version > currentVersion {
		return &model.Error{Class: model.ErrRefused, Detail: fmt.Sprintf("repository %s has format %d; this version of stillpoint knows up to %d", r.root, m.Version, currentVersion),
			Hint: "Use the version that made it, or a later one"}
	}
	return nil
}

func (r *Folder) foreign(why string) error {
	return &model.Error{Class: model.ErrRefused, Detail: fmt.Sprintf("%s is not a backup repository: it %s", r.root, why),
		Hint: "Give --repo a folder that is empty, does not exist yet, or holds backups. Nothing was changed"}
}

// unmarked refuses a folder with backups whose marker was lost, and says how it
// is made again.
func (r *Folder) unmarked() error {
	return &model.Error{Class: model.ErrRefused, Detail: fmt.Sprintf("repository %s holds backups, but its %s is gone", r.root, markerName),
		Hint: fmt.Sprintf(`If nothing else is wrong with it, make that file again with the content {"format":"stillpoint-repository","version":%d}. Nothing was changed`, currentVersion)}
}

// make makes the folder a repository if it is missing or empty.
func (r *Folder) make() error {
	if err := r.check(); !errors.Is(err, model.ErrNotFound) {
		return err
	}
	if err := makeFolders(r.root); err != nil {
		return r.trouble("make repository", err)
	}
	failpoint.Here("backup.repository.folder-made")
	b, err := json.Marshal(marker{"stillpoint-repository", currentVersion})
	if err != nil {
		return err
	}
	return r.put(filepath.Join(r.root, markerName), append(b, '\n'))
}

// makeFolders makes a folder and those above it durably: each is named in a folder
// that is synced. One that may not be read cannot be; it is left at that.
func makeFolders(path string) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	parent := filepath.Dir(path)
	if err := makeFolders(parent); err != nil {
		return err
	}
	if err := os.Mkdir(path, folderMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := syncFolder(parent); !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return nil
}

// ignorable tells what a new repository may find in its folder: what an
// earlier attempt left, and what file systems put there.
func ignorable(name string) bool { return name == markerName+".tmp" || name == "lost+found" }

// put writes a file durably in one step: after a crash it is as it was, or as
// it should be.
func (r *Folder) put(path string, data []byte) error {
	tmp := path + ".tmp"
	if err := writeFile(tmp, data); err != nil {
		_ = os.Remove(tmp)
		return r.trouble("write to", err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return r.trouble("write to", err)
	}
	return r.trouble("write to", syncFolder(filepath.Dir(path)))
}

// writeFile writes and syncs a file.
func writeFile(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, fileMode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

// syncFolder makes the names in a folder durable.
func syncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	err = f.Sync()
	return errors.Join(err, f.Close())
}

// List implements Repository. What is not named as a backup is left out.
func (r *Folder) List(context.Context) ([]Entry, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	dir, err := os.ReadDir(r.root)
	if err != nil {
		return nil, r.trouble("list", err)
	}
	var list []Entry
	for _, d := range dir {
		name, state := d.Name(), Sealed
		if s, ok := strings.CutSuffix(name, unfinished); ok {
			name, state = s, Unfinished
		} else if s, ok := strings.CutSuffix(name, deleting); ok {
			name, state = s, Deleting
		}
		if created, err := ParseID(name); err == nil && d.IsDir() {
			list = append(list, Entry{ID: name, Created: created, State: state})
		}
	}
	slices.SortFunc(list, func(a, b Entry) int { return strings.Compare(a.ID, b.ID) })
	return list, nil
}

// path returns where a backup in some state is.
func (r *Folder) path(id, suffix string) string { return filepath.Join(r.root, id+suffix) }

// Delete implements Repository.
func (r *Folder) Delete(_ context.Context, id string) error {
	if err := r.check(); err != nil {
		return err
	}
	if _, err := ParseID(id); err != nil {
		return err
	}
	found := false
	for _, suffix := range []string{"", unfinished} {
		err := os.Rename(r.path(id, suffix), r.path(id, deleting))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return r.trouble("delete "+id+" in", err)
		}
		found = true
		break
	}
	failpoint.Here("backup.delete.renamed")
	if _, err := os.Stat(r.path(id, deleting)); err == nil {
		found = true
		if err := errors.Join(syncFolder(r.root), os.RemoveAll(r.path(id, deleting))); err != nil {
			return r.trouble("delete "+id+" in", err)
		}
	}
	if !found {
		return &model.Error{Class: model.ErrNotFound, Detail: fmt.Sprintf("there is no backup %s in %s", id, r.root),
			Hint: "See them with: stillpoint backup list --repo " + r.root}
	}
	return nil
}

// Free implements Repository.
func (r *Folder) Free(context.Context) (int64, error) {
	path := r.root
	for {
		n, err := FreeSpace(path)
		if parent := filepath.Dir(path); errors.Is(err, fs.ErrNotExist) && parent != path {
			path = parent
			continue
		}
		if err == nil {
			err = CheckWritable(path)
		}
		return n, r.trouble("use", err)
	}
}
