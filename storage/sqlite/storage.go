package sqlite

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"sync"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/internal/sqldb"
	"github.com/stillpoint-db/stillpoint/storage/sqlite/internal/capi"
)

// Storage is one SQLite file.
type Storage struct {
	name    string
	set     settings
	log     *slog.Logger
	file    *file
	dialect *sqldb.Dialect
	texts   *sqldb.Builder
	readers *pool
	writer  *writer
	admin   *sqldb.Admin
	folder  string // to be removed in the end; "" = none

	life   sync.RWMutex // held for reading by calls under way
	closed bool
}

var _ storage.Storage = (*Storage)(nil)

func newStorage(cfg storage.Config, set settings, f *file, w *capi.Conn) *Storage {
	d := sqldb.SQLite
	s := &Storage{name: cfg.Name, set: set, log: cfg.Logger, file: f, dialect: &d, texts: sqldb.NewBuilder(&d)}
	s.readers = newPool(set)
	s.writer = startWriter(s, w)
	s.admin = sqldb.NewAdmin(&d, set.metadata, executor{s})
	return s
}

// Name implements storage.Storage.
func (s *Storage) Name() string { return s.name }

// Capabilities implements storage.Storage.
func (s *Storage) Capabilities(model.TableName) storage.Capabilities {
	return storage.Capabilities{
		Engine: s.dialect.Engine, BatchedReads: true, CopyColumns: true, LockedChecks: true, AtomicScan: true,
		Snapshots: true, Fences: true, Loads: true,
	}
}

// Unit implements storage.Storage: the whole file is one unit.
func (s *Storage) Unit(model.TableName, model.Key) storage.Unit { return storage.Unit{Storage: s.name} }

// Admin implements storage.Storage.
func (s *Storage) Admin() storage.Admin { return s.admin }

// begin counts a call in; end counts it out again.
func (s *Storage) begin(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return storage.UnavailableError(s.name, err)
	}
	s.life.RLock()
	if s.closed {
		s.life.RUnlock()
		return storage.UnavailableError(s.name, errClosed)
	}
	return nil
}

func (s *Storage) end() { s.life.RUnlock() }

// Close implements storage.Storage.
func (s *Storage) Close() error {
	s.life.Lock()
	defer s.life.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	err := s.writer.stop()
	if e := s.readers.close(); err == nil {
		err = e
	}
	s.file.release()
	if s.folder != "" {
		err = errors.Join(err, os.RemoveAll(s.folder))
	}
	return err
}
