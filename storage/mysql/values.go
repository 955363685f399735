package mysql

import (
	"database/sql/driver"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"
	"unsafe"

	"github.com/stillpoint-db/stillpoint/model"
)

// argument is a value as it goes to the server.
//
// A FLOAT column is a double of the server that holds the shortest decimal which
// names the 32-bit value, 0.1 and not 0.10000000149…, because that is what
// ScalarDB stores. Times go as text without a zone.
func argument(v model.Value) driver.Value {
	if v.IsNull() || !v.IsSet() {
		return nil
	}
	switch v.Type() {
	case model.Boolean, model.Int, model.BigInt:
		return v.Raw()
	case model.Float:
		return widen(v.Float32())
	case model.Double:
		return v.Float64()
	case model.Text:
		return v.Str()
	case model.Blob:
		s := v.Str()
		if s == "" {
			return []byte{} // nil would be NULL
		}
		return unsafe.Slice(unsafe.StringData(s), len(s)) // read only
	case model.Date, model.Time, model.Timestamp, model.TimestampTZ:
		return string(appendTime(nil, v))
	}
	return nil
}

// widen returns the double of the shortest decimal that names f.
func widen(f float32) float64 {
	var space [32]byte
	b := strconv.AppendFloat(space[:0], float64(f), 'g', -1, 32)
	d, err := strconv.ParseFloat(unsafe.String(&b[0], len(b)), 64)
	if err != nil {
		return float64(f)
	}
	return d
}

// appendTime writes one of the four time types as the server reads it.
func appendTime(b []byte, v model.Value) []byte {
	switch v.Type() {
	case model.Date:
		return appendDate(b, v.Date())
	case model.Time:
		return appendClock(b, v.TimeOfDay(), 6)
	}
	dt := v.DateTime()
	return appendClock(append(appendDate(b, dt.Date), ' '), dt.Time, 3)
}

func appendDate(b []byte, d model.CivilDate) []byte {
	b = append(appendDigits(b, d.Year, 4), '-')
	b = append(appendDigits(b, int(d.Month), 2), '-')
	return appendDigits(b, d.Day, 2)
}

func appendClock(b []byte, t model.CivilTime, decimals int) []byte {
	b = append(appendDigits(b, t.Hour, 2), ':')
	b = append(appendDigits(b, t.Minute, 2), ':')
	b = appendDigits(b, t.Second, 2)
	if t.Nanosecond == 0 {
		return b
	}
	b = append(b, '.')
	n := t.Nanosecond
	for range 9 - decimals {
		n /= 10
	}
	return appendDigits(b, n, decimals)
}

func appendDigits(b []byte, n, width int) []byte {
	b = append(b, "0000000000"[:width]...)
	for i := len(b) - 1; n > 0 && width > 0; i, width = i-1, width-1 {
		b[i] = byte('0' + n%10)
		n /= 10
	}
	return b
}

// rowReader makes rows of a result whose columns are those of a table.
type rowReader struct {
	table *model.Table
	rows  driver.Rows
	dest  []driver.Value
}

// reader reads a result of the session, whose buffer it uses: one at a time.
func (s *session) reader(t *model.Table, rows driver.Rows) rowReader {
	n := len(t.Columns())
	if cap(s.dest) < n {
		s.dest = make([]driver.Value, n)
	}
	return rowReader{table: t, rows: rows, dest: s.dest[:n]}
}

// next returns the next row; nil at the end.
func (r *rowReader) next() (*model.Row, error) {
	row := &model.Row{Table: r.table, Values: make([]model.Value, len(r.dest))}
	if ok, err := r.into(row.Values); err != nil || !ok {
		return nil, err
	}
	return row, nil
}

// into fills values with the next row; false at the end.
func (r *rowReader) into(values []model.Value) (bool, error) {
	if err := r.rows.Next(r.dest); err == io.EOF {
		return false, nil
	} else if err != nil {
		return false, err
	}
	for i, c := range r.table.Columns() {
		v, err := value(c.Type, r.dest[i])
		if err != nil {
			return false, &model.Error{Class: model.ErrDamaged, Op: "read", Subject: r.table.Name().String() + "." + c.Name, Err: err}
		}
		values[i] = v
	}
	return true, nil
}

// value makes a value of what the driver gives, in either protocol.
func value(t model.DataType, v driver.Value) (model.Value, error) {
	if v == nil {
		return model.Null(t), nil
	}
	switch t {
	case model.Boolean, model.Int, model.BigInt:
		n, err := integer(v)
		if err != nil {
			return model.Value{}, err
		}
		if t == model.Boolean && n != 0 {
			n = 1
		}
		out := model.RawValue(t, n)
		return out, out.Check()
	case model.Float, model.Double:
		f, err := float(v)
		if err != nil {
			return model.Value{}, err
		}
		if t == model.Float {
			return model.FloatValue(float32(f)), nil
		}
		return model.DoubleValue(f), nil
	}
	b, ok := v.([]byte)
	if !ok {
		if s, isString := v.(string); isString {
			b = []byte(s)
		} else {
			return model.Value{}, fmt.Errorf("%T is not %s", v, t)
		}
	}
	switch t {
	case model.Text:
		return model.TextValue(string(b)), nil
	case model.Blob:
		return model.BlobStringValue(string(b)), nil
	}
	return parseTime(t, b)
}

func integer(v driver.Value) (int64, error) {
	switch v := v.(type) {
	case int64:
		return v, nil
	case uint64:
		if v > math.MaxInt64 {
			return 0, fmt.Errorf("%d is no 64-bit integer with sign", v)
		}
		return int64(v), nil
	case []byte:
		if len(v) == 1 && v[0] < 2 { // BIT(1)
			return int64(v[0]), nil
		}
		return strconv.ParseInt(string(v), 10, 64)
	}
	return 0, fmt.Errorf("%T is not an integer", v)
}

func float(v driver.Value) (float64, error) {
	switch v := v.(type) {
	case float64:
		return v, nil
	case float32:
		return float64(v), nil
	case int64:
		return float64(v), nil
	case []byte:
		return strconv.ParseFloat(string(v), 64)
	}
	return 0, fmt.Errorf("%T is not a number", v)
}

// parseTime reads YYYY-MM-DD, HH:MM:SS[.f…] or both with a blank. Digits finer
// than the type keeps are an error, as they are to ScalarDB.
func parseTime(t model.DataType, b []byte) (model.Value, error) {
	bad := fmt.Errorf("%q is not a %s", b, t)
	var date model.CivilDate
	var clock model.CivilTime
	if t != model.Time {
		if len(b) < 10 || b[4] != '-' || b[7] != '-' {
			return model.Value{}, bad
		}
		y, ok1 := digits(b[0:4])
		m, ok2 := digits(b[5:7])
		d, ok3 := digits(b[8:10])
		if !ok1 || !ok2 || !ok3 || m == 0 || d == 0 {
			return model.Value{}, bad
		}
		date = model.CivilDate{Year: y, Month: time.Month(m), Day: d}
		b = b[10:]
		if t == model.Date {
			if len(b) != 0 {
				return model.Value{}, bad
			}
			v := model.DateValue(date)
			return v, v.Check()
		}
		if len(b) < 1 || b[0] != ' ' {
			return model.Value{}, bad
		}
		b = b[1:]
	}
	if len(b) < 8 || b[2] != ':' || b[5] != ':' {
		return model.Value{}, bad
	}
	h, ok1 := digits(b[0:2])
	m, ok2 := digits(b[3:5])
	s, ok3 := digits(b[6:8])
	if !ok1 || !ok2 || !ok3 || h > 23 {
		return model.Value{}, bad
	}
	clock = model.CivilTime{Hour: h, Minute: m, Second: s}
	if b = b[8:]; len(b) > 0 {
		if b[0] != '.' || len(b) < 2 || len(b) > 10 {
			return model.Value{}, bad
		}
		n, ok := digits(b[1:])
		if !ok {
			return model.Value{}, bad
		}
		for range 10 - len(b) {
			n *= 10
		}
		clock.Nanosecond = n
	}
	var v model.Value
	switch t {
	case model.Time:
		v = model.TimeValue(clock)
		if v.Raw() != clock.NanoOfDay() {
			return model.Value{}, fmt.Errorf("%s is finer than microseconds", clock)
		}
	default:
		if clock.Nanosecond%1e6 != 0 {
			return model.Value{}, fmt.Errorf("%s is finer than milliseconds", clock)
		}
		ms := model.CivilDateTime{Date: date, Time: clock}.EpochMilli()
		v = model.RawValue(t, ms)
	}
	return v, v.Check()
}

func digits(b []byte) (int, bool) {
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, len(b) > 0
}

// plainText renders what a catalogue query returns; NULL is "".
func plainText(v driver.Value) string {
	switch v := v.(type) {
	case nil:
		return ""
	case []byte:
		return string(v)
	case string:
		return v
	case int64:
		return strconv.FormatInt(v, 10)
	case uint64:
		return strconv.FormatUint(v, 10)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case float32:
		return strconv.FormatFloat(float64(v), 'g', -1, 32)
	}
	return fmt.Sprint(v)
}
