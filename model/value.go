package model

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// DataType is the type of a column. The zero value is no type: the type of a
// Value that is not there.
type DataType uint8

// The column types, with the names that ScalarDB's schema files and metadata
// tables use.
const (
	Boolean     DataType = iota + 1
	Int                  // 32 bits, signed
	BigInt               // 64 bits, signed
	Float                // IEEE 754, 32 bits
	Double               // IEEE 754, 64 bits
	Text                 // UTF-8
	Blob                 // bytes
	Date                 // calendar day, 1000-01-01 … 9999-12-31
	Time                 // time of day, microseconds
	Timestamp            // date and time without zone, milliseconds
	TimestampTZ          // instant, milliseconds
)

var typeNames = [...]string{
	Boolean: "BOOLEAN", Int: "INT", BigInt: "BIGINT", Float: "FLOAT", Double: "DOUBLE", Text: "TEXT", Blob: "BLOB",
	Date: "DATE", Time: "TIME", Timestamp: "TIMESTAMP", TimestampTZ: "TIMESTAMPTZ",
}

// String returns the upper-case name, as in ScalarDB's metadata table.
func (t DataType) String() string {
	if t >= 1 && int(t) < len(typeNames) {
		return typeNames[t]
	}
	return "DataType(" + strconv.Itoa(int(t)) + ")"
}

// ParseDataType reads a type name in any case.
func ParseDataType(s string) (DataType, error) {
	for t := Boolean; t <= TimestampTZ; t++ {
		if strings.EqualFold(typeNames[t], s) {
			return t, nil
		}
	}
	return 0, Errorf(ErrBadArgument, "%q is not a column type; the types are %s", s, strings.Join(typeNames[1:], ", "))
}

// Value is one typed value, or a typed NULL. Values are comparable with ==,
// which tells identity of representation (two NaNs with the same bits are
// equal; -0 and 0 are not). The zero Value is "not there": a column that was not
// read or not given, which is not the same as NULL.
type Value struct {
	t    DataType
	null bool
	n    int64  // every type but Text and Blob
	s    string // Text and Blob
}

// The constructors. Those of the four time types take the civil types of this
// package; see civil.go for their ranges and precision.

// BooleanValue makes a BOOLEAN.
func BooleanValue(v bool) Value {
	if v {
		return Value{t: Boolean, n: 1}
	}
	return Value{t: Boolean}
}

// IntValue makes an INT.
func IntValue(v int32) Value { return Value{t: Int, n: int64(v)} }

// BigIntValue makes a BIGINT.
func BigIntValue(v int64) Value { return Value{t: BigInt, n: v} }

// FloatValue makes a FLOAT.
func FloatValue(v float32) Value { return Value{t: Float, n: int64(math.Float32bits(v))} }

// DoubleValue makes a DOUBLE.
func DoubleValue(v float64) Value { return Value{t: Double, n: int64(math.Float64bits(v))} }

// TextValue makes a TEXT.
func TextValue(v string) Value { return Value{t: Text, s: v} }

// BlobValue makes a BLOB of a copy of v.
func BlobValue(v []byte) Value { return Value{t: Blob, s: string(v)} }

// BlobStringValue makes a BLOB of the bytes of v without copying them.
func BlobStringValue(v string) Value { return Value{t: Blob, s: v} }

// DateValue makes a DATE. Its range is checked by Value.Check, not here.
func DateValue(v CivilDate) Value { return Value{t: Date, n: v.EpochDay()} }

// TimeValue makes a TIME, cut to microseconds.
func TimeValue(v CivilTime) Value { return Value{t: Time, n: v.NanoOfDay() / 1000 * 1000} }

// TimestampValue makes a TIMESTAMP, cut to milliseconds.
func TimestampValue(v CivilDateTime) Value { return Value{t: Timestamp, n: v.EpochMilli()} }

// TimestampTZMilli makes a TIMESTAMPTZ of milliseconds since the epoch.
func TimestampTZMilli(ms int64) Value { return Value{t: TimestampTZ, n: ms} }

// RawValue makes a value of any type but TEXT and BLOB from the number that
// Value.Raw returns for it.
func RawValue(t DataType, n int64) Value { return Value{t: t, n: n} }

// Null makes the NULL of type t.
func Null(t DataType) Value { return Value{t: t, null: true} }

// Type returns the type; 0 if the value is not there.
func (v Value) Type() DataType { return v.t }

// IsNull tells a NULL. A value that is not there is not a NULL.
func (v Value) IsNull() bool { return v.null }

// IsSet tells whether the value is there at all; NULL is.
func (v Value) IsSet() bool { return v.t != 0 }

// Bool returns a BOOLEAN; false for NULL.
func (v Value) Bool() bool { return v.n != 0 }

// Int64 returns an INT or BIGINT; 0 for NULL.
func (v Value) Int64() int64 { return v.n }

// Float32 returns a FLOAT; 0 for NULL.
func (v Value) Float32() float32 { return math.Float32frombits(uint32(v.n)) }

// Float64 returns a FLOAT or DOUBLE; 0 for NULL.
func (v Value) Float64() float64 {
	if v.t == Float {
		return float64(v.Float32())
	}
	return math.Float64frombits(uint64(v.n))
}

// Str returns the content of a TEXT, or the bytes of a BLOB as a string; "" for NULL.
func (v Value) Str() string { return v.s }

// Bytes returns a copy of the bytes of a BLOB or TEXT; nil for NULL.
func (v Value) Bytes() []byte {
	if v.null {
		return nil
	}
	return []byte(v.s)
}

// Raw returns the number behind a value that is neither TEXT nor BLOB: 0 or 1;
// the integer; the bits of the float; days since 1970-01-01; nanoseconds of the
// day; milliseconds since 1970-01-01T00:00 (without zone, or UTC).
func (v Value) Raw() int64 { return v.n }

// Compare orders two values of one type: NULL first, then by value; TEXT and
// BLOB by bytes; floats as IEEE total order does for the usual values (-0 < 0,
// NaN last).
func (v Value) Compare(w Value) int {
	switch {
	case v.null && w.null:
		return 0
	case v.null:
		return -1
	case w.null:
		return 1
	}
	switch v.t {
	case Text, Blob:
		return strings.Compare(v.s, w.s)
	case Float, Double:
		return compareFloat(v.Float64(), w.Float64())
	}
	return cmp.Compare(v.n, w.n)
}

func compareFloat(a, b float64) int {
	switch {
	case math.IsNaN(a) && math.IsNaN(b):
		return 0
	case math.IsNaN(a):
		return 1
	case math.IsNaN(b):
		return -1
	case a == 0 && b == 0:
		return cmp.Compare(signum(a), signum(b))
	}
	return cmp.Compare(a, b)
}

func signum(f float64) int {
	if math.Signbit(f) {
		return -1
	}
	return 1
}

// String renders the value for people: text quoted, blobs in hexadecimal.
func (v Value) String() string {
	switch {
	case !v.IsSet():
		return "<unset>"
	case v.null:
		return "NULL"
	}
	switch v.t {
	case Boolean:
		return strconv.FormatBool(v.n != 0)
	case Int, BigInt:
		return strconv.FormatInt(v.n, 10)
	case Float:
		return strconv.FormatFloat(v.Float64(), 'g', -1, 32)
	case Double:
		return strconv.FormatFloat(v.Float64(), 'g', -1, 64)
	case Text:
		return strconv.Quote(v.s)
	case Blob:
		return "0x" + hex.EncodeToString([]byte(v.s))
	case Date:
		return DateFromEpochDay(v.n).String()
	case Time:
		return TimeFromNanoOfDay(v.n).String()
	case Timestamp:
		return DateTimeFromEpochMilli(v.n).String()
	case TimestampTZ:
		return DateTimeFromEpochMilli(v.n).String() + "Z"
	}
	return fmt.Sprintf("%s(%d)", v.t, v.n)
}

// Check reports a value outside the range of its type: ErrBadArgument. It is
// what keeps data that other managers could not read from being written.
func (v Value) Check() error {
	if v.null {
		return nil
	}
	switch v.t {
	case Date:
		if v.n < minEpochDay || v.n > maxEpochDay {
			return Errorf(ErrBadArgument, "DATE %s is outside 1000-01-01 … 9999-12-31", v)
		}
	case Time:
		if v.n < 0 || v.n >= nanosPerDay {
			return Errorf(ErrBadArgument, "TIME of %d nanoseconds is outside one day", v.n)
		}
	case Timestamp, TimestampTZ:
		if v.n < minEpochDay*milliPerDay || v.n >= (maxEpochDay+1)*milliPerDay {
			return Errorf(ErrBadArgument, "%s %s is outside the years 1000 … 9999", v.t, v)
		}
	case Int:
		if v.n != int64(int32(v.n)) {
			return Errorf(ErrBadArgument, "INT %d does not fit 32 bits", v.n)
		}
	}
	return nil
}
