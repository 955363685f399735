package postgres

import (
	"encoding/binary"
	"math"
	"unsafe"

	"github.com/stillpoint-db/stillpoint/model"
)

// The object ids of the types that parameters are sent as. TEXT is left to the
// server to infer (text, character varying and character read the same bytes).
var paramOIDs = [...]uint32{
	model.Boolean: 16, model.Int: 23, model.BigInt: 20, model.Float: 700, model.Double: 701, model.Text: 0, model.Blob: 17,
	model.Date: 1082, model.Time: 1083, model.Timestamp: 1114, model.TimestampTZ: 1184,
}

const (
	epochDays   = 10957            // 1970-01-01 to 2000-01-01, where PostgreSQL counts from
	epochMillis = 946684800 * 1000 // the same in milliseconds
)

// appendValue appends a value in PostgreSQL's binary format, with its length
// before it, as Bind and COPY want it.
func appendValue(b []byte, v model.Value) []byte {
	if v.IsNull() {
		return append(b, 0xff, 0xff, 0xff, 0xff)
	}
	switch v.Type() {
	case model.Boolean:
		return append(b, 0, 0, 0, 1, byte(v.Raw()))
	case model.Int:
		return appendInt32(b, int32(v.Raw()))
	case model.BigInt, model.Double:
		return appendInt64(b, v.Raw())
	case model.Float:
		return appendInt32(b, int32(uint32(v.Raw())))
	case model.Date:
		return appendInt32(b, int32(v.Raw()-epochDays))
	case model.Time:
		return appendInt64(b, v.Raw()/1000)
	case model.Timestamp, model.TimestampTZ:
		return appendInt64(b, (v.Raw()-epochMillis)*1000)
	}
	s := v.Str()
	b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
	return append(b, s...)
}

func appendInt32(b []byte, n int32) []byte {
	return binary.BigEndian.AppendUint32(append(b, 0, 0, 0, 4), uint32(n))
}

func appendInt64(b []byte, n int64) []byte {
	return binary.BigEndian.AppendUint64(append(b, 0, 0, 0, 8), uint64(n))
}

// fixedLengths has the bit of each length, in bytes, that a value may have.
var fixedLengths = [model.TimestampTZ + 1]uint16{
	model.Boolean: 1 << 1, model.Int: 1<<2 | 1<<4 | 1<<8, model.BigInt: 1<<2 | 1<<4 | 1<<8, model.Float: 1<<4 | 1<<8, model.Double: 1<<4 | 1<<8,
	model.Date: 1 << 4, model.Time: 1 << 8, model.Timestamp: 1 << 8, model.TimestampTZ: 1 << 8,
}

// decodeFixed reads a value of any type but TEXT and BLOB. Narrower and wider
// columns than ours are read too (double precision for FLOAT, as older releases
// made it; smallint of imported tables).
func decodeFixed(c *model.Column, b []byte) (model.Value, error) {
	var n int64
	if len(b) > 8 || fixedLengths[c.Type]>>len(b)&1 == 0 {
		return model.Value{}, model.Errorf(model.ErrDamaged, "column %s holds %d bytes that are no %s", c.Name, len(b), c.Type)
	}
	switch len(b) {
	case 1:
		n = int64(b[0])
	case 2:
		n = int64(int16(binary.BigEndian.Uint16(b)))
	case 4:
		n = int64(int32(binary.BigEndian.Uint32(b)))
	case 8:
		n = int64(binary.BigEndian.Uint64(b))
	}
	switch c.Type {
	case model.Float:
		if len(b) == 8 {
			d := math.Float64frombits(uint64(n))
			if math.IsInf(float64(float32(d)), 0) && !math.IsInf(d, 0) {
				return model.Value{}, model.Errorf(model.ErrDamaged, "column %s holds %v, which is no FLOAT", c.Name, d)
			}
			return model.FloatValue(float32(d)), nil
		}
		return model.RawValue(model.Float, int64(uint32(n))), nil
	case model.Double:
		if len(b) == 4 {
			return model.DoubleValue(float64(math.Float32frombits(uint32(n)))), nil
		}
		return model.RawValue(model.Double, n), nil
	case model.Date:
		n += epochDays
	case model.Time:
		n *= 1000
	case model.Timestamp, model.TimestampTZ:
		if n%1000 != 0 {
			return model.Value{}, model.Errorf(model.ErrDamaged, "column %s holds a %s with parts of a millisecond, which its type cannot express", c.Name, c.Type)
		}
		n = n/1000 + epochMillis
	case model.BigInt, model.Boolean:
		return model.RawValue(c.Type, n), nil
	}
	v := model.RawValue(c.Type, n)
	if err := v.Check(); err != nil {
		return v, model.Errorf(model.ErrDamaged, "column %s: %v", c.Name, err)
	}
	return v, nil
}

// arena hands out memory that becomes the bytes of strings. Memory handed out
// is never handed out again, so that values outlive the arena.
type arena struct {
	free  []byte
	chunk int // bytes to get at once; 0 = as many as are asked for
}

func (a *arena) take(n int) []byte {
	if n > a.chunk/4 {
		return make([]byte, n)
	}
	if n > len(a.free) {
		a.free = make([]byte, a.chunk)
	}
	b := a.free[:n:n]
	a.free = a.free[n:]
	return b
}

// damaged says what is wrong with column i. The columns before it have been read.
func damaged(t *model.Table, values []model.Value, i int, cause error) error {
	e := &model.Error{Class: model.ErrDamaged, Op: "read", Subject: t.Name().String(), Detail: cause.Error(),
		Hint: "Another program has written it; correct the row in the database, or restore a backup"}
	if i >= t.KeyLen() {
		e.Subject += " " + model.KeyOf(t, values).String()
	}
	return e
}

// decodeRow fills values from the columns of a row, which are those of the
// table in order. All TEXT and BLOB values of the row share one piece of memory.
func decodeRow(t *model.Table, values []model.Value, cols [][]byte, a *arena) error {
	columns := t.Columns()
	if len(cols) != len(columns) {
		return model.Errorf(model.ErrDamaged, "%s: the server sent %d columns instead of %d", t.Name(), len(cols), len(columns))
	}
	total := 0
	for i, b := range cols {
		if typ := columns[i].Type; typ == model.Text || typ == model.Blob {
			total += len(b)
		}
	}
	var all string
	if total > 0 {
		mem := a.take(total)
		at := 0
		for i, b := range cols {
			if typ := columns[i].Type; typ == model.Text || typ == model.Blob {
				at += copy(mem[at:], b)
			}
		}
		all = unsafe.String(unsafe.SliceData(mem), total) // mem is not written to again
	}
	for i, b := range cols {
		c := &columns[i]
		switch {
		case b == nil:
			values[i] = model.Null(c.Type)
		case c.Type == model.Text:
			values[i] = model.TextValue(all[:len(b)])
			all = all[len(b):]
		case c.Type == model.Blob:
			values[i] = model.BlobStringValue(all[:len(b)])
			all = all[len(b):]
		default:
			v, err := decodeFixed(c, b)
			if err != nil {
				return damaged(t, values, i, err)
			}
			values[i] = v
		}
	}
	return nil
}
