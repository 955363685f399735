package mysql

import (
	"database/sql/driver"
	"strconv"
	"unsafe"

	"github.com/stillpoint-db/stillpoint/model"
)

// argument is a value as it goes to the server.
//
// A FLOAT column is a double of the server that holds the shortest decimal which
// names the 32-bit value, 0.1 and not 0.10000000149…, because that is what
// ScalarDB stores on Java 19 and later (before, its decimals are longer for some values: docs/proof.md).
// Times go as text without a zone.
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
