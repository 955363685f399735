// Package repo is where backups live. A Repository keeps backups under ids; a
// backup is a set of files and, written last, a manifest. Until it is sealed a
// backup does not exist for anyone who reads.
//
// Folder keeps backups in a folder of this machine. The interfaces ask for no
// more than an object store can do: streaming puts of whole objects, gets by
// range, listing by prefix, deletion, and put-if-absent for locks and seals.
package repo

import (
	"context"
	"io"
	"time"
)

// Repository keeps backups. All methods may be called from several goroutines.
//
// Errors: model.ErrNotFound if there is no such repository or backup,
// model.ErrRefused if what is found there is not a repository or was made by a
// later version, model.ErrUnavailable if it cannot be reached or has no room
// (NoSpaceError).
type Repository interface {
	// Location names the repository for people, without secrets.
	Location() string
	// Lock keeps other runs that write out of the repository:
	// model.ErrLocked, saying who, if one is at work. The first Lock makes the
	// repository if there is none.
	Lock(ctx context.Context, purpose string) (Lock, error)
	// Begin makes room for a new backup, which others see as unfinished until
	// it is sealed: model.ErrExists if the id is taken. Under a Lock.
	Begin(ctx context.Context, id string) (Draft, error)
	// List returns every backup, unfinished ones too, the oldest first.
	List(ctx context.Context) ([]Entry, error)
	// Open opens a sealed backup: model.ErrNotFound if there is none under
	// this id, saying so if one is unfinished.
	Open(ctx context.Context, id string) (Backup, error)
	// Delete removes a backup, sealed or not. A Delete that is interrupted
	// leaves an unfinished one. Under a Lock.
	Delete(ctx context.Context, id string) error
	// Free returns how many bytes there is room for; -1 = no limit known. It fails
	// if this user cannot write there.
	Free(ctx context.Context) (int64, error)
}

// Lock is a held lock. Its process's death releases it.
type Lock interface {
	// Release lets go. It may be called more than once.
	Release() error
}

// Entry is one line of a list.
type Entry struct {
	ID      string
	Created time.Time
	State   State
}

// State says how far a backup is.
type State string

// The states.
const (
	Sealed     State = "sealed"
	Unfinished State = "unfinished" // being written, or left by a run that died
	Deleting   State = "deleting"   // being deleted, or left by a run that died
)

// Draft is a backup being written. Its methods may be called from several
// goroutines, except Seal and Discard, which come last.
type Draft interface {
	ID() string
	// Create begins a file. Names are slash-separated and come from Path.
	// Nothing can be said of the file before its Close returned nil; then it
	// is durable. model.ErrExists if the name is taken.
	Create(ctx context.Context, name string) (io.WriteCloser, error)
	// Seal writes the manifest and makes the backup exist, in one step.
	Seal(ctx context.Context, manifest []byte) error
	// Discard removes everything, whether or not ctx is done.
	Discard(ctx context.Context) error
}

// Backup is a sealed backup. Its methods may be called from several goroutines.
type Backup interface {
	ID() string
	// Manifest reads the manifest: model.ErrDamaged if it is missing or not
	// what was sealed.
	Manifest(ctx context.Context) ([]byte, error)
	// Open reads a file from an offset: model.ErrNotFound if it is missing.
	Open(ctx context.Context, name string, offset int64) (io.ReadCloser, error)
	// Files lists all files with their sizes, the repository's own excluded,
	// in order.
	Files(ctx context.Context) ([]File, error)
	// Note reads what was noted beside the manifest: model.ErrNotFound if
	// nothing was.
	Note(ctx context.Context, name string) ([]byte, error)
	// Notes lists the names of what was noted, in order.
	Notes(ctx context.Context) ([]string, error)
	// PutNote notes something beside the manifest, replacing it in one step.
	PutNote(ctx context.Context, name string, data []byte) error
}

// File is a file of a backup.
type File struct {
	Name string
	Size int64
}
