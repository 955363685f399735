package capi

import (
	"errors"
	"fmt"
	"strings"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

var errMemory = &Error{Code: sqlite3.SQLITE_NOMEM, Msg: "out of memory"}

// Error is an error of SQLite.
type Error struct {
	Code int // extended result code
	Msg  string
}

// Error implements error.
func (e *Error) Error() string { return fmt.Sprintf("SQLite: %s (code %d)", e.Msg, e.Code) }

func (c *Conn) err(rc int32) error {
	e := &Error{Code: int(rc)}
	if c.db != 0 {
		if ext := sqlite3.Xsqlite3_extended_errcode(c.tls, c.db); ext&0xff == rc&0xff {
			e.Code = int(ext)
			e.Msg = libc.GoString(sqlite3.Xsqlite3_errmsg(c.tls, c.db))
		}
	}
	if e.Msg == "" {
		e.Msg = libc.GoString(sqlite3.Xsqlite3_errstr(c.tls, rc))
	}
	return e
}

func code(err error) int {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return 0
}

// IsBusy tells that another connection holds a lock.
func IsBusy(err error) bool {
	p := code(err) & 0xff
	return p == sqlite3.SQLITE_BUSY || p == sqlite3.SQLITE_LOCKED
}

// IsInterrupt tells that Interrupt ended the statement.
func IsInterrupt(err error) bool { return code(err)&0xff == sqlite3.SQLITE_INTERRUPT }

// IsDuplicateKey tells that a row with these unique values exists.
func IsDuplicateKey(err error) bool {
	c := code(err)
	return c == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY || c == sqlite3.SQLITE_CONSTRAINT_UNIQUE
}

// IsConstraint tells that a constraint of the table refuses a value, or that a
// value is too big.
func IsConstraint(err error) bool {
	p := code(err) & 0xff
	return p == sqlite3.SQLITE_CONSTRAINT || p == sqlite3.SQLITE_MISMATCH || p == sqlite3.SQLITE_TOOBIG
}

// IsExists tells that what was to be created is there already.
func IsExists(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Code == sqlite3.SQLITE_ERROR && strings.HasSuffix(e.Msg, "already exists")
}

// IsMissing tells that a table is not there.
func IsMissing(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Code == sqlite3.SQLITE_ERROR && strings.HasPrefix(e.Msg, "no such table: ")
}

// IsMissingColumn tells that a table is there and a column of it is not.
func IsMissingColumn(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Code == sqlite3.SQLITE_ERROR && (strings.HasPrefix(e.Msg, "no such column: ") || strings.Contains(e.Msg, " has no column named "))
}

// IsReadOnly tells that the file cannot be written.
func IsReadOnly(err error) bool { return code(err)&0xff == sqlite3.SQLITE_READONLY }

// CannotOpen tells that the file, or one that belongs to it, cannot be opened or made.
func CannotOpen(err error) bool { return code(err)&0xff == sqlite3.SQLITE_CANTOPEN }

// IsNotDatabase tells that the file is damaged or not one of SQLite's.
func IsNotDatabase(err error) bool {
	p := code(err) & 0xff
	return p == sqlite3.SQLITE_NOTADB || p == sqlite3.SQLITE_CORRUPT
}
