package archive

import (
	"encoding/binary"
	"errors"

	"github.com/stillpoint-db/stillpoint/model"
)

var errShort = errors.New("a row ends too early")

// decodeRow reads a row from the front of b into values, one for each column,
// and returns how long it was. s is b as a string: TEXT and BLOB values share
// its memory.
func decodeRow(b []byte, s string, columns []model.Column, values []model.Value) (int, error) {
	at := (len(columns) + 7) / 8
	if len(b) < at {
		return 0, errShort
	}
	nulls := b[:at]
	for i, c := range columns {
		if nulls[i/8]&(1<<(i%8)) != 0 {
			values[i] = model.Null(c.Type)
			continue
		}
		switch c.Type {
		case model.Boolean:
			if at >= len(b) {
				return 0, errShort
			}
			if b[at] > 1 {
				return 0, errors.New("a BOOLEAN is neither 0 nor 1")
			}
			values[i] = model.BooleanValue(b[at] == 1)
			at++
		case model.Float:
			if len(b)-at < 4 {
				return 0, errShort
			}
			values[i] = model.RawValue(model.Float, int64(binary.LittleEndian.Uint32(b[at:])))
			at += 4
		case model.Double:
			if len(b)-at < 8 {
				return 0, errShort
			}
			values[i] = model.RawValue(model.Double, int64(binary.LittleEndian.Uint64(b[at:])))
			at += 8
		case model.Text, model.Blob:
			n, w := binary.Uvarint(b[at:])
			if w <= 0 || n > uint64(len(b)-at-w) {
				return 0, errShort
			}
			at += w
			v := s[at : at+int(n)]
			if c.Type == model.Text {
				values[i] = model.TextValue(v)
			} else {
				values[i] = model.BlobStringValue(v)
			}
			at += int(n)
		default:
			n, w := binary.Varint(b[at:])
			if w <= 0 {
				return 0, errShort
			}
			values[i] = model.RawValue(c.Type, n)
			at += w
		}
	}
	return at, nil
}
