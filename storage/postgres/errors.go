package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/internal/sqldb"
)

// The SQLSTATEs that mean something special.
const (
	codeDivision          = "22012" // by zero: a guard did not hold
	codeUnique            = "23505"
	codeSerialization     = "40001"
	codeUnknownCompletion = "40003"
	codeDeadlock          = "40P01"
	codeLockTimeout       = "55P03"
	codeCanceled          = "57014" // statement_timeout or a cancel request
	codeNoTable           = "42P01"
	codeNoSchema          = "3F000"
	codeNoColumn          = "42703"
	codeNotSupported      = "0A000" // also "cached plan must not change result type"
	codeSyntax            = "42601"
	codeNoStatement       = "26000" // somebody deallocated our prepared statement
	codePassword          = "28P01"
	codeAuthorization     = "28000"
	codeNoDatabase        = "3D000"
	codeNoRight           = "42501"
	codeReadOnly          = "25006"
	codeTerminated        = "57P01" // an administrator ended the session
	codeTooManyClients    = "53300"
)

// stale tells an error that a fresh connection does not have: nothing was
// applied, and what was prepared on this one no longer fits.
func (e *flightError) stale() bool {
	if e.server == nil {
		return !e.sent
	}
	switch e.server.Code {
	case codeNoStatement:
		return true
	case codeTerminated: // as a rule while it was idle
		return e.at == 0
	case codeNotSupported:
		return strings.Contains(e.server.Routine, "RevalidateCachedQuery")
	}
	return false
}

// mutateError gives the error of a Mutate in a session its class.
func (d *db) mutateError(s *session, b *storage.Batch, e *flightError) error {
	if e.unknown() {
		return storage.UnknownError(d.name, e.err)
	}
	if e.server == nil {
		return d.notSent(e.err)
	}
	switch e.server.Code {
	case codeDivision:
		if e.at < len(b.Mutations) {
			return &storage.ConditionError{Index: e.at, Mutation: b.Mutations[e.at]}
		}
	case codeUnique:
		if e.at < len(b.Mutations) && b.Mutations[e.at].Guard.Kind == storage.NotExists && d.keyConstraint(s, b.Mutations[e.at].Table, e.server.ConstraintName) {
			return &storage.ConditionError{Index: e.at, Mutation: b.Mutations[e.at]}
		}
	case codeSerialization, codeDeadlock, codeLockTimeout, codeCanceled:
		return storage.ConflictError(d.name, e.err)
	}
	return d.serverError(e.server)
}

// readError gives the error of a read its class.
func (d *db) readError(e *flightError) error {
	switch {
	case e.decode:
		return e.err
	case e.server != nil && !errors.Is(e.err, context.Canceled) && !errors.Is(e.err, context.DeadlineExceeded):
		return d.serverError(e.server)
	}
	return d.notSent(e.err)
}

// notSent is for what did not reach the server, and for reads.
func (d *db) notSent(err error) error {
	if ce, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return d.connectError(ce)
	}
	if errors.Is(err, errClosed) {
		return storage.UnavailableError(d.name, err)
	}
	return storage.UnavailableError(d.name, fmt.Errorf("%s: %w", d.endpoint, plain(err)))
}

// serverError classifies what the server said outside of guards and conflicts:
// nothing was applied.
func (d *db) serverError(e *pgconn.PgError) error {
	wrap := func(class error, hint string) error {
		return &model.Error{Class: class, Op: "storage", Subject: fmt.Sprintf("%q", d.name), Err: e, Hint: hint}
	}
	switch {
	case e.Code == codeNoTable || e.Code == codeNoSchema:
		return wrap(model.ErrNotFound, "")
	case e.Code == codeNoColumn:
		return wrap(model.ErrNotFound, sqldb.DriftHint)
	case e.Code == codeNoRight:
		return wrap(model.ErrRefused, "Grant the right to user "+d.user+".")
	case e.Code == codeReadOnly:
		return wrap(model.ErrUnavailable, "The server is a replica or read-only; give the address of the primary.")
	case e.Code == codeSerialization || e.Code == codeDeadlock || e.Code == codeLockTimeout:
		return storage.UnavailableError(d.name, e)
	}
	switch e.Code[:min(2, len(e.Code))] {
	case "08", "53", "57", "58", "XX", "25": // connection, resources, operator, system
		return wrap(model.ErrUnavailable, "")
	}
	return wrap(model.ErrBadArgument, "")
}

// connectError is one clear sentence about a connection that could not be
// opened, without secrets.
func (d *db) connectError(err error) error {
	out := &model.Error{Class: model.ErrUnavailable, Op: "connect to storage", Subject: fmt.Sprintf("%q", d.name)}
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		out.Detail = fmt.Sprintf("%s refuses the connection: %s", d.endpoint, pgErr.Message)
		switch pgErr.Code {
		case codePassword, codeAuthorization:
			out.Hint = storage.CredentialsHint(storage.Secret(d.pool.config.Password))
		case codeNoDatabase:
			out.Hint = "Create the database, or correct its name in the JDBC URL."
		case codeTooManyClients:
			out.Hint = "Lower scalar.db.jdbc.connection_pool.max_total or raise max_connections on the server."
		}
		return out
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		out.Detail = fmt.Sprintf("%s cannot be reached: host %q is not known", d.endpoint, dns.Name)
		out.Hint = "Check the host in the JDBC URL."
		return out
	}
	out.Detail = fmt.Sprintf("%s cannot be reached: %s", d.endpoint, plain(err))
	out.Hint = "Check that the server runs and that host and port in the JDBC URL are right."
	if strings.Contains(out.Detail, "refused TLS") {
		out.Hint = "Set ssl = on in the server's configuration, or take sslmode and ssl out of the JDBC URL."
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		out.Err, out.Detail, out.Hint = err, "", ""
		out.Err = fmt.Errorf("%s: %w", d.endpoint, plain(err))
	}
	return out
}

// plain takes the last sentence out of an error of the network: the driver's
// own texts repeat the address, the user and the database.
func plain(err error) error {
	if errors.Is(err, context.Canceled) {
		return context.Canceled
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
		return context.DeadlineExceeded
	}
	for {
		if op, ok := errors.AsType[*net.OpError](err); ok && op.Err != nil {
			err = op.Err
			continue
		}
		if sys, ok := errors.AsType[*os.SyscallError](err); ok && sys.Err != nil {
			return sys.Err
		}
		break
	}
	if i := strings.LastIndex(err.Error(), "): "); i >= 0 { // ADDRESS (HOST): what
		return errors.New(err.Error()[i+3:])
	}
	return err
}
