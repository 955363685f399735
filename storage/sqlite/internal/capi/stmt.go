package capi

import (
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// Stmt is a prepared statement; it belongs to its connection. Only one of a
// connection's statements with bound texts may be between Bind and Reset.
type Stmt struct {
	c    *Conn
	p    uintptr
	cols int
}

// Prepare returns the statement for a text: the one that it prepared before, if
// it is still there.
func (c *Conn) Prepare(sql string) (*Stmt, error) {
	if s, ok := c.stmts[sql]; ok {
		return s, nil
	}
	if len(c.stmts) >= maxStatements {
		c.dropStatements()
	}
	text, err := libc.CString(sql)
	if err != nil {
		return nil, errMemory
	}
	defer libc.Xfree(c.tls, text)
	rc := sqlite3.Xsqlite3_prepare_v3(c.tls, c.db, text, int32(len(sql)+1), sqlite3.SQLITE_PREPARE_PERSISTENT, c.out, 0)
	if rc != sqlite3.SQLITE_OK {
		return nil, c.err(rc)
	}
	s := &Stmt{c: c, p: c.word(0)}
	s.cols = int(sqlite3.Xsqlite3_column_count(c.tls, s.p))
	c.stmts[sql] = s
	return s, nil
}

// Columns is the number of result columns.
func (s *Stmt) Columns() int { return s.cols }

// Step runs the statement to its next row, or to its end.
func (s *Stmt) Step() (row bool, err error) {
	switch rc := sqlite3.Xsqlite3_step(s.c.tls, s.p); rc {
	case sqlite3.SQLITE_ROW:
		return true, nil
	case sqlite3.SQLITE_DONE:
		return false, nil
	default:
		return false, s.c.err(rc)
	}
}

// Reset ends the statement, so that it can be bound and run again.
func (s *Stmt) Reset() { sqlite3.Xsqlite3_reset(s.c.tls, s.p) }

// Bind functions set argument i, counted from 1.

// BindNull binds NULL.
func (s *Stmt) BindNull(i int) error {
	return s.check(sqlite3.Xsqlite3_bind_null(s.c.tls, s.p, int32(i)))
}

// BindInt binds an integer.
func (s *Stmt) BindInt(i int, v int64) error {
	return s.check(sqlite3.Xsqlite3_bind_int64(s.c.tls, s.p, int32(i), v))
}

// BindFloat binds a floating-point number. SQLite keeps NaN as NULL.
func (s *Stmt) BindFloat(i int, v float64) error {
	return s.check(sqlite3.Xsqlite3_bind_double(s.c.tls, s.p, int32(i), v))
}

// Reserve makes room for the texts and blobs of one set of arguments, n bytes
// together. It must be called before the first of them is bound.
func (s *Stmt) Reserve(n int) error { return s.c.reserve(n) }

// BindText binds a text that lies at offset at of the room reserved, and
// returns the offset behind it.
func (s *Stmt) BindText(i int, v string, at int) (int, error) {
	return at + len(v), s.check(sqlite3.Xsqlite3_bind_text(s.c.tls, s.p, int32(i), s.c.put(v, at), int32(len(v)), 0))
}

// BindBlob binds bytes likewise.
func (s *Stmt) BindBlob(i int, v string, at int) (int, error) {
	return at + len(v), s.check(sqlite3.Xsqlite3_bind_blob(s.c.tls, s.p, int32(i), s.c.put(v, at), int32(len(v)), 0))
}

// BindStrings binds texts from argument 1 on.
func (s *Stmt) BindStrings(args []string) error {
	n := 0
	for _, a := range args {
		n += len(a)
	}
	if err := s.Reserve(n); err != nil {
		return err
	}
	at := 0
	for i, a := range args {
		var err error
		if at, err = s.BindText(i+1, a, at); err != nil {
			return err
		}
	}
	return nil
}

func (s *Stmt) check(rc int32) error {
	if rc != sqlite3.SQLITE_OK {
		return s.c.err(rc)
	}
	return nil
}

// keepArena is the size above which the arena is given back.
const keepArena = 1 << 20

func (c *Conn) reserve(n int) error {
	n = max(n, 1) // never NULL: an empty text is not NULL
	if n <= c.size && c.size <= keepArena {
		return nil
	}
	if c.arena != 0 {
		libc.Xfree(c.tls, c.arena)
	}
	c.size = max(n, 4096)
	if c.arena = libc.Xmalloc(c.tls, libcSize(c.size)); c.arena == 0 {
		c.size = 0
		return errMemory
	}
	return nil
}

func (c *Conn) put(v string, at int) uintptr {
	p := c.arena + uintptr(at)
	copy(unsafe.Slice((*byte)(pointer(p)), len(v)), v)
	return p
}

// Kind is what SQLite has stored, whatever the column was declared as.
type Kind int32

// The kinds.
const (
	Integer Kind = sqlite3.SQLITE_INTEGER
	Real    Kind = sqlite3.SQLITE_FLOAT
	Text    Kind = sqlite3.SQLITE_TEXT
	Blob    Kind = sqlite3.SQLITE_BLOB
	Null    Kind = sqlite3.SQLITE_NULL
)

// Kind returns what result column i, counted from 0, holds. Ask before reading
// it as something else, which may convert it.
func (s *Stmt) Kind(i int) Kind { return Kind(sqlite3.Xsqlite3_column_type(s.c.tls, s.p, int32(i))) }

// Int returns result column i, counted from 0, as an integer.
func (s *Stmt) Int(i int) int64 { return sqlite3.Xsqlite3_column_int64(s.c.tls, s.p, int32(i)) }

// Float returns a result column as a floating-point number.
func (s *Stmt) Float(i int) float64 { return sqlite3.Xsqlite3_column_double(s.c.tls, s.p, int32(i)) }

// Text returns a copy of a result column as text; "" for NULL.
func (s *Stmt) Text(i int) string {
	return s.bytes(sqlite3.Xsqlite3_column_text(s.c.tls, s.p, int32(i)), i)
}

// Blob returns a copy of a result column's bytes in a string.
func (s *Stmt) Blob(i int) string {
	return s.bytes(sqlite3.Xsqlite3_column_blob(s.c.tls, s.p, int32(i)), i)
}

func (s *Stmt) bytes(p uintptr, i int) string {
	n := int(sqlite3.Xsqlite3_column_bytes(s.c.tls, s.p, int32(i)))
	if p == 0 || n == 0 {
		return ""
	}
	return string(unsafe.Slice((*byte)(pointer(p)), n))
}
