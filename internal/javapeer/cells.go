package javapeer

import (
	"encoding/hex"
	"fmt"
	"math"
	"strconv"

	"github.com/stillpoint-db/stillpoint/model"
)

// FormatCell renders a value in the text form that both languages share: \N is
// NULL; TEXT and BLOB are hexadecimal bytes; FLOAT and DOUBLE hexadecimal bits;
// DATE days, TIME nanoseconds of the day, TIMESTAMP and TIMESTAMPTZ
// milliseconds since 1970.
func FormatCell(v model.Value) string {
	if v.IsNull() || !v.IsSet() {
		return `\N`
	}
	switch v.Type() {
	case model.Boolean:
		return strconv.FormatBool(v.Bool())
	case model.Float:
		return fmt.Sprintf("%08x", math.Float32bits(v.Float32()))
	case model.Double:
		return fmt.Sprintf("%016x", math.Float64bits(v.Float64()))
	case model.Text, model.Blob:
		return hex.EncodeToString([]byte(v.Str()))
	}
	return strconv.FormatInt(v.Raw(), 10)
}

// ParseCell is the inverse of FormatCell.
func ParseCell(t model.DataType, cell string) (model.Value, error) {
	if cell == `\N` {
		return model.Null(t), nil
	}
	switch t {
	case model.Boolean:
		b, err := strconv.ParseBool(cell)
		return model.BooleanValue(b), err
	case model.Float, model.Double:
		bits, err := strconv.ParseUint(cell, 16, 64)
		return model.RawValue(t, int64(bits)), err
	case model.Text:
		b, err := hex.DecodeString(cell)
		return model.TextValue(string(b)), err
	case model.Blob:
		b, err := hex.DecodeString(cell)
		return model.BlobValue(b), err
	}
	n, err := strconv.ParseInt(cell, 10, 64)
	return model.RawValue(t, n), err
}
