// Package capi calls the C interface of SQLite as modernc.org/sqlite/lib
// provides it in Go: connections, cached statements, values, backups. It is
// thinner than a database/sql driver, so that a read or write allocates little
// and the caller knows what became of a COMMIT.
//
// A Conn and what it makes are for one goroutine at a time; only Interrupt may
// be called beside it.
package capi

import (
	"sync"
	"unsafe"

	"modernc.org/libc"
	_ "modernc.org/sqlite" // its initialisation of the library
	sqlite3 "modernc.org/sqlite/lib"
)

// maxStatements bounds the statements that a connection keeps prepared.
const maxStatements = 256

// Conn is a connection to a database file.
type Conn struct {
	mu    sync.Mutex // of db against Interrupt and Close
	tls   *libc.TLS
	db    uintptr
	out   uintptr // memory for two results of a call
	arena uintptr // memory for bound texts and blobs
	size  int     // of the arena
	stmts map[string]*Stmt
}

// Flags of Open.
const (
	ReadWrite = sqlite3.SQLITE_OPEN_READWRITE
	Create    = sqlite3.SQLITE_OPEN_CREATE
	ReadOnly  = sqlite3.SQLITE_OPEN_READONLY
)

// Open opens the file at path.
func Open(path string, flags int32) (*Conn, error) {
	c := &Conn{tls: libc.NewTLS(), stmts: map[string]*Stmt{}}
	fail := func(err error) (*Conn, error) {
		_ = c.Close()
		return nil, err
	}
	if c.out = libc.Xmalloc(c.tls, 16); c.out == 0 {
		return fail(errMemory)
	}
	name, err := libc.CString(path)
	if err != nil {
		return fail(errMemory)
	}
	defer libc.Xfree(c.tls, name)
	rc := sqlite3.Xsqlite3_open_v2(c.tls, name, c.out, flags|sqlite3.SQLITE_OPEN_NOMUTEX, 0)
	c.db = c.word(0)
	if rc != sqlite3.SQLITE_OK {
		return fail(c.err(rc))
	}
	sqlite3.Xsqlite3_extended_result_codes(c.tls, c.db, 1)
	return c, nil
}

// word reads a result of a call.
func (c *Conn) word(i int) uintptr {
	return *(*uintptr)(unsafe.Add(pointer(c.out), i*8))
}

// pointer turns an address of memory outside the Go heap into a pointer.
func pointer(p uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&p)) }

// Close finalizes all statements and closes the connection. A transaction that
// is open is rolled back. It may be called twice.
func (c *Conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tls == nil {
		return nil
	}
	c.dropStatements()
	var err error
	if c.db != 0 {
		if rc := sqlite3.Xsqlite3_close_v2(c.tls, c.db); rc != sqlite3.SQLITE_OK {
			err = c.err(rc)
		}
		c.db = 0
	}
	for _, p := range []uintptr{c.out, c.arena} {
		if p != 0 {
			libc.Xfree(c.tls, p)
		}
	}
	c.tls.Close()
	c.tls = nil
	return err
}

func (c *Conn) dropStatements() {
	for _, s := range c.stmts {
		sqlite3.Xsqlite3_finalize(c.tls, s.p)
	}
	clear(c.stmts)
}

// Interrupt makes the statement under way fail soon. It may be called from any
// goroutine.
func (c *Conn) Interrupt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.db == 0 {
		return
	}
	tls := libc.NewTLS() // the connection's own one is in use
	defer tls.Close()
	sqlite3.Xsqlite3_interrupt(tls, c.db)
}

// BusyTimeout sets how long a statement waits for a lock, in milliseconds.
func (c *Conn) BusyTimeout(ms int) { sqlite3.Xsqlite3_busy_timeout(c.tls, c.db, int32(ms)) }

// InTransaction tells whether a transaction is open.
func (c *Conn) InTransaction() bool { return sqlite3.Xsqlite3_get_autocommit(c.tls, c.db) == 0 }

// Changes returns how many rows the last INSERT, UPDATE or DELETE touched.
func (c *Conn) Changes() int64 { return int64(sqlite3.Xsqlite3_changes(c.tls, c.db)) }

// Version is the version of the SQLite library.
func Version() string {
	tls := libc.NewTLS()
	defer tls.Close()
	return libc.GoString(sqlite3.Xsqlite3_libversion(tls))
}

// Exec runs one statement without arguments to its end.
func (c *Conn) Exec(sql string) error {
	s, err := c.Prepare(sql)
	if err != nil {
		return err
	}
	defer s.Reset()
	for {
		row, err := s.Step()
		if err != nil || !row {
			return err
		}
	}
}

// Strings runs one statement with text arguments and returns all rows as text.
func (c *Conn) Strings(sql string, args ...string) ([][]string, error) {
	s, err := c.Prepare(sql)
	if err != nil {
		return nil, err
	}
	defer s.Reset()
	if err := s.BindStrings(args); err != nil {
		return nil, err
	}
	var out [][]string
	for {
		row, err := s.Step()
		if err != nil || !row {
			return out, err
		}
		r := make([]string, s.Columns())
		for i := range r {
			r[i] = s.Text(i)
		}
		out = append(out, r)
	}
}

// Backup copies the whole database into dst, pages at a time, and gives up when
// stop returns an error. Within a read transaction that is open on c the copy is
// what that transaction sees, whoever writes meanwhile.
func (c *Conn) Backup(dst *Conn, pages int, stop func() error) error {
	main, err := libc.CString("main")
	if err != nil {
		return errMemory
	}
	defer libc.Xfree(c.tls, main)
	b := sqlite3.Xsqlite3_backup_init(c.tls, dst.db, main, c.db, main)
	if b == 0 {
		return dst.err(sqlite3.Xsqlite3_extended_errcode(c.tls, dst.db))
	}
	rc := int32(sqlite3.SQLITE_OK)
	for rc == sqlite3.SQLITE_OK {
		if err = stop(); err != nil {
			break
		}
		rc = sqlite3.Xsqlite3_backup_step(c.tls, b, int32(pages))
	}
	end := sqlite3.Xsqlite3_backup_finish(c.tls, b)
	switch {
	case err != nil:
		return err
	case rc != sqlite3.SQLITE_DONE:
		return dst.err(rc)
	case end != sqlite3.SQLITE_OK:
		return dst.err(end)
	}
	return nil
}
