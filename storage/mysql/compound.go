package mysql

import (
	"context"
	"encoding/binary"
	"strconv"
	"strings"
	"sync"
	"unsafe"

	"github.com/go-sql-driver/mysql"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/internal/sqldb"
)

// A flight is the text of a batch as one compound statement of MariaDB:
//
//	BEGIN NOT ATOMIC
//	  DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;
//	  START TRANSACTION;
//	  UPDATE …; IF ROW_COUNT()<1 THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT='stillpoint guard 0'; END IF;
//	  …
//	  COMMIT;
//	END
//
// The server runs it to its end by itself, whatever becomes of the client.

// Batches with more mutations than this are rare and differ each time, so that
// preparing them would not pay: their values are written into the text.
const maxPreparedBatch = 64

// guardMessage begins the message of the error that a failed guard raises; the
// number of the mutation follows.
const guardMessage = "stillpoint guard "

// Variables of the compound statement. Variables hide columns of the same name,
// hence names that no column has.
const (
	varCount  = "`~stillpoint count`"
	varInsert = "`~stillpoint insert`"
	varText   = "`~stillpoint text`"
)

// flights keeps the texts of batches by their shape.
type flights struct {
	mu    sync.RWMutex
	texts map[string]*flight
}

type flight struct {
	sql        string
	statements []*sqldb.Statement // whose addresses are the key; kept alive by this
}

const maxFlights = 4096

func (f *flights) text(statements []*sqldb.Statement) string {
	var space [256]byte
	key := space[:0]
	for _, st := range statements {
		key = binary.NativeEndian.AppendUint64(key, uint64(uintptr(unsafe.Pointer(st))))
	}
	f.mu.RLock()
	had, ok := f.texts[string(key)]
	f.mu.RUnlock()
	if ok {
		return had.sql
	}
	made := &flight{sql: string(appendCompound(nil, statements, nil)), statements: append([]*sqldb.Statement(nil), statements...)}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.texts == nil || len(f.texts) >= maxFlights {
		f.texts = map[string]*flight{}
	}
	f.texts[string(key)] = made
	return made.sql
}

// mutateCompound sends a batch as one prepared compound statement.
func (s *Store) mutateCompound(ctx context.Context, ses *session, ms []storage.Mutation) (sent bool, err error) {
	var stSpace [16]*sqldb.Statement
	var valueSpace [64]model.Value
	statements, values := stSpace[:0], valueSpace[:0]
	for i := range ms {
		st := s.builder.Mutation(&ms[i])
		statements = append(statements, st)
		values = st.AppendArgs(values, &ms[i])
	}
	_, sent, err = ses.exec(ctx, s.flights.text(statements), values)
	if i, ok := failedGuard(err, len(ms)); ok {
		return true, &storage.ConditionError{Index: i, Mutation: ms[i]}
	}
	return sent, err
}

// appendCompoundText writes a batch as one compound statement with its values.
func (s *Store) appendCompoundText(b []byte, ms []storage.Mutation) []byte {
	statements := make([]*sqldb.Statement, len(ms))
	for i := range ms {
		statements[i] = s.builder.Mutation(&ms[i])
	}
	return appendCompound(b, statements, ms)
}

// afterCompound judges the answer to a compound statement.
func (s *Store) afterCompound(_ context.Context, _ *session, ms []storage.Mutation, err error) (bool, error) {
	if i, ok := failedGuard(err, len(ms)); ok {
		return true, &storage.ConditionError{Index: i, Mutation: ms[i]}
	}
	return err == nil || wasSent(err), err
}

// failedGuard tells which mutation's guard failed, if that is what err says.
func failedGuard(err error, n int) (int, bool) {
	if errorNumber(err) != errSignal {
		return 0, false
	}
	text := serverMessage(err)
	number, ok := strings.CutPrefix(text, guardMessage)
	if !ok {
		return 0, false
	}
	i, err := strconv.Atoi(number)
	return i, err == nil && i >= 0 && i < n
}

// appendCompound writes the compound statement: with placeholders, or with the
// values of ms in it.
func appendCompound(b []byte, statements []*sqldb.Statement, ms []storage.Mutation) []byte {
	inserts, queries := false, false
	for _, st := range statements {
		inserts = inserts || st.Insert
		queries = queries || st.Query
	}
	b = append(b, "BEGIN NOT ATOMIC "...)
	if queries {
		b = append(b, "DECLARE "+varCount+" INT DEFAULT 0; "...)
	}
	if inserts {
		b = append(b, "DECLARE "+varInsert+" INT DEFAULT -1; DECLARE "+varText+" VARCHAR(64); "...)
	}
	b = append(b, "DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END; "...)
	if inserts {
		// A duplicate key is a failed guard, but only of an INSERT that asks.
		b = append(b, "DECLARE EXIT HANDLER FOR 1062 BEGIN ROLLBACK; IF "+varInsert+"<0 THEN RESIGNAL; ELSE SET "+varText+"=CONCAT('"+
			guardMessage+"',"+varInsert+"); SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT="+varText+"; END IF; END; "...)
	}
	b = append(b, "START TRANSACTION; "...)
	var values []model.Value
	for i, st := range statements {
		sql := func(text string) {
			if ms == nil {
				b = append(b, text...)
				return
			}
			values = st.AppendArgs(values[:0], &ms[i])
			b = appendFilled(b, text, values)
		}
		number := strconv.Itoa(i)
		failed := "THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT='" + guardMessage + number + "'; END IF; "
		switch {
		case st.Query:
			b = append(b, "SET "+varCount+"=0; "...)
			sql(into(st.SQL, varCount))
			if st.Holds(0) {
				b = append(b, "; IF "+varCount+">0 "+failed...)
			} else {
				b = append(b, "; IF "+varCount+"<1 "+failed...)
			}
		case st.Insert:
			b = append(b, "SET "+varInsert+"="+number+"; "...)
			sql(st.SQL)
			b = append(b, "; SET "+varInsert+"=-1; "...)
		case st.Holds(0):
			sql(st.SQL)
			b = append(b, "; "...)
		default:
			sql(st.SQL)
			b = append(b, "; IF ROW_COUNT()<1 "+failed...)
		}
	}
	return append(b, "COMMIT; END"...)
}

// into makes the query of a check put its 1 into a variable.
func into(query, variable string) string {
	return "SELECT 1 INTO " + variable + strings.TrimPrefix(query, "SELECT 1")
}

func serverMessage(err error) string {
	for err != nil {
		if e, ok := err.(*mysql.MySQLError); ok {
			return e.Message
		}
		u, ok := err.(interface{ Unwrap() error })
		if !ok {
			return ""
		}
		err = u.Unwrap()
	}
	return ""
}
