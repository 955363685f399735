package mysql

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// MySQL has no compound statements outside of stored programs. A batch is a text
// of several statements there, in which a guard that fails raises an error, and
// the server stops at the first error. The variable counts how far it came.
const (
	userVariable  = "@`~stillpoint`"
	countVariable = "@`~stillpoint count`"
	// raise is an error if it is evaluated: 1242, a subquery with two rows.
	raise = "(SELECT 1 UNION ALL SELECT 2)"
	// abortedIdle is how long, in seconds, the server keeps the locks of a
	// batch that it stopped in, should the client be frozen just then.
	abortedIdle = 2
)

// afterText judges the answer to a text. If it is an error, the server has not
// seen the COMMIT, and a second trip rolls back and asks which guard it was.
func (s *Store) afterText(ctx context.Context, ses *session, ms []storage.Mutation, err error) (sent bool, _ error) {
	if err == nil {
		return true, nil
	}
	sent = wasSent(err)
	if errorNumber(err) == 0 || ses.broken {
		ses.broken = true // ending the session rolls back
		return sent, err
	}
	rows, err2 := ses.strings(context.WithoutCancel(ctx), fmt.Sprintf("ROLLBACK; SET SESSION wait_timeout=%d; SELECT %s", sessionIdle, userVariable))
	if err2 != nil {
		ses.broken = true
		return sent, err
	}
	number := errorNumber(err)
	if number != errSubqueryRows && number != errDuplicate {
		return sent, err
	}
	passed, err2 := strconv.Atoi(rows[0][0])
	if err2 != nil {
		return sent, err
	}
	// Each mutation that passed has left its number.
	if i := passed + 1; i < len(ms) && s.builder.Mutation(&ms[i]).Insert == (number == errDuplicate) {
		return true, &storage.ConditionError{Index: i, Mutation: ms[i]}
	}
	return sent, err // a duplicate in another index than the primary key
}

func (s *Store) appendText(b []byte, ms []storage.Mutation) []byte {
	b = append(b, "SET "+userVariable+"=-1, SESSION wait_timeout="...)
	b = strconv.AppendInt(b, abortedIdle, 10)
	b = append(b, "; START TRANSACTION; "...)
	var values []model.Value
	for i := range ms {
		st := s.builder.Mutation(&ms[i])
		values = st.AppendArgs(values[:0], &ms[i])
		number := strconv.Itoa(i)
		holds := "ROW_COUNT()>0"
		if st.Query {
			b = append(b, "SET "+countVariable+"=0; "...)
			b = appendFilled(b, into(st.SQL, countVariable), values)
			holds = countVariable + "=1"
			if st.Holds(0) {
				holds = countVariable + "=0"
			}
		} else {
			b = appendFilled(b, st.SQL, values)
			if st.Insert || st.Holds(0) {
				holds = "1"
			}
		}
		if holds == "1" {
			b = append(b, "; SET "+userVariable+"="+number+"; "...)
		} else {
			b = append(b, "; SET "+userVariable+"=IF("+holds+","+number+","+raise+"); "...)
		}
	}
	b = append(b, "COMMIT; SET SESSION wait_timeout="...)
	return strconv.AppendInt(b, sessionIdle, 10)
}

// appendFilled writes a statement with its placeholders replaced by values.
// Question marks inside quotes are not placeholders.
func appendFilled(b []byte, sql string, values []model.Value) []byte {
	quote := byte(0)
	for i := range len(sql) {
		c := sql[i]
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '`' || c == '\'':
			quote = c
		case c == '?':
			b = appendLiteral(b, values[0])
			values = values[1:]
			continue
		}
		b = append(b, c)
	}
	return b
}

// appendLiteral writes a value so that the server reads exactly that value,
// whatever its sql_mode is. The session's character set is utf8mb4.
func appendLiteral(b []byte, v model.Value) []byte {
	if v.IsNull() || !v.IsSet() {
		return append(b, "NULL"...)
	}
	switch v.Type() {
	case model.Boolean, model.Int, model.BigInt:
		return strconv.AppendInt(b, v.Raw(), 10)
	case model.Float:
		return strconv.AppendFloat(b, v.Float64(), 'e', -1, 32)
	case model.Double:
		return strconv.AppendFloat(b, v.Float64(), 'e', -1, 64)
	case model.Text:
		return appendTextLiteral(b, v.Str())
	case model.Blob:
		return appendHex(b, v.Str())
	}
	b = append(b, '\'')
	b = appendTime(b, v)
	return append(b, '\'')
}

// appendTextLiteral quotes plain text, doubling its quotes. Text with backslashes
// (which mean different things in different modes) or control characters is
// written in hexadecimal. In utf8mb4 no byte of a longer character looks like
// a quote or a backslash.
func appendTextLiteral(b []byte, s string) []byte {
	for i := range len(s) {
		if s[i] < ' ' || s[i] == '\\' || s[i] == 0x7f {
			return appendHex(append(b, "_utf8mb4 "...), s)
		}
	}
	if !utf8.ValidString(s) {
		return appendHex(append(b, "_utf8mb4 "...), s)
	}
	b = append(b, '\'')
	for {
		before, after, found := strings.Cut(s, "'")
		b = append(b, before...)
		if !found {
			return append(b, '\'')
		}
		b = append(b, "''"...)
		s = after
	}
}

func appendHex(b []byte, s string) []byte {
	const digits = "0123456789abcdef"
	b = append(b, "x'"...)
	for i := range len(s) {
		b = append(b, digits[s[i]>>4], digits[s[i]&15])
	}
	return append(b, '\'')
}
