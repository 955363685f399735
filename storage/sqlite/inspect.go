package sqlite

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/sqlite/internal/capi"
)

var _ storage.Inspector = (*Storage)(nil)

// Inspect implements storage.Inspector.
func (s *Storage) Inspect(ctx context.Context, opts storage.InspectOptions) (storage.Inspection, error) {
	in := storage.Inspection{Engine: s.dialect.Engine, Version: capi.Version(), Endpoint: "SQLite " + s.set.shown, Identity: s.file.identity, Bytes: -1}
	if err := s.begin(ctx); err != nil {
		return in, err
	}
	defer s.end()
	c, err := s.readers.get(ctx)
	if err != nil {
		return in, s.readError(err)
	}
	defer s.readers.put(c)
	look := inspection{s: s, c: c, in: &in, opts: opts}
	for _, step := range []func() error{look.size, look.mode, look.tables, look.writable, look.place, look.space} {
		if err := step(); err != nil {
			return in, s.readError(err)
		}
	}
	return in, nil
}

// inspection is one Inspect under way.
type inspection struct {
	s    *Storage
	c    *capi.Conn
	in   *storage.Inspection
	opts storage.InspectOptions
}

func (l *inspection) find(code string, severity storage.Severity, subject, text, fix string) {
	l.in.Findings = append(l.in.Findings, storage.Finding{Code: code, Severity: severity, Subject: subject, Text: text, Fix: fix})
}

func (l *inspection) number(sql string) (int64, error) {
	rows, err := l.c.Strings(sql)
	if err != nil {
		return 0, err
	}
	if len(rows) != 1 {
		return 0, fmt.Errorf("%s returned %d rows", sql, len(rows))
	}
	return strconv.ParseInt(rows[0][0], 10, 64)
}

func (l *inspection) size() error {
	pages, err := l.number("PRAGMA page_count")
	if err != nil {
		return err
	}
	size, err := l.number("PRAGMA page_size")
	l.in.Bytes = pages * size
	return err
}

func (l *inspection) mode() error {
	rows, err := l.c.Strings("PRAGMA journal_mode")
	if err != nil {
		return err
	}
	if len(rows) == 1 && !strings.EqualFold(rows[0][0], "wal") {
		l.find("journal-mode", storage.Blocker, l.s.set.path, "somebody has set the journal mode to "+rows[0][0]+"; a backup would stop all writers", "PRAGMA journal_mode=WAL")
	}
	return nil
}

func (l *inspection) tables() error {
	meta := l.s.admin.Meta
	for _, name := range l.opts.Tables {
		info := storage.TableInfo{Name: name, Rows: -1, Bytes: -1}
		rows, err := l.c.Strings(meta.Select(), name.String())
		if err != nil && !capi.IsMissing(err) {
			return err
		}
		t, err := meta.Decode(name, rows)
		switch {
		case errors.Is(err, model.ErrNotFound):
			if l.opts.Backup {
				l.find("missing-table", storage.Blocker, name.String(), "the metadata has no such table", "")
			}
		case err != nil:
			l.find("damaged-metadata", storage.Blocker, name.String(), err.Error(), "")
		default:
			_, _, n, err := rowidSpan(l.c, l.s.dialect, t)
			if err != nil {
				return err
			}
			info.Rows = n
		}
		l.in.Tables = append(l.in.Tables, info)
	}
	return nil
}

// writable tries the right to write, which a fence needs as a restore does.
func (l *inspection) writable() error {
	if !l.opts.Backup && !l.opts.Restore {
		return nil
	}
	c, err := openConn(l.s.set, capi.ReadWrite)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	c.BusyTimeout(0) // if somebody writes, the file can be written
	if err := c.Exec("BEGIN IMMEDIATE"); err != nil && !capi.IsBusy(err) {
		l.find("missing-right", storage.Blocker, l.s.set.path, "the file cannot be written: "+err.Error(),
			fmt.Sprintf("chmod u+w %q %q", l.s.set.path, filepath.Dir(l.s.set.path)))
	}
	return nil
}

// place looks for a file system whose locks cannot be relied on.
func (l *inspection) place() error {
	if kind := networkFileSystem(l.s.set.path); kind != "" && l.opts.Backup {
		l.find("network-file-system", storage.Blocker, l.s.set.path, "the file is on "+kind+", whose locks SQLite cannot rely on", "Move the database to a local file system.")
	}
	return nil
}

// space looks for room for the stage of a snapshot.
func (l *inspection) space() error {
	if !l.opts.Backup || l.opts.Scratch == "" {
		return nil
	}
	free, ok := freeSpace(l.opts.Scratch)
	if ok && free < l.in.Bytes {
		l.find("no-space", storage.Blocker, l.opts.Scratch,
			fmt.Sprintf("a copy of the pages of %s needs %d MB; %d MB are free", l.s.set.path, l.in.Bytes>>20+1, free>>20), "Free some space, or choose another scratch folder.")
	}
	return nil
}

// Sessions implements storage.Inspector: the other processes that have the file
// open. On systems without /proc there are none to be seen.
func (s *Storage) Sessions(ctx context.Context) ([]storage.Session, error) {
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	defer s.end()
	return othersOf(s.set.path), nil
}

// TerminateSessions implements storage.Inspector: it refuses, since SQLite has
// no server that could end a session.
func (s *Storage) TerminateSessions(ctx context.Context) (int, error) {
	others, err := s.Sessions(ctx)
	if err != nil || len(others) == 0 {
		return 0, err
	}
	ids := make([]string, len(others))
	for i, o := range others {
		ids[i] = o.ID + " (" + o.App + ")"
	}
	return 0, &model.Error{Class: model.ErrRefused, Op: "end the sessions of storage", Subject: strconv.Quote(s.name),
		Detail: "other processes have the file open: " + strings.Join(ids, ", "), Hint: "Stop them by hand; SQLite cannot end them."}
}
