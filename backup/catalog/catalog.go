// Package catalog finds backups in a repository and reads them: to restore,
// check or verify one, Open it and range over the rows of its tables.
package catalog

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"slices"
	"time"

	"github.com/stillpoint-db/stillpoint/backup/archive"
	"github.com/stillpoint-db/stillpoint/backup/manifest"
	"github.com/stillpoint-db/stillpoint/backup/repo"
	"github.com/stillpoint-db/stillpoint/model"
)

// Latest stands for the id of the newest sealed backup.
const Latest = "latest"

// Backup is a sealed backup, opened for reading. Its methods may be called from
// several goroutines.
type Backup struct {
	Manifest *manifest.Manifest
	files    repo.Backup
	repo     string // its location, for hints
}

// Open opens a sealed backup by its id or as Latest: model.ErrNotFound if there
// is none, model.ErrDamaged, naming the last complete one, if its manifest is,
// model.ErrRefused if a later version made it.
func Open(ctx context.Context, r repo.Repository, id string) (*Backup, error) {
	id, err := Resolve(ctx, r, id)
	if err != nil {
		return nil, err
	}
	b, err := open(ctx, r, id)
	if errors.Is(err, model.ErrDamaged) {
		return nil, WithEarlier(ctx, r, id, err)
	}
	return b, err
}

// WithEarlier adds to an error about a damaged backup which one before it is
// complete.
func WithEarlier(ctx context.Context, r repo.Repository, id string, err error) error {
	list, listErr := List(ctx, r)
	if listErr != nil {
		return err
	}
	hint := "There is no complete backup before it"
	for _, e := range list {
		if e.ID < id && e.State == repo.Sealed && e.Problem == "" && (e.Verified == nil || e.Verified.Sound) {
			hint = "The last complete backup before it is " + e.ID
		}
	}
	return &model.Error{Class: model.ErrDamaged, Err: err, Hint: hint}
}

func open(ctx context.Context, r repo.Repository, id string) (*Backup, error) {
	b, err := r.Open(ctx, id)
	if err != nil {
		return nil, err
	}
	return read(ctx, r, b)
}

// Resolve turns Latest (or "") into the id of the newest sealed backup:
// model.ErrNotFound if there is none. Other ids are returned as they are.
func Resolve(ctx context.Context, r repo.Repository, id string) (string, error) {
	if id != Latest && id != "" {
		return id, nil
	}
	list, err := r.List(ctx)
	if err != nil {
		return "", err
	}
	for _, e := range slices.Backward(list) {
		if e.State == repo.Sealed {
			return e.ID, nil
		}
	}
	return "", &model.Error{Class: model.ErrNotFound, Detail: "there is no complete backup in " + r.Location(),
		Hint: "Make one with: stillpoint backup create"}
}

func read(ctx context.Context, r repo.Repository, b repo.Backup) (*Backup, error) {
	data, err := b.Manifest(ctx)
	if err != nil {
		return nil, err
	}
	m, err := manifest.Decode(data)
	if err != nil {
		return nil, fmt.Errorf("backup %s: %w", b.ID(), err)
	}
	if m.ID != b.ID() {
		return nil, model.Errorf(model.ErrDamaged, "backup %s holds the manifest of backup %s", b.ID(), m.ID)
	}
	return &Backup{Manifest: m, files: b, repo: r.Location()}, nil
}

// ID returns the backup's id.
func (b *Backup) ID() string { return b.Manifest.ID }

// Files returns the backup as the repository keeps it.
func (b *Backup) Files() repo.Backup { return b.files }

// Table returns the definition of a table in the backup: model.ErrNotFound if
// it is not there.
func (b *Backup) Table(name model.TableName) (*model.Table, error) {
	t := b.Manifest.Table(name)
	if t == nil {
		return nil, model.Errorf(model.ErrNotFound, "table %s is not in backup %s", name, b.ID())
	}
	return t.Definition.Table()
}

// Rows streams all rows of a table, file after file. A row is valid until the
// next one is asked for; the memory of its TEXT and BLOB values is shared with
// the rows around it (see archive.Reader.Next). The sequence ends after an
// error: model.ErrDamaged, naming file and range, if the data is not what was
// written. That a file is whole, and the one that the manifest lists, is known
// after its last row.
func (b *Backup) Rows(ctx context.Context, t *manifest.Table) iter.Seq2[*model.Row, error] {
	return func(yield func(*model.Row, error) bool) {
		for i := range t.Files {
			for row, err := range b.FileRows(ctx, t, &t.Files[i]) {
				if !yield(row, err) || err != nil {
					return
				}
			}
		}
	}
}

// FileRows streams the rows of one file of a table, so that several may be read
// at once. What Rows says holds here too.
func (b *Backup) FileRows(ctx context.Context, t *manifest.Table, f *manifest.File) iter.Seq2[*model.Row, error] {
	return func(yield func(*model.Row, error) bool) {
		if err := b.fileRows(ctx, t, f, yield); err != nil && !errors.Is(err, errStopped) {
			yield(nil, err)
		}
	}
}

var errStopped = errors.New("stopped")

func (b *Backup) fileRows(ctx context.Context, t *manifest.Table, f *manifest.File, yield func(*model.Row, error) bool) (err error) {
	in, err := b.files.Open(ctx, f.Name, 0)
	if err != nil {
		if errors.Is(err, model.ErrNotFound) {
			return &model.Error{Class: model.ErrDamaged, Detail: fmt.Sprintf("backup %s is damaged: file %s is missing", b.ID(), f.Name)}
		}
		return err
	}
	defer func() {
		if closed := in.Close(); err == nil {
			err = closed
		}
	}()
	src := &summed{in: in, sum: sha256.New()}
	r, err := archive.NewReader(src)
	if err != nil {
		return b.damaged(f.Name, err)
	}
	if got := archive.Define(r.Table()).Hash(); got != t.Hash {
		return b.damaged(f.Name, model.Errorf(model.ErrDamaged, "it holds rows of another table (%s)", r.Table().Name()))
	}
	rows := int64(0)
	for {
		if rows%1024 == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		row, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return b.damaged(f.Name, err)
		}
		rows++
		if !yield(row, nil) {
			return errStopped
		}
	}
	if rows != f.Rows {
		return b.damaged(f.Name, model.Errorf(model.ErrDamaged, "it holds %d rows, not %d", rows, f.Rows))
	}
	// Whole in itself it may still be another backup's file of this table.
	if src.size != f.Size || hex.EncodeToString(src.sum.Sum(nil)) != f.SHA256 {
		return b.damaged(f.Name, model.Errorf(model.ErrDamaged, "it is not the file that was written"))
	}
	return nil
}

// summed is a file of which the size and the checksum are taken while it is read.
type summed struct {
	in   io.Reader
	sum  hash.Hash
	size int64
}

// Read implements io.Reader.
func (s *summed) Read(p []byte) (int, error) {
	n, err := s.in.Read(p)
	s.sum.Write(p[:n])
	s.size += int64(n)
	return n, err
}

// damaged says which file of which backup an error is about.
func (b *Backup) damaged(name string, err error) error {
	if d, is := errors.AsType[*archive.DamageError](err); is {
		return &model.Error{Class: model.ErrDamaged, Detail: fmt.Sprintf("backup %s is damaged: %s (%s): %s", b.ID(), name, d.Where(), d.Reason),
			Hint: "See what is still whole with: stillpoint backup verify --repo " + b.repo + " --backup " + b.ID()}
	}
	return fmt.Errorf("backup %s, file %s: %w", b.ID(), name, err)
}

// Entry is one line of a list of backups.
type Entry struct {
	ID       string             `json:"id"`
	Created  time.Time          `json:"created"` // its moment; by its id, if its manifest cannot be read
	State    repo.State         `json:"state"`
	Manifest *manifest.Manifest `json:"-"`                  // nil unless sealed and readable
	Verified *manifest.Verified `json:"verified,omitempty"` // nil = never
	Strategy manifest.Strategy  `json:"strategy,omitempty"`
	Storages []string           `json:"storages,omitempty"`
	Totals   *manifest.Totals   `json:"totals,omitempty"`
	Problem  string             `json:"problem,omitempty"` // why a sealed backup cannot be read
	Err      error              `json:"-"`                 // the same
}

// List returns every backup of a repository, unfinished ones too, the oldest
// first.
func List(ctx context.Context, r repo.Repository) ([]Entry, error) {
	found, err := r.List(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]Entry, 0, len(found))
	for _, f := range found {
		e := Entry{ID: f.ID, Created: f.Created, State: f.State}
		if f.State == repo.Sealed {
			if err := e.read(ctx, r); err != nil {
				e.Problem, e.Err = err.Error(), err
			}
		}
		list = append(list, e)
	}
	return list, nil
}

func (e *Entry) read(ctx context.Context, r repo.Repository) error {
	b, err := open(ctx, r, e.ID)
	if err != nil {
		return err
	}
	m := b.Manifest
	e.Manifest, e.Strategy, e.Totals, e.Created = m, m.Strategy, &m.Totals, m.Moment
	for _, s := range m.Storages {
		e.Storages = append(e.Storages, s.Name)
	}
	e.Verified, err = b.Verified(ctx)
	return err
}

// Verified returns the record of the last verification; nil if there was none, or
// if it cannot be read: the backup is no worse for that.
func (b *Backup) Verified(ctx context.Context) (*manifest.Verified, error) {
	data, err := b.files.Note(ctx, manifest.VerifiedNote)
	if errors.Is(err, model.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	v, err := manifest.DecodeVerified(data)
	if errors.Is(err, model.ErrDamaged) {
		return nil, nil
	}
	return v, err
}
