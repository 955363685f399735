package mysql

import (
	"database/sql/driver"
	"io"
	"unicode/utf8"

	"github.com/stillpoint-db/stillpoint/model"
)

// numberScale is the interval itself.
func numberScale(t model.DataType, low, high int64) *scale {
	const flip = uint64(1) << 63 // keeps the order of signed numbers
	return &scale{uint64(low) ^ flip, uint64(high) ^ flip, func(n uint64) model.Value { return model.RawValue(t, int64(n^flip)) }}
}

// byteScale takes the 7 bytes after the common prefix as a number.
func byteScale(low, high string) *scale {
	prefix := commonPrefix(low, high)
	number := func(s string) (n uint64) {
		for i := range 7 {
			n <<= 8
			if at := len(prefix) + i; at < len(s) {
				n |= uint64(s[at])
			}
		}
		return n
	}
	return &scale{number(low), number(high), func(n uint64) model.Value {
		b := []byte(prefix)
		for i := 6; i >= 0; i-- {
			b = append(b, byte(n>>(8*i)))
		}
		return model.BlobStringValue(string(b))
	}}
}

// runeScale takes the three characters after the common prefix as a number of
// base 0x110000. Numbers that no character has are moved to one that has, which
// may turn the order of two values around.
func runeScale(low, high string) *scale {
	prefix := commonPrefix(low, high)
	for len(prefix) > 0 && !utf8.ValidString(prefix) {
		prefix = prefix[:len(prefix)-1]
	}
	const base = utf8.MaxRune + 1
	number := func(s string) (n uint64) {
		rs := []rune(s[len(prefix):])
		for i := range 3 {
			n *= base
			if i < len(rs) {
				n += uint64(rs[i])
			}
		}
		return n
	}
	return &scale{number(low), number(high), func(n uint64) model.Value {
		rs := make([]rune, 3)
		for i := 2; i >= 0; i-- {
			r := rune(n % base)
			n /= base
			switch {
			case r < ' ':
				r = ' '
			case r >= 0xd800 && r < 0xe000:
				r = 0xd7ff
			}
			rs[i] = r
		}
		return model.TextValue(prefix + string(rs))
	}}
}

func commonPrefix(a, b string) string {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return a[:n]
}

// oneValue reads a result of one value.
func oneValue(rows driver.Rows, dest []driver.Value, t model.DataType) (model.Value, error) {
	if err := rows.Next(dest); err == io.EOF {
		return model.Null(t), nil
	} else if err != nil {
		return model.Value{}, err
	}
	return value(t, dest[0])
}
