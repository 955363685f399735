package restore

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math/bits"

	"github.com/stillpoint-db/stillpoint/model"
)

// digest sums up the rows of a table, whatever their order: the sum, modulo
// 2^128, of the first 16 bytes of the SHA-256 of each row. It tells apart what
// was loaded from what is read back; it is no defence against somebody who
// makes rows to fool it.
type digest struct {
	table  *model.Table
	hi, lo uint64
	rows   int64
	buf    []byte
}

func newDigest(t *model.Table) *digest { return &digest{table: t} }

// add takes a row in. Its table must have the same columns in the same order.
func (d *digest) add(row *model.Row) {
	d.buf = d.buf[:0]
	for i, c := range d.table.Columns() {
		v := row.Values[i]
		d.buf = append(d.buf, byte(c.Type))
		switch {
		case v.IsNull() || !v.IsSet():
			d.buf[len(d.buf)-1] |= 0x80
		case c.Type == model.Text || c.Type == model.Blob:
			d.buf = binary.AppendUvarint(d.buf, uint64(len(v.Str())))
			d.buf = append(d.buf, v.Str()...)
		case (c.Type == model.Float || c.Type == model.Double) && v.Float64() == 0:
			d.buf = binary.AppendVarint(d.buf, 0) // some engines do not keep the sign of zero
		default:
			d.buf = binary.AppendVarint(d.buf, v.Raw())
		}
	}
	sum := sha256.Sum256(d.buf)
	var carry uint64
	d.lo, carry = bits.Add64(d.lo, binary.BigEndian.Uint64(sum[8:]), 0)
	d.hi, _ = bits.Add64(d.hi, binary.BigEndian.Uint64(sum[:]), carry)
	d.rows++
}

// String renders the digest, as it is kept in journals.
func (d *digest) String() string {
	b := binary.BigEndian.AppendUint64(nil, d.hi)
	return hex.EncodeToString(binary.BigEndian.AppendUint64(b, d.lo))
}
