package postgres

import (
	"encoding/binary"

	"github.com/stillpoint-db/stillpoint/model"
)

// The messages of the extended query protocol, appended to a request by hand:
// no allocation, and the values go straight from the model to the wire. See
// "Message Formats" in PostgreSQL's manual.

func beginMessage(b []byte, kind byte) ([]byte, int) {
	return append(b, kind, 0, 0, 0, 0), len(b) + 1
}

func endMessage(b []byte, at int) []byte {
	binary.BigEndian.PutUint32(b[at:], uint32(len(b)-at))
	return b
}

func appendCString(b []byte, s string) []byte { return append(append(b, s...), 0) }

// appendStatementName appends the name of prepared statement n, as in "s17".
func appendStatementName(b []byte, n uint32) []byte {
	b = append(b, 's')
	var digits [10]byte
	i := len(digits)
	for {
		i--
		digits[i] = byte('0' + n%10)
		if n /= 10; n == 0 {
			break
		}
	}
	return append(append(b, digits[i:]...), 0)
}

// appendParse asks to prepare sql as statement n, with parameters of the types
// of args.
func appendParse(b []byte, n uint32, sql string, args []model.Value) []byte {
	b, at := beginMessage(b, 'P')
	b = appendStatementName(b, n)
	b = appendCString(b, sql)
	b = binary.BigEndian.AppendUint16(b, uint16(len(args)))
	for _, v := range args {
		b = binary.BigEndian.AppendUint32(b, paramOIDs[v.Type()])
	}
	return endMessage(b, at)
}

// appendBind binds args to statement n; all values are binary, results too.
func appendBind(b []byte, n uint32, args []model.Value) []byte {
	b, at := beginMessage(b, 'B')
	b = append(b, 0) // the unnamed portal
	b = appendStatementName(b, n)
	b = append(b, 0, 1, 0, 1) // one format for all parameters: binary
	b = binary.BigEndian.AppendUint16(b, uint16(len(args)))
	for _, v := range args {
		b = appendValue(b, v)
	}
	b = append(b, 0, 1, 0, 1) // one format for all results: binary
	return endMessage(b, at)
}

// appendExecute runs the unnamed portal to its end, or for at most so many rows
// if that is not 0.
func appendExecute(b []byte, most uint32) []byte {
	return binary.BigEndian.AppendUint32(append(b, 'E', 0, 0, 0, 9, 0), most)
}

// appendSync ends the implicit transaction.
func appendSync(b []byte) []byte { return append(b, 'S', 0, 0, 0, 4) }
