package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/internal/sqldb"
	"github.com/stillpoint-db/stillpoint/storage/sqlite/internal/capi"
)

// Driver opens SQLite files. It implements storage.Driver.
type Driver struct{}

func init() { storage.Register("sqlite", Driver{}) }

// MetadataKey is the property that names the namespace of the metadata table.
const MetadataKey = "scalar.db.jdbc.table_metadata.schema"

// PoolKey is the property that says how many connections read at once. Where
// it is not given there are two for each processor, at least four.
const PoolKey = "scalar.db.jdbc.connection_pool.max_total"

// defaultBusyTimeout bounds the wait for another process's lock, where neither
// the URL nor a deadline does.
const defaultBusyTimeout = 10 * time.Second

// settings are what the URL and the properties ask for.
type settings struct {
	path     string
	shown    string // the path, for people; see openStandIn
	busy     time.Duration
	readers  int
	metadata string
}

// Open opens the file, creating an empty database if there is none (unless
// Config.MustExist or Config.DryRun), and sets its journal mode to WAL.
func (Driver) Open(ctx context.Context, cfg storage.Config) (storage.Storage, error) {
	set, err := parse(cfg)
	if err != nil {
		return nil, err
	}
	_, stat := os.Stat(set.path)
	switch missing := errors.Is(stat, fs.ErrNotExist); {
	case missing && cfg.MustExist:
		return nil, &model.Error{Class: model.ErrNotFound, Op: "open storage", Subject: strconv.Quote(cfg.Name), Detail: "there is no SQLite file " + set.path,
			Hint: "Nothing was made in its place. Correct the URL (a relative path counts from the folder you are in), restore a backup, or make it with: stillpoint schema create"}
	case missing && cfg.DryRun:
		return openStandIn(ctx, cfg, set)
	}
	s, err := openFile(ctx, cfg, set)
	if err != nil {
		return nil, err // and not a nil *Storage, which is not a nil Storage
	}
	return s, nil
}

// openStandIn opens an empty database in a temporary folder, in the place of one
// that is not there, for somebody who only wants to see what would be done.
func openStandIn(ctx context.Context, cfg storage.Config, set settings) (storage.Storage, error) {
	if _, err := os.Stat(filepath.Dir(set.path)); err != nil {
		return nil, openError(cfg.Name, set.path, err)
	}
	folder, err := os.MkdirTemp("", "stillpoint-empty-")
	if err != nil {
		return nil, openError(cfg.Name, set.path, err)
	}
	set.path = filepath.Join(folder, "empty.db")
	s, err := openFile(ctx, cfg, set)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(folder))
	}
	s.folder = folder
	return s, nil
}

func openFile(ctx context.Context, cfg storage.Config, set settings) (*Storage, error) {
	file, err := fileOf(set.path)
	missing := errors.Is(err, fs.ErrNotExist)
	if err != nil && !missing {
		return nil, openError(cfg.Name, set.path, err)
	}
	w, err := openWriter(ctx, set)
	if err == nil && missing {
		if file, err = fileOf(set.path); err != nil {
			_ = w.Close()
		}
	}
	if err != nil {
		if file != nil {
			file.release()
		}
		return nil, openError(cfg.Name, set.path, err)
	}
	return newStorage(cfg, set, file, w), nil
}

const mayWrite = "This user needs the right to write to the file and to the folder that it is in, even for reading."

func openError(name, path string, err error) error {
	if errors.Is(err, model.ErrBadArgument) {
		return err
	}
	e := &model.Error{Class: model.ErrUnavailable, Op: "open storage", Subject: strconv.Quote(name), Detail: "SQLite file " + path, Err: err}
	_, folder := os.Stat(filepath.Dir(path))
	info, stat := os.Stat(path)
	switch {
	case capi.IsReadOnly(err):
		e.Hint = mayWrite
	case errors.Is(folder, fs.ErrNotExist):
		e.Err, e.Hint = nil, "The folder "+filepath.Dir(path)+" does not exist; create it or correct the URL."
		e.Detail += " cannot be opened"
	case stat == nil && info.IsDir():
		e.Err, e.Hint = nil, "Name a file in it."
		e.Detail += " is a folder"
	case capi.CannotOpen(err):
		e.Hint = mayWrite
	case capi.IsNotDatabase(err):
		e.Hint = "The file is damaged or not an SQLite database; check the path, or restore a backup."
	}
	return e
}

func parse(cfg storage.Config) (settings, error) {
	u, err := sqldb.ParseURL(cfg.URL)
	if err != nil {
		return settings{}, fmt.Errorf("storage %q: %w", cfg.Name, err)
	}
	if u.Engine != "sqlite" {
		return settings{}, model.Errorf(model.ErrBadArgument, "storage %q: the URL of the sqlite driver begins with jdbc:sqlite:, not jdbc:%s:", cfg.Name, u.Engine)
	}
	path, err := filepath.Abs(u.Path)
	if err != nil {
		return settings{}, model.Errorf(model.ErrBadArgument, "storage %q: path %q: %w", cfg.Name, u.Path, err)
	}
	set := settings{path: path, shown: path, busy: defaultBusyTimeout, readers: max(4, 2*runtime.GOMAXPROCS(0)), metadata: sqldb.MetadataNamespace}
	if ns := cfg.Properties[MetadataKey]; ns != "" {
		if err := sqldb.SQLite.CheckNamespace(ns); err != nil {
			return settings{}, fmt.Errorf("property %s: %w", MetadataKey, err)
		}
		set.metadata = ns
	}
	if v := cfg.Properties[PoolKey]; v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > 10000 {
			return settings{}, model.Errorf(model.ErrBadArgument, "property %s=%q is not a number of connections", PoolKey, v)
		}
		set.readers = n
	}
	warn := func(key, why string) {
		cfg.Logger.Warn("parameter of the JDBC URL is not honoured", "parameter", key, "reason", why)
	}
	for key, value := range u.Params {
		switch strings.ToLower(key) {
		case "busy_timeout":
			ms, err := strconv.Atoi(value)
			if err != nil || ms < 0 || ms > 24*3600*1000 {
				return settings{}, model.Errorf(model.ErrBadArgument, "storage %q: busy_timeout=%q is not a number of milliseconds", cfg.Name, value)
			}
			set.busy = time.Duration(ms) * time.Millisecond
		case "journal_mode":
			if !strings.EqualFold(value, "wal") {
				warn(key, "the journal mode is always WAL")
			}
		case "synchronous":
			if !strings.EqualFold(value, "full") && !strings.EqualFold(value, "extra") {
				warn(key, "commits are always synced (FULL), so that they survive a loss of power")
			}
		default:
			warn(key, "unknown")
		}
	}
	return set, nil
}

// openWriter opens the connection that writes, and turns WAL on.
func openWriter(ctx context.Context, set settings) (*capi.Conn, error) {
	c, err := openConn(set, capi.ReadWrite|capi.Create)
	if err != nil {
		return nil, err
	}
	fail := func(err error) (*capi.Conn, error) {
		_ = c.Close()
		return nil, err
	}
	for wait := newBackoff(set.busy); ; {
		mode, err := c.Strings("PRAGMA journal_mode=WAL")
		switch {
		case err == nil && len(mode) == 1 && strings.EqualFold(mode[0][0], "wal"):
			return c, nil
		case err == nil:
			return fail(fmt.Errorf("its journal mode cannot be set to WAL (it is %v); the file system may lack shared memory", mode))
		case !capi.IsBusy(err) || !wait.sleep(ctx):
			return fail(err)
		}
	}
}

// openConn opens a connection with the settings that all of ours have.
func openConn(set settings, flags int32) (*capi.Conn, error) {
	c, err := capi.Open(set.path, flags)
	if err != nil {
		return nil, err
	}
	c.BusyTimeout(int(set.busy / time.Millisecond))
	for _, sql := range []string{"PRAGMA synchronous=FULL", "PRAGMA case_sensitive_like=ON"} {
		if err := c.Exec(sql); err != nil {
			_ = c.Close()
			return nil, err
		}
	}
	return c, nil
}
