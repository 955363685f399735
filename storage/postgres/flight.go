package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

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

// unknown tells whether the flight may or may not have been applied. A connection
// pooler that loses its server in the middle says so in the server's place: class
// 08, or "completion unknown".
func (e *flightError) unknown() bool {
	return e.sent && (e.server == nil || strings.HasPrefix(e.server.Code, "08") || e.server.Code == codeUnknownCompletion)
}

// reader takes the answers of a flight.
type reader interface {
	// row gets a row of a statement; its memory is valid during the call.
	row(statement int, cols [][]byte) error
	// done gets the tag of a statement that has succeeded; nil for one that
	// has stopped at its limit.
	done(statement int, tag []byte)
}

// fly sends the request with one Sync and reads all answers: one round trip, one
// implicit transaction. A deadline of zero is none.
func (s *session) fly(ctx context.Context, deadline time.Time, r reader) *flightError {
	if err := ctx.Err(); err != nil {
		s.forget(0)
		return &flightError{err: err}
	}
	s.out = appendSync(s.out)
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
		case *pgproto3.PortalSuspended:
			r.done(at, nil)
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
