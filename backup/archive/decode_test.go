package archive

import (
	"bytes"
	"testing"

	"github.com/stillpoint-db/stillpoint/model"
)

// FuzzDecodeRow reads rows from any bytes at all, as they would come out of a
// chunk whose checksum is right, and writes what it read again.
func FuzzDecodeRow(f *testing.F) {
	spec := model.TableSpec{Name: model.TableName{Namespace: "n", Name: "t"}, PartitionKey: []string{"c1"}}
	for typ := model.Boolean; typ <= model.TimestampTZ; typ++ {
		spec.Columns = append(spec.Columns, model.Column{Name: "c" + string(rune('0'+typ)), Type: typ})
	}
	table, err := model.NewTable(spec)
	if err != nil {
		f.Fatal(err)
	}
	null := bytes.Repeat([]byte{0xff}, 2)
	zero := make([]byte, 2+1+1+1+4+8+1+1+1+1+1+1)
	f.Add(null)
	f.Add(zero)
	f.Add(append(bytes.Clone(null), zero...))
	f.Add([]byte{0xdf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Fuzz(func(t *testing.T, data []byte) {
		values := make([]model.Value, len(table.Columns()))
		for b := data; len(b) > 0; {
			n, err := decodeRow(b, string(b), table.Columns(), values)
			if err != nil {
				return
			}
			if n <= 0 || n > len(b) {
				t.Fatalf("a row of %d bytes in %d", n, len(b))
			}
			again, err := appendRow(nil, table, values)
			if err != nil {
				t.Fatal(err)
			}
			back := make([]model.Value, len(values))
			if m, err := decodeRow(again, string(again), table.Columns(), back); err != nil || m != len(again) {
				t.Fatalf("%d of %d bytes, %v", m, len(again), err)
			}
			for i := range values {
				if values[i] != back[i] {
					t.Fatalf("column %d: %v became %v", i, values[i], back[i])
				}
			}
			b = b[n:]
		}
	})
}
