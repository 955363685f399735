package sqlite

import (
	"context"
	"os"
	"path/filepath"
	"strconv"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/internal/sqldb"
	"github.com/stillpoint-db/stillpoint/storage/sqlite/internal/capi"
)

// stagePages is how many pages are copied between looks at the context. A test
// makes it small.
var stagePages = 4096

var _ storage.Snapshotter = (*Storage)(nil)

// snapshot is a picture of the file: first a read transaction, which keeps the
// log from being checkpointed, then a copy of its pages in a stage file, read
// at leisure.
type snapshot struct {
	s      *Storage
	opts   storage.SnapshotOptions
	noted  map[model.TableName]*model.Table // when prepared
	tables map[model.TableName]*model.Table // in the picture
	pin    *capi.Conn
	folder string // of the stage
	stage  *pool
	texts  *sqldb.Builder
}

// PrepareSnapshot implements storage.Snapshotter.
func (s *Storage) PrepareSnapshot(ctx context.Context, opts storage.SnapshotOptions) (storage.Snapshot, error) {
	sn := &snapshot{s: s, opts: opts, noted: map[model.TableName]*model.Table{}, tables: map[model.TableName]*model.Table{}, texts: s.texts}
	sn.opts.Readers = max(1, opts.Readers)
	for _, name := range opts.Tables {
		t, err := s.admin.Table(ctx, name)
		if err != nil {
			return nil, err
		}
		sn.noted[name] = t
	}
	var err error
	if sn.folder, err = os.MkdirTemp(opts.Scratch, "sqlite-stage-"); err != nil {
		return nil, &model.Error{Class: model.ErrUnavailable, Op: "snapshot of storage", Subject: strconv.Quote(s.name), Detail: "no folder for its pages", Err: err}
	}
	if sn.pin, err = openConn(s.set, capi.ReadWrite); err != nil {
		_ = sn.Close()
		return nil, s.readError(err)
	}
	return sn, nil
}

// Open implements storage.Snapshot. The first read pins the moment, not BEGIN.
func (sn *snapshot) Open(context.Context) error {
	err := sn.pin.Exec("BEGIN")
	if err == nil {
		_, err = sn.pin.Strings("SELECT count(*) FROM (SELECT 1 FROM sqlite_master LIMIT 1)")
	}
	return sn.s.readError(err)
}

// Detach implements storage.Snapshot: it copies all pages as the read
// transaction sees them, and then ends it. Commits of others cannot restart
// the copy, as they do where each step reads anew.
func (sn *snapshot) Detach(ctx context.Context) error {
	path := filepath.Join(sn.folder, "stage.db")
	if err := sn.copyTo(ctx, path); err != nil {
		return err
	}
	set := sn.s.set
	set.path, set.readers = path, sn.opts.Readers
	sn.stage = newPool(set)
	return sn.readDefinitions(ctx)
}

func (sn *snapshot) copyTo(ctx context.Context, path string) error {
	dst, err := capi.Open(path, capi.ReadWrite|capi.Create)
	if err != nil {
		return sn.s.readError(err)
	}
	defer func() { _ = dst.Close() }()
	for _, sql := range []string{"PRAGMA journal_mode=OFF", "PRAGMA synchronous=OFF"} {
		if err := dst.Exec(sql); err != nil {
			return sn.s.readError(err)
		}
	}
	err = sn.pin.Backup(dst, stagePages, ctx.Err)
	if err != nil {
		return &model.Error{Class: model.ErrUnavailable, Op: "snapshot of storage", Subject: strconv.Quote(sn.s.name),
			Detail: "copying its pages to " + sn.folder, Err: err, Hint: "The folder needs room for a copy of " + sn.s.set.path + "."}
	}
	if err := dst.Exec("PRAGMA journal_mode=DELETE"); err != nil { // the copy says WAL
		return sn.s.readError(err)
	}
	err = sn.pin.Exec("COMMIT")
	_ = sn.pin.Close()
	return sn.s.readError(err)
}

// readDefinitions takes the definitions from the stage.
func (sn *snapshot) readDefinitions(ctx context.Context) error {
	c, err := sn.stage.get(ctx)
	if err != nil {
		return sn.s.readError(err)
	}
	defer sn.stage.put(c)
	meta := sn.s.admin.Meta
	for name := range sn.noted {
		rows, err := c.Strings(meta.Select(), name.String())
		if err != nil {
			return sn.s.readError(err)
		}
		if sn.tables[name], err = meta.Decode(name, rows); err != nil {
			return err
		}
	}
	return nil
}

// Table implements storage.Snapshot.
func (sn *snapshot) Table(_ context.Context, name model.TableName) (*model.Table, error) {
	if t, ok := sn.tables[name]; ok {
		return t, nil
	}
	return nil, sqldb.NoTable(name)
}

// Verify implements storage.Snapshot. The stage cannot change; but a table that
// was redefined while the snapshot was being prepared is not what the caller
// planned for.
func (sn *snapshot) Verify(context.Context) error {
	for name, t := range sn.noted {
		if now := sn.tables[name]; now == nil || !now.Equal(t) {
			return &model.Error{Class: model.ErrInconsistent, Op: "snapshot of storage", Subject: strconv.Quote(sn.s.name),
				Detail: "table " + name.String() + " was redefined while the snapshot was being taken"}
		}
	}
	return nil
}

// Close implements storage.Snapshot.
func (sn *snapshot) Close() error {
	var err error
	if sn.pin != nil {
		err = sn.pin.Close()
	}
	if sn.stage != nil {
		if e := sn.stage.close(); err == nil {
			err = e
		}
		sn.stage = nil
	}
	if e := os.RemoveAll(sn.folder); err == nil {
		err = e
	}
	return err
}
