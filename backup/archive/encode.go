package archive

import (
	"encoding/binary"

	"github.com/stillpoint-db/stillpoint/model"
)

// appendRow encodes the values of a row of table t.
func appendRow(b []byte, t *model.Table, values []model.Value) ([]byte, error) {
	columns := t.Columns()
	if len(values) != len(columns) {
		return b, model.Errorf(model.ErrBadArgument, "a row of %s has %d values for %d columns", t.Name(), len(values), len(columns))
	}
	nulls := len(b)
	for range (len(columns) + 7) / 8 {
		b = append(b, 0)
	}
	for i := range values {
		v := &values[i]
		if v.Type() != columns[i].Type {
			return b, model.Errorf(model.ErrBadArgument, "column %s of %s is %s, but a row holds %s", columns[i].Name, t.Name(), columns[i].Type, v.String())
		}
		if v.IsNull() {
			b[nulls+i/8] |= 1 << (i % 8)
			continue
		}
		switch columns[i].Type {
		case model.Boolean:
			b = append(b, byte(v.Raw()&1))
		case model.Float:
			b = binary.LittleEndian.AppendUint32(b, uint32(v.Raw()))
		case model.Double:
			b = binary.LittleEndian.AppendUint64(b, uint64(v.Raw()))
		case model.Text, model.Blob:
			s := v.Str()
			b = binary.AppendUvarint(b, uint64(len(s)))
			b = append(b, s...)
		default:
			b = binary.AppendVarint(b, v.Raw())
		}
	}
	return b, nil
}
