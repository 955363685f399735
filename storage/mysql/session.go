package mysql

import (
	"container/list"
	"context"
	"database/sql/driver"
	"io"
	"strings"
	"time"

	"github.com/stillpoint-db/stillpoint/model"
)

// maxPrepared bounds the prepared statements of one session; the server keeps
// each of them in memory.
const maxPrepared = 128

// maxIdleTime is how long an idle session is trusted: servers, proxies and
// firewalls end them some time.
const maxIdleTime = 10 * time.Minute

// session is a connection to the server with its prepared statements. It is for
// one goroutine.
type session struct {
	conn    driver.Conn
	id      uint64 // the server's number of the connection
	broken  bool
	onClose func()
	used    time.Time                // when it came back to the pool
	stmts   map[string]*list.Element // of *prepared
	lru     list.List                // most recently used first
	args    []driver.NamedValue      // reused
	dest    []driver.Value           // reused
}

type prepared struct {
	sql  string
	stmt driver.Stmt
}

// usable tells whether the session may be used again.
func (s *session) usable() bool {
	return !s.broken && s.conn.(driver.Validator).IsValid()
}

// alive tells whether the server has not hung up on an idle session.
func (s *session) alive(ctx context.Context) bool {
	return time.Since(s.used) < maxIdleTime && s.usable() && s.conn.(driver.SessionResetter).ResetSession(ctx) == nil
}

// close ends the session; the server rolls back what it left open.
func (s *session) close() {
	_ = s.conn.Close()
	if s.onClose != nil {
		s.onClose()
	}
}

// statement prepares a text or finds it prepared already.
func (s *session) statement(ctx context.Context, sql string) (driver.Stmt, error) {
	if e, ok := s.stmts[sql]; ok {
		s.lru.MoveToFront(e)
		return e.Value.(*prepared).stmt, nil
	}
	stmt, err := s.conn.(driver.ConnPrepareContext).PrepareContext(ctx, sql)
	if errorNumber(err) == errTooManyStatements {
		s.forget(len(s.stmts))
		stmt, err = s.conn.(driver.ConnPrepareContext).PrepareContext(ctx, sql)
	}
	if err != nil {
		return nil, err
	}
	s.stmts[sql] = s.lru.PushFront(&prepared{sql, stmt})
	s.forget(len(s.stmts) - maxPrepared)
	return stmt, nil
}

// forget closes the n statements used longest ago.
func (s *session) forget(n int) {
	for ; n > 0; n-- {
		e := s.lru.Back()
		p := s.lru.Remove(e).(*prepared)
		delete(s.stmts, p.sql)
		_ = p.stmt.Close()
	}
}

// bind turns values into arguments, which are valid until the next call.
func (s *session) bind(values []model.Value) []driver.NamedValue {
	s.args = s.args[:0]
	for i, v := range values {
		s.args = append(s.args, driver.NamedValue{Ordinal: i + 1, Value: argument(v)})
	}
	return s.args
}

// exec runs a prepared statement and returns the number of rows it matched.
// sent tells whether the server may have run it when there is an error.
func (s *session) exec(ctx context.Context, sql string, values []model.Value) (rows int64, sent bool, err error) {
	stmt, err := s.statement(ctx, sql)
	if err != nil {
		return 0, false, s.failed(err)
	}
	res, err := stmt.(driver.StmtExecContext).ExecContext(ctx, s.bind(values))
	if err != nil {
		return 0, wasSent(err), s.failed(err)
	}
	rows, err = res.RowsAffected()
	return rows, true, err
}

// query runs a prepared statement that returns rows, with the text protocol if
// there are no values. The caller closes the rows.
func (s *session) query(ctx context.Context, sql string, values []model.Value) (driver.Rows, error) {
	stmt, err := s.statement(ctx, sql)
	if err != nil {
		return nil, s.failed(err)
	}
	rows, err := stmt.(driver.StmtQueryContext).QueryContext(ctx, s.bind(values))
	if err != nil {
		return nil, s.failed(err)
	}
	return rows, nil
}

// execText runs a text as it is.
func (s *session) execText(ctx context.Context, sql string) error {
	_, err := s.conn.(driver.ExecerContext).ExecContext(ctx, sql, nil)
	return s.failed(err)
}

// queryText runs a text that returns rows, as it is.
func (s *session) queryText(ctx context.Context, sql string) (driver.Rows, error) {
	rows, err := s.conn.(driver.QueryerContext).QueryContext(ctx, sql, nil)
	if err != nil {
		return nil, s.failed(err)
	}
	return rows, nil
}

// strings runs a text and returns its only result as text; NULL is "".
func (s *session) strings(ctx context.Context, sql string, args ...string) ([][]string, error) {
	var rows driver.Rows
	var err error
	if len(args) == 0 {
		rows, err = s.queryText(ctx, sql)
	} else {
		values := make([]model.Value, len(args))
		for i, a := range args {
			values[i] = model.TextValue(a)
		}
		rows, err = s.query(ctx, sql, values)
	}
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	return s.texts(rows)
}

// table is strings with the names of the columns.
func (s *session) table(ctx context.Context, sql string) (columns []string, out [][]string, err error) {
	rows, err := s.queryText(ctx, sql)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	out, err = s.texts(rows)
	return rows.Columns(), out, err
}

// variables reads global variables of the server; those that it does not have
// are "".
func (s *session) variables(ctx context.Context, names ...string) (map[string]string, error) {
	rows, err := s.strings(ctx, "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('"+strings.Join(names, "','")+"')")
	out := make(map[string]string, len(rows))
	for _, r := range rows {
		out[strings.ToLower(r[0])] = r[1]
	}
	return out, err
}

func (s *session) texts(rows driver.Rows) (out [][]string, err error) {
	dest := make([]driver.Value, len(rows.Columns()))
	for {
		if err := rows.Next(dest); err == io.EOF {
			return out, nil
		} else if err != nil {
			return nil, s.failed(err)
		}
		line := make([]string, len(dest))
		for i, v := range dest {
			line[i] = plainText(v)
		}
		out = append(out, line)
	}
}

// failed marks the session broken if an error is not an answer of the server,
// and returns it.
func (s *session) failed(err error) error {
	if err != nil && (errorNumber(err) == 0 || endsSession(err)) {
		s.broken = true
	}
	return err
}

// lost tells whether the connection is gone.
func (s *session) lost() bool { return !s.conn.(driver.Validator).IsValid() }
