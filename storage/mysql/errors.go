package mysql

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"

	"github.com/go-sql-driver/mysql"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/internal/sqldb"
)

// Numbers of errors of the server.
const (
	errDatabaseExists    = 1007
	errDatabaseMissing   = 1008
	errDiskFull          = 1021
	errTooManySessions   = 1040
	errDatabaseDenied    = 1044
	errAccessDenied      = 1045
	errUnknownDatabase   = 1049
	errTableExists       = 1050
	errUnknownTable      = 1051
	errShutdown          = 1053
	errUnknownColumn     = 1054
	errDuplicateColumn   = 1060
	errDuplicateIndex    = 1061
	errDuplicate         = 1062
	errParse             = 1064
	errCannotLock        = 1099
	errNoSuchView        = 1109 // in information_schema
	errTableDenied       = 1142
	errColumnDenied      = 1143
	errTableFull         = 1114
	errTableMissing      = 1146
	errPacketTooLarge    = 1153
	errUnknownVariable   = 1193
	errLockWait          = 1205
	errLocksFull         = 1206
	errDeadlock          = 1213
	errRightMissing      = 1227
	errSubqueryRows      = 1242
	errReadOnlyServer    = 1290
	errInterrupted       = 1317
	errRoutineDenied     = 1370
	errDefinitionChanged = 1412
	errTooManyStatements = 1461
	errPrepareAgain      = 1615
	errTooManyTx         = 1637
	errSignal            = 1644
	errReadOnlyTx        = 1792
	errReadOnlyMode      = 1836
	errKilled            = 1927
	errSnapshotConflict  = 1020
	errStatementTimeout  = 1969
	errMySQLTimeout      = 3024
	errLockNowait        = 3572
	errIdleTimeout       = 4031
)

// errorNumber returns the number of an error that the server answered with; 0
// for any other.
func errorNumber(err error) uint16 {
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok {
		return e.Number
	}
	return 0
}

// endsSession tells an error after which the server hangs up, or the session
// should.
func endsSession(err error) bool {
	switch errorNumber(err) {
	case errShutdown, errKilled, errIdleTimeout, errTooManySessions, errInterrupted, errStatementTimeout, errMySQLTimeout:
		// Those that interrupt a compound statement leave its transaction open.
		return true
	}
	return false
}

// wasSent tells whether the server may have seen the statement that failed.
func wasSent(err error) bool {
	return !errors.Is(err, driver.ErrBadConn) && !errors.Is(err, mysql.ErrPktTooLarge)
}

// class returns the class of an error for everything but the outcome of a
// write whose answer is lost.
func class(err error) error {
	switch errorNumber(err) {
	case errLockWait, errDeadlock, errSnapshotConflict, errLockNowait:
		return model.ErrConflict
	case errTableMissing, errUnknownTable, errUnknownDatabase, errDatabaseMissing, errUnknownColumn:
		return model.ErrNotFound
	case errDatabaseExists, errTableExists, errDuplicateColumn, errDuplicateIndex, errDuplicate:
		return model.ErrExists
	case errDefinitionChanged:
		return model.ErrInconsistent
	case 0, errTooManySessions, errShutdown, errKilled, errIdleTimeout, errReadOnlyServer, errReadOnlyTx, errReadOnlyMode,
		errInterrupted, errStatementTimeout, errMySQLTimeout, errTooManyStatements, errDiskFull, errTableFull, errLocksFull, errTooManyTx, errPrepareAgain:
		if errors.Is(err, mysql.ErrPktTooLarge) {
			return model.ErrBadArgument
		}
		return model.ErrUnavailable
	}
	return model.ErrBadArgument
}

// wrap gives an error of the server or the connection its class and says what
// was being done. Errors with a class pass as they are.
func (s *Store) wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*model.Error](err); ok {
		return err
	}
	c := class(err)
	e := &model.Error{Class: c, Op: op, Subject: fmt.Sprintf("storage %q", s.cfg.Name), Err: plain(err)}
	switch errorNumber(err) {
	case errTableDenied, errDatabaseDenied, errColumnDenied, errRightMissing:
		e.Hint = "The database user lacks a right; an administrator can GRANT it."
	case errUnknownColumn:
		e.Hint = sqldb.DriftHint
	case errReadOnlyServer, errReadOnlyMode:
		e.Hint = "The server takes no writes; point the storage at the primary."
	}
	if errors.Is(err, mysql.ErrPktTooLarge) || errorNumber(err) == errPacketTooLarge {
		e.Hint = "Raise max_allowed_packet of the server, or write less at once."
	}
	return e
}

// plain replaces errors of the driver that say little by ones that say more,
// and keeps what errors.Is finds.
func plain(err error) error {
	switch {
	case errors.Is(err, driver.ErrBadConn), errors.Is(err, mysql.ErrInvalidConn):
		return fmt.Errorf("the connection is lost: %w", err)
	}
	return err
}

// writeError tells what an error of a write means. sent is whether the server
// may have begun it.
func (s *Store) writeError(err error, sent bool) error {
	if _, ok := errors.AsType[*storage.ConditionError](err); ok {
		return err
	}
	if _, ok := errors.AsType[*model.Error](err); ok {
		return err
	}
	if !sent {
		if c := class(err); c != model.ErrUnavailable {
			return s.wrap("write to", err)
		}
		return storage.UnavailableError(s.cfg.Name, plain(err))
	}
	switch errorNumber(err) {
	case 0, errShutdown, errKilled, errInterrupted, errStatementTimeout, errMySQLTimeout:
		// Not an answer, or one that may have come in the middle of a commit.
		return storage.UnknownError(s.cfg.Name, plain(err))
	case errLockWait, errDeadlock, errSnapshotConflict, errLockNowait, errDefinitionChanged, errPrepareAgain:
		return storage.ConflictError(s.cfg.Name, err)
	case errReadOnlyServer, errReadOnlyTx, errReadOnlyMode, errIdleTimeout, errTooManyStatements, errDiskFull, errTableFull, errLocksFull, errTooManyTx:
		return storage.UnavailableError(s.cfg.Name, err)
	case errTableMissing, errUnknownDatabase:
		return s.wrap("write to", err)
	case errDuplicate:
		return &model.Error{Class: model.ErrBadArgument, Op: "write to", Subject: fmt.Sprintf("storage %q", s.cfg.Name), Err: err,
			Hint: "The table has a unique index that is not its primary key."}
	}
	if refusals[errorNumber(err)] {
		return s.wrap("write to", err)
	}
	return storage.UnknownError(s.cfg.Name, err)
}

// refusals are the answers that mean: nothing is done, and never will be as it
// is. Numbers not listed anywhere leave the outcome unknown.
var refusals = map[uint16]bool{
	errDatabaseDenied: true, errTableDenied: true, errColumnDenied: true, errUnknownColumn: true, errParse: true,
	errPacketTooLarge: true, errRightMissing: true, errRoutineDenied: true,
	1048: true, // column cannot be NULL
	1264: true, // out of range
	1265: true, // data truncated
	1292: true, // incorrect value
	1300: true, // invalid character string
	1364: true, // no default value
	1366: true, // incorrect value for column
	1390: true, // too many placeholders
	1406: true, // data too long
	1451: true, // foreign key
	1452: true, // foreign key
	1526: true, // no partition for value
	4025: true, // CHECK constraint (MariaDB)
	3819: true, // CHECK constraint (MySQL)
}

// openError says why a session could not be opened, in one sentence and without
// secrets.
func (s *Store) openError(err error) error {
	endpoint := s.target.endpoint
	e := &model.Error{Class: model.ErrUnavailable, Op: "open storage", Subject: fmt.Sprintf("%q", s.cfg.Name)}
	switch errorNumber(err) {
	case errAccessDenied, 1698, 1130:
		e.Detail = fmt.Sprintf("%s refuses user %q or its password", endpoint, s.target.config.User)
		e.Hint = storage.CredentialsHint(storage.Secret(s.target.config.Passwd))
	case errUnknownDatabase, errDatabaseDenied:
		e.Err = err
		e.Hint = "The database in the URL is only a default and may be left out."
	case errTooManySessions, 1203, 1226:
		e.Err = err
		e.Hint = "Lower scalar.db.jdbc.connection_pool.max_total or raise max_connections of the server."
	default:
		var op *net.OpError
		switch {
		case errors.Is(err, context.DeadlineExceeded):
			e.Detail = endpoint + " does not answer in time"
		case errors.As(err, &op):
			e.Err = fmt.Errorf("%s cannot be reached: %w", endpoint, op.Err)
		default:
			e.Err = fmt.Errorf("%s: %w", endpoint, plain(err))
		}
	}
	return e
}
