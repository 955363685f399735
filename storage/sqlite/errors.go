package sqlite

import (
	"errors"
	"strconv"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/internal/sqldb"
	"github.com/stillpoint-db/stillpoint/storage/sqlite/internal/capi"
)

// readError gives an error of a read or of an administrative statement a class.
// Nothing is applied when one of them fails.
func (s *Storage) readError(err error) error {
	var classified *model.Error
	switch {
	case err == nil || errors.As(err, &classified):
		return err
	case capi.IsMissing(err):
		return &model.Error{Class: model.ErrNotFound, Op: "storage", Subject: strconv.Quote(s.name), Err: err}
	case capi.IsMissingColumn(err):
		return &model.Error{Class: model.ErrNotFound, Op: "storage", Subject: strconv.Quote(s.name), Err: err,
			Hint: sqldb.DriftHint}
	case capi.IsConstraint(err):
		return &model.Error{Class: model.ErrBadArgument, Op: "storage", Subject: strconv.Quote(s.name), Err: err}
	case capi.IsNotDatabase(err):
		return &model.Error{Class: model.ErrDamaged, Op: "storage", Subject: strconv.Quote(s.name), Err: err,
			Hint: "The file " + s.set.path + " is damaged; restore a backup."}
	}
	return storage.UnavailableError(s.name, err)
}

// writeError gives an error of a batch that was certainly not applied a class.
func (s *Storage) writeError(err error) error {
	if capi.IsBusy(err) {
		return storage.ConflictError(s.name, err)
	}
	return s.readError(err)
}

var errClosed = errors.New("the storage is closed")
