package postgres

import (
	"context"
	"net"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/stillpoint-db/stillpoint/model"
)

const (
	// maxPrepared is how many statements one connection prepares before it is
	// replaced by a fresh one.
	maxPrepared = 512
	// asideBytes is the size from which a request is written by a goroutine
	// of its own while answers are read, because server and client could
	// otherwise wait for each other with full buffers.
	asideBytes = 32 << 10
	// keepBytes is the most memory that an idle connection keeps for requests.
	keepBytes = 256 << 10
	// cancelGrace and deadlineGrace bound the wait for the server's verdict
	// after it was asked to cancel.
	cancelGrace   = 250 * time.Millisecond
	deadlineGrace = time.Second
)

// session is one connection. It is for one goroutine.
type session struct {
	pg  *pgconn.PgConn
	net net.Conn

	prepared map[string]prepared // statements on the server, by text
	last     uint32              // number of the latest one
	parsing  []string            // of the request at hand, in order

	out        []byte // the request at hand
	statements int    // in it
	args       []model.Value
	count      countReader

	idleSince time.Time
	born      time.Time
	dead      bool // not to be used again
}

// prepared is a statement that the server has, or will have when the request at
// hand arrives.
type prepared struct {
	n     uint32 // its number
	types uint32 // of its parameters, see typesOf
}

// typesOf mixes the types of arguments into one number. A table that was dropped
// and made again may need a text that is prepared with other types.
func typesOf(args []model.Value) uint32 {
	h := uint32(2166136261)
	for _, v := range args {
		h = (h ^ uint32(v.Type())) * 16777619
	}
	return h
}

// begin starts a new request.
func (s *session) begin() {
	s.out = s.out[:0]
	s.parsing = s.parsing[:0]
	s.statements = 0
}

// add appends a statement to the request.
func (s *session) add(sql string, args []model.Value) { s.addLimited(sql, args, 0) }

// addLimited appends a statement that is to stop after so many rows; 0 = never.
func (s *session) addLimited(sql string, args []model.Value, most uint32) {
	types := typesOf(args)
	p, ok := s.prepared[sql]
	if !ok || p.types != types {
		s.last++
		p = prepared{s.last, types}
		s.prepared[sql] = p
		s.parsing = append(s.parsing, sql)
		s.out = appendParse(s.out, p.n, sql, args)
	}
	s.out = appendBind(s.out, p.n, args)
	s.out = appendExecute(s.out, most)
	s.statements++
}

// forget removes the statements of this request that were not prepared: all but
// the first n.
func (s *session) forget(n int) {
	for _, sql := range s.parsing[min(n, len(s.parsing)):] {
		delete(s.prepared, sql)
	}
}

// close ends the connection, politely if it still works.
func (s *session) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = s.pg.Close(ctx)
	_ = s.net.Close()
}
