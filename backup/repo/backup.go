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
	"slices"
	"strings"

	"github.com/stillpoint-db/stillpoint/model"
)

// folderBackup implements Backup.
type folderBackup struct {
	r  *Folder
	id string
}

// Open implements Repository.
func (r *Folder) Open(_ context.Context, id string) (Backup, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	if _, err := ParseID(id); err != nil {
		return nil, err
	}
	info, err := os.Stat(r.path(id, ""))
	if err == nil && info.IsDir() {
		return &folderBackup{r, id}, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, r.trouble("open backup "+id+" in", err)
	}
	missing := &model.Error{Class: model.ErrNotFound, Detail: fmt.Sprintf("there is no backup %s in %s", id, r.root),
		Hint: "See them with: stillpoint backup list --repo " + r.root}
	if _, err := os.Stat(r.path(id, unfinished)); err == nil {
		missing.Detail = fmt.Sprintf("backup %s in %s is unfinished: it is being written, or its run died", id, r.root)
	}
	return nil, missing
}

func (b *folderBackup) path(name string) string {
	return filepath.Join(b.r.path(b.id, ""), filepath.FromSlash(name))
}

// ID implements Backup.
func (b *folderBackup) ID() string { return b.id }

func (b *folderBackup) damaged(format string, args ...any) error {
	return &model.Error{Class: model.ErrDamaged, Detail: fmt.Sprintf("backup %s is damaged: %s", b.id, fmt.Sprintf(format, args...))}
}

// Manifest implements Backup.
func (b *folderBackup) Manifest(context.Context) ([]byte, error) {
	data, err := os.ReadFile(b.path(manifestName))
	var sum []byte
	if err == nil {
		sum, err = os.ReadFile(b.path(sumName))
	}
	if p, is := errors.AsType[*fs.PathError](err); is && errors.Is(err, fs.ErrNotExist) {
		return nil, b.damaged("%s is missing", filepath.Base(p.Path))
	}
	if err != nil {
		return nil, b.r.trouble("read backup "+b.id+" in", err)
	}
	if want := fmt.Sprintf("%x  %s\n", sha256.Sum256(data), manifestName); string(sum) != want {
		return nil, b.damaged("%s or %s differs from what was written", manifestName, sumName)
	}
	return data, nil
}

// Open implements Backup.
func (b *folderBackup) Open(_ context.Context, name string, offset int64) (io.ReadCloser, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	f, err := os.Open(b.path(dataName + "/" + name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, model.Errorf(model.ErrNotFound, "file %s of backup %s is missing", name, b.id)
	}
	if err == nil && offset != 0 {
		_, err = f.Seek(offset, io.SeekStart)
	}
	if err != nil {
		return nil, b.r.trouble("read "+name+" of backup "+b.id+" in", err)
	}
	return f, nil
}

// Files implements Backup.
func (b *folderBackup) Files(context.Context) ([]File, error) {
	root := b.path(dataName)
	var files []File
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			if path == root && errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		files = append(files, File{filepath.ToSlash(name), info.Size()})
		return err
	})
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	return files, b.r.trouble("list the files of backup "+b.id+" in", err)
}

// Note implements Backup.
func (b *folderBackup) Note(_ context.Context, name string) ([]byte, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(b.path(Path(name) + noteSuffix))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, model.Errorf(model.ErrNotFound, "backup %s has no note %q", b.id, name)
	}
	return data, b.r.trouble("read backup "+b.id+" in", err)
}

// Notes implements Backup.
func (b *folderBackup) Notes(context.Context) ([]string, error) {
	dir, err := os.ReadDir(b.path(""))
	if err != nil {
		return nil, b.r.trouble("read backup "+b.id+" in", err)
	}
	var names []string
	for _, d := range dir {
		if name, is := strings.CutSuffix(d.Name(), noteSuffix); is && !d.IsDir() {
			names = append(names, name)
		}
	}
	return names, nil // ReadDir sorts; names as Path wrote them
}

// PutNote implements Backup.
func (b *folderBackup) PutNote(_ context.Context, name string, data []byte) error {
	if err := checkName(name); err != nil {
		return err
	}
	return b.r.put(b.path(Path(name)+noteSuffix), data)
}
