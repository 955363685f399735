package repo

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/stillpoint-db/stillpoint/model"
)

// NoSpaceError says that the repository is full. Its class is
// model.ErrUnavailable.
type NoSpaceError struct {
	Location string
	Err      error
}

// Error implements error.
func (e *NoSpaceError) Error() string { return fmt.Sprintf("no space left in %s", e.Location) }

// Unwrap returns the class and the cause.
func (e *NoSpaceError) Unwrap() []error { return []error{model.ErrUnavailable, e.Err} }

// trouble gives an error of the file system its class.
func (r *Folder) trouble(doing string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return &NoSpaceError{Location: r.Location(), Err: err}
	case errors.Is(err, fs.ErrPermission):
		return &model.Error{Class: model.ErrUnavailable, Op: doing, Subject: r.Location(), Err: err,
			Hint: "Give this user the right to read and write that folder"}
	}
	return &model.Error{Class: model.ErrUnavailable, Op: doing, Subject: r.Location(), Err: err}
}
