package postgres

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/stillpoint-db/stillpoint/model"
)

func wideTable(t testing.TB) *model.Table {
	t.Helper()
	spec := model.TableSpec{Name: model.TableName{Namespace: "n", Name: "t"}, PartitionKey: []string{"BOOLEAN"}}
	for typ := model.Boolean; typ <= model.TimestampTZ; typ++ {
		spec.Columns = append(spec.Columns, model.Column{Name: typ.String(), Type: typ})
	}
	table, err := model.NewTable(spec)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// extremes are rows with the values at the ends of each type, in the table's order.
func extremes(table *model.Table) [][]model.Value {
	low := map[model.DataType]model.Value{
		model.Boolean: model.BooleanValue(false), model.Int: model.IntValue(math.MinInt32), model.BigInt: model.BigIntValue(math.MinInt64),
		model.Float: model.FloatValue(-math.MaxFloat32), model.Double: model.DoubleValue(math.Inf(-1)), model.Text: model.TextValue(""), model.Blob: model.BlobValue([]byte{0, 255}),
		model.Date: model.RawValue(model.Date, -354285), model.Time: model.RawValue(model.Time, 0),
		model.Timestamp: model.TimestampTZMilli(0), model.TimestampTZ: model.TimestampTZMilli(-354285 * 86400000),
	}
	low[model.Timestamp] = model.RawValue(model.Timestamp, -354285*86400000)
	high := map[model.DataType]model.Value{
		model.Boolean: model.BooleanValue(true), model.Int: model.IntValue(math.MaxInt32), model.BigInt: model.BigIntValue(math.MaxInt64),
		model.Float: model.FloatValue(math.SmallestNonzeroFloat32), model.Double: model.DoubleValue(math.MaxFloat64), model.Text: model.TextValue("größe\n'\""), model.Blob: model.BlobValue(nil),
		model.Date: model.RawValue(model.Date, 2932896), model.Time: model.RawValue(model.Time, 86399999999000),
		model.Timestamp: model.RawValue(model.Timestamp, 2932897*86400000-1), model.TimestampTZ: model.TimestampTZMilli(2932897*86400000 - 1),
	}
	rows := make([][]model.Value, 3)
	for _, c := range table.Columns() {
		rows[0] = append(rows[0], low[c.Type])
		rows[1] = append(rows[1], high[c.Type])
		rows[2] = append(rows[2], model.Null(c.Type))
	}
	return rows
}

// copyStream is what COPY would send of rows, in their own types.
func copyStream(t testing.TB, table *model.Table, rows [][]model.Value) []byte {
	t.Helper()
	e := &copyEncoder{table: table, types: make([]uint32, len(table.Columns()))}
	e.start()
	for _, r := range rows {
		e.encode(&model.Row{Table: table, Values: r})
	}
	if e.err != nil {
		t.Fatal(e.err)
	}
	return append(e.buf, 0xff, 0xff)
}

func TestRowsSurviveTheWireHoweverTheyAreCut(t *testing.T) {
	table := wideTable(t)
	rows := extremes(table)
	stream := copyStream(t, table, rows)
	for piece := 1; piece <= len(stream); piece++ {
		var got [][]model.Value
		d := &copyDecoder{table: table, yield: func(r *model.Row) error {
			got = append(got, slices.Clone(r.Values))
			return nil
		}}
		for part := range slices.Chunk(stream, piece) {
			if err := d.write(slices.Clone(part)); err != nil {
				t.Fatalf("pieces of %d: %v", piece, err)
			}
		}
		if !d.ended || !slices.EqualFunc(got, rows, slices.Equal) {
			t.Fatalf("pieces of %d: read %v", piece, got)
		}
	}
}

func TestColumnsOfOlderReleasesAreRead(t *testing.T) {
	wide := func(f float64) []byte { return binary.BigEndian.AppendUint64(nil, math.Float64bits(f)) }
	for _, c := range []struct {
		typ  model.DataType
		wire []byte
		want model.Value
	}{
		{model.Float, wide(float64(float32(0.1))), model.FloatValue(0.1)}, // double precision for FLOAT
		{model.Int, []byte{0xff, 0xfe}, model.IntValue(-2)},               // smallint
		{model.BigInt, []byte{0, 0, 0, 9}, model.BigIntValue(9)},          // integer
		{model.Double, binary.BigEndian.AppendUint32(nil, math.Float32bits(1.5)), model.DoubleValue(1.5)},
	} {
		if got, err := decodeFixed(&model.Column{Name: "c", Type: c.typ}, c.wire); err != nil || got != c.want {
			t.Errorf("%s of %x: %v, %v", c.typ, c.wire, got, err)
		}
	}
}

func TestValuesThatNoTypeOfOursHoldsAreNotRounded(t *testing.T) {
	micro := func(n int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }
	for _, c := range []struct {
		typ  model.DataType
		wire []byte
	}{
		{model.Timestamp, micro(1)}, {model.TimestampTZ, micro(-1)}, {model.Timestamp, micro(math.MaxInt64)}, {model.Time, micro(86400000000)},
		{model.Date, binary.BigEndian.AppendUint32(nil, math.MaxInt32)}, {model.Int, []byte{1, 2, 3}},
		{model.Int, micro(1 << 31)}, {model.Date, micro(0)}, {model.Boolean, []byte{0, 2}}, {model.Float, micro(int64(math.Float64bits(1e300)))}, {model.BigInt, make([]byte, 200)},
	} {
		if v, err := decodeFixed(&model.Column{Name: "c", Type: c.typ}, c.wire); !errors.Is(err, model.ErrDamaged) {
			t.Errorf("%s of %x: %v, %v", c.typ, c.wire, v, err)
		}
	}
}

func TestValuesOutliveTheMemoryTheyCameIn(t *testing.T) {
	table := wideTable(t)
	stream := copyStream(t, table, extremes(table))
	var texts []string
	d := &copyDecoder{table: table, yield: func(r *model.Row) error {
		texts = append(texts, r.Get("TEXT").Str())
		return nil
	}}
	if err := d.write(stream); err != nil {
		t.Fatal(err)
	}
	clear(stream)
	if texts[1] != "größe\n'\"" {
		t.Errorf("the text became %q", texts[1])
	}
}

// FuzzCopyDecoder feeds the decoder anything: it must not panic, and what it
// accepts as a whole must not depend on how it is cut.
func FuzzCopyDecoder(f *testing.F) {
	table := wideTable(f)
	stream := copyStream(f, table, extremes(table))
	f.Add(stream, 7)
	f.Add(stream[:len(stream)-3], 1)
	f.Add([]byte(copySignature+"\x00\x00\x00\x00\x00\x00\x00\x02ab\xff\xff"), 4)
	f.Fuzz(func(t *testing.T, data []byte, piece int) {
		run := func(n int) (rows int, ended bool, err error) {
			d := &copyDecoder{table: table, yield: func(*model.Row) error { rows++; return nil }}
			for part := range slices.Chunk(slices.Clone(data), n) {
				if err := d.write(part); err != nil {
					return rows, d.ended, err
				}
			}
			return rows, d.ended, nil
		}
		r1, e1, err1 := run(max(1, len(data)))
		r2, e2, err2 := run(min(max(1, piece), max(1, len(data))))
		if r1 != r2 || e1 != e2 || (err1 == nil) != (err2 == nil) {
			t.Errorf("whole: %d %v %v; in pieces of %d: %d %v %v", r1, e1, err1, piece, r2, e2, err2)
		}
	})
}
