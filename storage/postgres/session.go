package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

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
	pg       *pgconn.PgConn
	net      net.Conn
	counters *counters

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

// counters count what goes over the wire. Tests gate them.
type counters struct {
	flights    atomic.Int64 // requests with one Sync: round trips
	statements atomic.Int64
	prepares   atomic.Int64 // Parse messages
}

// flightError says what became of a flight that went wrong.
type flightError struct {
	err    error
	server *pgconn.PgError // the server's error, if it reported one
	at     int             // the statement it concerns
	sent   bool            // the request went out completely
	decode bool            // the answer could not be understood; the flight itself succeeded
}

func (e *flightError) Error() string { return e.err.Error() }

func (e *flightError) Unwrap() error { return e.err }

// unknown tells whether the flight may or may not have been applied.
func (e *flightError) unknown() bool { return e.sent && e.server == nil }

// reader takes the answers of a flight.
type reader interface {
	// row gets a row of a statement; its memory is valid during the call.
	row(statement int, cols [][]byte) error
	// done gets the tag of a statement that has succeeded.
	done(statement int, tag []byte)
}

// begin starts a new request.
func (s *session) begin() {
	s.out = s.out[:0]
	s.parsing = s.parsing[:0]
	s.statements = 0
}

// add appends a statement to the request.
func (s *session) add(sql string, args []model.Value) {
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
	s.out = appendExecute(s.out)
	s.statements++
}

// fly sends the request with one Sync and reads all answers: one round trip, one
// implicit transaction. A deadline of zero is none.
func (s *session) fly(ctx context.Context, deadline time.Time, r reader) *flightError {
	if err := ctx.Err(); err != nil {
		s.forget(0)
		return &flightError{err: err}
	}
	s.out = appendSync(s.out)
	s.counters.flights.Add(1)
	s.counters.statements.Add(int64(s.statements))
	s.counters.prepares.Add(int64(len(s.parsing)))
	if !deadline.IsZero() {
		_ = s.net.SetReadDeadline(deadline)
	}
	var stop func() bool
	if ctx.Done() != nil {
		stop = context.AfterFunc(ctx, func() { _ = s.net.SetReadDeadline(time.Unix(1, 0)) })
	}
	ferr := s.exchange(ctx, r)
	if stop != nil && !stop() {
		s.dead = true // its deadline may be set at any moment
	} else if !deadline.IsZero() {
		_ = s.net.SetReadDeadline(time.Time{})
	}
	if s.pg.IsClosed() || s.last > maxPrepared {
		s.dead = true
	}
	if cap(s.out) > keepBytes {
		s.out = nil
	}
	return ferr
}

func (s *session) exchange(ctx context.Context, r reader) *flightError {
	if len(s.out) <= asideBytes {
		if _, err := s.net.Write(s.out); err != nil {
			s.dead = true
			return &flightError{err: err}
		}
		return s.receive(ctx, r)
	}
	written := make(chan error, 1)
	out := s.out
	go func() {
		_, err := s.net.Write(out)
		if err != nil {
			_ = s.net.SetReadDeadline(time.Unix(1, 0)) // nothing more will come
		}
		written <- err
	}()
	ferr := s.receive(ctx, r)
	if ferr != nil && ferr.server == nil {
		_ = s.net.SetWriteDeadline(time.Unix(1, 0))
		s.dead = true
	}
	if err := <-written; err != nil {
		s.dead = true
		if ferr != nil && ferr.server == nil {
			ferr.sent = false // the Sync did not go out
		}
	}
	return ferr
}

// receive reads the answers up to the server's confirmation of the Sync.
func (s *session) receive(ctx context.Context, r reader) *flightError {
	var (
		failed     *flightError
		at, parsed int
		asked      bool // to cancel
		why        error
	)
	fail := func(ferr *flightError) {
		if failed == nil {
			failed = ferr
		}
	}
	for {
		msg, err := s.pg.ReceiveMessage(context.Background())
		if err != nil {
			if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok { // fatal: the connection ends
				s.dead = true
				if at >= s.statements { // while committing: it may have
					fail(&flightError{err: pgErr, at: at, sent: true})
				}
				fail(&flightError{err: pgErr, server: pgErr, at: at, sent: true})
				return failed
			}
			if errors.Is(err, os.ErrDeadlineExceeded) && !asked {
				asked = true
				grace := cancelGrace
				if why = ctx.Err(); why == nil {
					why, grace = context.DeadlineExceeded, deadlineGrace
				}
				s.cancel(grace)
				continue
			}
			s.dead = true
			if why == nil {
				why = err
			}
			if failed != nil && failed.server != nil {
				return failed // an error that the server reported stands
			}
			return &flightError{err: why, at: at, sent: true}
		}
		switch msg := msg.(type) {
		case *pgproto3.ParseComplete:
			parsed++
		case *pgproto3.DataRow:
			if failed == nil {
				if err := r.row(at, msg.Values); err != nil {
					fail(&flightError{err: err, at: at, sent: true, decode: true})
				}
			}
		case *pgproto3.CommandComplete:
			r.done(at, msg.CommandTag)
			at++
		case *pgproto3.EmptyQueryResponse:
			at++
		case *pgproto3.ErrorResponse:
			pgErr := pgconn.ErrorResponseToPgError(msg)
			failed = &flightError{err: pgErr, server: pgErr, at: at, sent: true}
		case *pgproto3.ReadyForQuery:
			if failed != nil {
				s.forget(parsed)
				if asked && failed.server != nil && failed.server.Code == codeCanceled && why != nil {
					failed.err = fmt.Errorf("%w (%w)", why, failed.server)
				}
			}
			if asked {
				s.dead = true // a late cancellation must not hit the next request
			}
			return failed
		}
	}
}

// cancel asks the server to give the running statement up, and leaves the
// session grace to hear what became of it.
func (s *session) cancel(grace time.Duration) {
	s.dead = true
	ctx, stop := context.WithTimeout(context.Background(), grace)
	defer stop()
	_ = s.pg.CancelRequest(ctx)
	_ = s.net.SetReadDeadline(time.Now().Add(grace))
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
