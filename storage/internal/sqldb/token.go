package sqldb

import (
	"encoding/base64"
	"encoding/binary"
	"hash/fnv"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// A page token is base64url of: a version byte, 8 bytes that tell the scan it
// belongs to, and the values of the last row in the columns of the order.
const tokenVersion = 1

// scanHash tells apart scans whose tokens must not be mixed up.
func scanHash(s *storage.Scan, order []orderColumn) uint64 {
	h := fnv.New64a()
	b := make([]byte, 0, 128)
	b = append(b, byte(s.Kind))
	b = append(b, s.Table.Name().String()...)
	b = append(b, 0)
	b = append(b, s.IndexColumn...)
	if s.OrIndex != "" {
		b = append(b, 0xff)
		b = append(b, s.OrIndex...)
	}
	for _, o := range order {
		b = append(b, 0)
		b = append(b, s.Table.Columns()[o.pos].Name...)
		b = append(b, byte(s.Table.Columns()[o.pos].Type))
		if o.desc {
			b = append(b, 1)
		}
	}
	_, _ = h.Write(b)
	return h.Sum64()
}

// Token names the place behind a row of the scan.
func (sc *Scan) Token(r *model.Row) string {
	b := make([]byte, 0, 64)
	b = append(b, tokenVersion)
	b = binary.BigEndian.AppendUint64(b, sc.hash)
	values := make([]model.Value, len(sc.order))
	for i, o := range sc.order {
		values[i] = r.Values[o.pos]
	}
	return base64.RawURLEncoding.EncodeToString(append(b, model.EncodeValues(values)...))
}

func decodeToken(token string, sc *Scan) ([]model.Value, error) {
	bad := func(why string) ([]model.Value, error) {
		return nil, model.Errorf(model.ErrBadArgument, "the page token for %s is not usable: %s", sc.table.Name(), why)
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(b) < 9 {
		return bad("it is damaged")
	}
	if b[0] != tokenVersion {
		return bad("it was made by another version of this program")
	}
	if binary.BigEndian.Uint64(b[1:9]) != sc.hash {
		return bad("it belongs to another scan")
	}
	b = b[9:]
	values := make([]model.Value, len(sc.order))
	for i, o := range sc.order {
		v, n := decodeValue(b)
		if n == 0 || v.Type() != sc.table.Columns()[o.pos].Type || v.IsNull() && !o.null || v.Check() != nil {
			return bad("it is damaged")
		}
		values[i], b = v, b[n:]
	}
	if len(b) > 0 {
		return bad("it is damaged")
	}
	return values, nil
}

// decodeValue reads one value as model.EncodeValues writes it, and how many
// bytes it took; 0 = malformed.
func decodeValue(b []byte) (model.Value, int) {
	if len(b) == 0 {
		return model.Value{}, 0
	}
	typ := model.DataType(b[0] &^ 0x80)
	if typ < model.Boolean || typ > model.TimestampTZ {
		return model.Value{}, 0
	}
	if b[0]&0x80 != 0 {
		return model.Null(typ), 1
	}
	if typ == model.Text || typ == model.Blob {
		size, n := binary.Uvarint(b[1:])
		if n <= 0 || size > uint64(len(b)-1-n) {
			return model.Value{}, 0
		}
		end := 1 + n + int(size)
		s := string(b[1+n : end])
		if typ == model.Text {
			return model.TextValue(s), end
		}
		return model.BlobStringValue(s), end
	}
	num, n := binary.Varint(b[1:])
	if n <= 0 {
		return model.Value{}, 0
	}
	return model.RawValue(typ, num), 1 + n
}
