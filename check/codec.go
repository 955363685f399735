package check

import (
	"encoding/binary"
	"errors"

	"github.com/stillpoint-db/stillpoint/model"
)

// The encoding of values and keys inside facts. It lives in scratch files only.

var errFact = errors.New("check: a scratch entry cannot be read")

const nullBit = 0x80

func appendValue(b []byte, v model.Value) []byte {
	t := byte(v.Type())
	switch {
	case v.IsNull():
		return append(b, t|nullBit)
	case v.Type() == model.Text || v.Type() == model.Blob:
		b = binary.AppendUvarint(append(b, t), uint64(len(v.Str())))
		return append(b, v.Str()...)
	}
	return binary.AppendVarint(append(b, t), v.Raw())
}

func appendValues(b []byte, vs []model.Value) []byte {
	for _, v := range vs {
		b = appendValue(b, v)
	}
	return b
}

func appendKey(b []byte, k model.Key) []byte {
	return appendValues(appendValues(b, k.Partition), k.Clustering)
}

// decoder reads what the append functions wrote; the first failure sticks.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.bad = true
		return 0
	}
	c := d.b[0]
	d.b = d.b[1:]
	return c
}

func (d *decoder) uvarint() uint64 {
	n, used := binary.Uvarint(d.b)
	if used <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[used:]
	return n
}

func (d *decoder) varint() int64 {
	n, used := binary.Varint(d.b)
	if used <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[used:]
	return n
}

func (d *decoder) value() model.Value {
	t := d.byte()
	typ := model.DataType(t &^ nullBit)
	switch {
	case t == 0:
		return model.Value{}
	case t&nullBit != 0:
		return model.Null(typ)
	case typ == model.Text || typ == model.Blob:
		n := d.uvarint()
		if n > uint64(len(d.b)) {
			d.bad, d.b = true, nil
			return model.Value{}
		}
		s := string(d.b[:n])
		d.b = d.b[n:]
		if typ == model.Text {
			return model.TextValue(s)
		}
		return model.BlobStringValue(s)
	}
	return model.RawValue(typ, d.varint())
}

func (d *decoder) values(n int) []model.Value {
	vs := make([]model.Value, n)
	for i := range vs {
		vs[i] = d.value()
	}
	return vs
}

func (d *decoder) key(t *model.Table) model.Key {
	return model.KeyOf(t, d.values(t.KeyLen()))
}

func (d *decoder) err() error {
	if d.bad {
		return errFact
	}
	return nil
}
