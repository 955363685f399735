package mysql

import (
	"database/sql/driver"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"

	"github.com/stillpoint-db/stillpoint/model"
)

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
			return false, r.damaged(values, i, err)
		}
		values[i] = v
	}
	return true, nil
}

// damaged says what is wrong with column i. The columns before it have been read.
func (r *rowReader) damaged(values []model.Value, i int, cause error) error {
	e := &model.Error{Class: model.ErrDamaged, Op: "read", Subject: r.table.Name().String(),
		Detail: fmt.Sprintf("column %s: %v", r.table.Columns()[i].Name, cause), // not its class
		Hint:   "Another program has written it; correct the row in the database, or restore a backup"}
	if i >= r.table.KeyLen() {
		e.Subject += " " + model.KeyOf(r.table, values).String()
	}
	return e
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
		if t == model.Boolean && n != 0 && n != 1 { // which no condition would match
			return model.Value{}, fmt.Errorf("%d is no BOOLEAN", n)
		}
		out := model.RawValue(t, n)
		return out, out.Check()
	case model.Float, model.Double:
		f, err := float(v)
		if err != nil {
			return model.Value{}, err
		}
		if t == model.Float {
			if math.IsInf(float64(float32(f)), 0) && !math.IsInf(f, 0) {
				return model.Value{}, fmt.Errorf("%v is no FLOAT", f)
			}
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
		n, err := strconv.ParseInt(string(v), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%.40q is not an integer", v)
		}
		return n, nil
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
		f, err := strconv.ParseFloat(string(v), 64)
		if err != nil {
			return 0, fmt.Errorf("%.40q is not a number", v)
		}
		return f, nil
	}
	return 0, fmt.Errorf("%T is not a number", v)
}

// parseTime reads YYYY-MM-DD, HH:MM:SS[.f…] or both with a blank. Digits finer
// than the type keeps are an error, as they are to ScalarDB.
func parseTime(t model.DataType, b []byte) (model.Value, error) {
	var date model.CivilDate
	var clock model.CivilTime
	ok, rest := true, b
	if t != model.Time {
		date, rest, ok = parseDate(rest)
	}
	if ok && t != model.Date {
		if t != model.Time {
			ok = len(rest) > 0 && rest[0] == ' '
			rest = rest[min(1, len(rest)):]
		}
		if ok {
			clock, rest, ok = parseClock(rest)
		}
	}
	if !ok || len(rest) > 0 {
		return model.Value{}, fmt.Errorf("%q is not a %s", b, t)
	}
	var v model.Value
	switch t {
	case model.Date:
		v = model.DateValue(date)
	case model.Time:
		if clock.Nanosecond%1e3 != 0 {
			return model.Value{}, fmt.Errorf("%s is finer than microseconds", clock)
		}
		v = model.TimeValue(clock)
	default:
		if clock.Nanosecond%1e6 != 0 {
			return model.Value{}, fmt.Errorf("%s is finer than milliseconds", clock)
		}
		v = model.RawValue(t, model.CivilDateTime{Date: date, Time: clock}.EpochMilli())
	}
	return v, v.Check()
}

func parseDate(b []byte) (d model.CivilDate, rest []byte, ok bool) {
	if len(b) < 10 || b[4] != '-' || b[7] != '-' {
		return d, b, false
	}
	year, ok1 := digits(b[0:4])
	month, ok2 := digits(b[5:7])
	day, ok3 := digits(b[8:10])
	d = model.CivilDate{Year: year, Month: time.Month(month), Day: day}
	return d, b[10:], ok1 && ok2 && ok3 && model.DateFromEpochDay(d.EpochDay()) == d
}

func parseClock(b []byte) (c model.CivilTime, rest []byte, ok bool) {
	if len(b) < 8 || b[2] != ':' || b[5] != ':' {
		return c, b, false
	}
	hour, ok1 := digits(b[0:2])
	minute, ok2 := digits(b[3:5])
	second, ok3 := digits(b[6:8])
	c = model.CivilTime{Hour: hour, Minute: minute, Second: second}
	ok = ok1 && ok2 && ok3 && hour < 24 && minute < 60 && second < 60
	if b = b[8:]; len(b) == 0 || b[0] != '.' {
		return c, b, ok
	}
	if len(b) < 2 || len(b) > 10 {
		return c, b, false
	}
	fraction, ok4 := digits(b[1:])
	for range 10 - len(b) {
		fraction *= 10
	}
	c.Nanosecond = fraction
	return c, nil, ok && ok4
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
