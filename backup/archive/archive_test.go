package archive_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stillpoint-db/stillpoint/backup/archive"
	"github.com/stillpoint-db/stillpoint/internal/leak"
	"github.com/stillpoint-db/stillpoint/model"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { leak.Main(m) }

// The same values are drawn each time; -rapid.seed 0 draws others.
func init() { _ = flag.Set("rapid.seed", "1") }

var update = flag.Bool("update", false, "write the golden files of the current format")

// everyType is a table with a column of each type beside its key.
func everyType(t testing.TB) *model.Table {
	spec := model.TableSpec{
		Name:          model.TableName{Namespace: "bank", Name: "every"},
		Columns:       []model.Column{{Name: "p", Type: model.Text}, {Name: "c", Type: model.Int}},
		PartitionKey:  []string{"p"},
		ClusteringKey: []model.ClusteringColumn{{Name: "c", Order: model.Desc}},
	}
	for typ := model.Boolean; typ <= model.TimestampTZ; typ++ {
		spec.Columns = append(spec.Columns, model.Column{Name: "v_" + typ.String(), Type: typ})
	}
	spec.Indexes = []string{"v_BIGINT"}
	table, err := model.NewTable(spec)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// limits are the rows that hold the limits of every type.
func limits(table *model.Table) []*model.Row {
	low := []model.Value{
		model.BooleanValue(false), model.IntValue(math.MinInt32), model.BigIntValue(math.MinInt64),
		model.FloatValue(float32(math.Inf(-1))), model.DoubleValue(math.Copysign(0, -1)), model.TextValue(""), model.BlobValue(nil),
		model.DateValue(model.CivilDate{Year: 1000, Month: 1, Day: 1}), model.TimeValue(model.CivilTime{}),
		model.TimestampValue(model.CivilDateTime{Date: model.CivilDate{Year: 1000, Month: 1, Day: 1}}), model.TimestampTZMilli(-30610224000000),
	}
	high := []model.Value{
		model.BooleanValue(true), model.IntValue(math.MaxInt32), model.BigIntValue(math.MaxInt64),
		model.FloatValue(float32(math.NaN())), model.DoubleValue(math.MaxFloat64), model.TextValue("naïve \x00 ☃ 𝄞"), model.BlobValue([]byte{0, 255, 128}),
		model.DateValue(model.CivilDate{Year: 9999, Month: 12, Day: 31}), model.TimeValue(model.CivilTime{Hour: 23, Minute: 59, Second: 59, Nanosecond: 999999000}),
		model.TimestampValue(model.CivilDateTime{Date: model.CivilDate{Year: 9999, Month: 12, Day: 31}, Time: model.CivilTime{Hour: 23, Minute: 59, Second: 59, Nanosecond: 999000000}}),
		model.TimestampTZMilli(253402300799999),
	}
	var null []model.Value
	for _, v := range low {
		null = append(null, model.Null(v.Type()))
	}
	var rows []*model.Row
	for i, vs := range [][]model.Value{low, high, null} {
		rows = append(rows, &model.Row{Table: table, Values: append([]model.Value{model.TextValue("k"), model.IntValue(int32(i))}, vs...)})
	}
	return rows
}

func write(t testing.TB, table *model.Table, rows []*model.Row) ([]byte, archive.Summary) {
	t.Helper()
	var b bytes.Buffer
	w, err := archive.NewWriter(&b, table, archive.Options{Storage: "pg"})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if err := w.Write(r); err != nil {
			t.Fatal(err)
		}
	}
	s, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), s
}

func read(in io.Reader) (rows []*model.Row, table *model.Table, err error) {
	r, err := archive.NewReader(in)
	if err != nil {
		return nil, nil, err
	}
	for row, err := range r.Rows() {
		if err != nil {
			return rows, r.Table(), err
		}
		rows = append(rows, row.Clone())
	}
	return rows, r.Table(), nil
}

func values(rows []*model.Row) (all [][]model.Value) {
	for _, r := range rows {
		all = append(all, r.Values)
	}
	return all
}

var sameValue = cmp.Comparer(func(a, b model.Value) bool { return a == b })

func TestEveryTypeAtItsLimitsComesBackAsItWas(t *testing.T) {
	table := everyType(t)
	rows := limits(table)
	file, sum := write(t, table, rows)
	got, back, err := read(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(values(rows), values(got), sameValue); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(table.Spec(), back.Spec()); d != "" {
		t.Error(d)
	}
	if sum.Rows != 3 || sum.Size != int64(len(file)) || sum.Chunks != 1 {
		t.Errorf("summary %+v of a file of %d bytes", sum, len(file))
	}
}

func TestAnEmptyTableIsAWholeFile(t *testing.T) {
	file, sum := write(t, everyType(t), nil)
	rows, _, err := read(bytes.NewReader(file))
	if err != nil || len(rows) != 0 || sum.Chunks != 0 {
		t.Errorf("%d rows, %d chunks, %v", len(rows), sum.Chunks, err)
	}
}

// wide makes rows that fill some chunks.
func wide(table *model.Table, n, blob int) []*model.Row {
	rnd := rand.New(rand.NewPCG(1, 2))
	var rows []*model.Row
	for i := range n {
		vs := append([]model.Value(nil), limits(table)[i%3].Values...)
		vs[1] = model.IntValue(int32(i))
		b := make([]byte, blob)
		for j := range b {
			b[j] = byte(rnd.Uint32())
			if i%2 == 0 {
				b[j] &= 7
			}
		}
		vs[table.Position("v_BLOB")] = model.BlobValue(b)
		rows = append(rows, &model.Row{Table: table, Values: vs})
	}
	return rows
}

func TestRowsOverManyChunksComeBackInOrder(t *testing.T) {
	table := everyType(t)
	rows := wide(table, 5000, 1000)
	rows = append(rows, wide(table, 1, 5<<20)...) // a row longer than a chunk
	file, sum := write(t, table, rows)
	if sum.Chunks < 5 {
		t.Fatalf("only %d chunks", sum.Chunks)
	}
	got, _, err := read(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(values(rows), values(got), sameValue); d != "" {
		t.Error(d)
	}
}

func TestEveryFlippedBitIsNoticed(t *testing.T) {
	table := everyType(t)
	file, _ := write(t, table, limits(table))
	for i := range file {
		for bit := range 8 {
			bad := bytes.Clone(file)
			bad[i] ^= 1 << bit
			_, _, err := read(bytes.NewReader(bad))
			if !errors.Is(err, model.ErrDamaged) && !errors.Is(err, model.ErrRefused) {
				t.Fatalf("bit %d of byte %d: %v", bit, i, err)
			}
		}
	}
}

func TestEveryTruncationAndAnythingBehindTheEndIsNoticed(t *testing.T) {
	table := everyType(t)
	file, _ := write(t, table, limits(table))
	for n := range file {
		if _, _, err := read(bytes.NewReader(file[:n])); !errors.Is(err, model.ErrDamaged) {
			t.Fatalf("cut to %d of %d bytes: %v", n, len(file), err)
		}
	}
	if _, _, err := read(bytes.NewReader(append(bytes.Clone(file), 0))); !errors.Is(err, model.ErrDamaged) {
		t.Errorf("with a byte behind the end: %v", err)
	}
}

func TestTheReaderGoesOnBehindADamagedChunkAndNamesItsRange(t *testing.T) {
	table := everyType(t)
	rows := wide(table, 4000, 1000)
	file, sum := write(t, table, rows)
	bad := bytes.Clone(file)
	bad[len(bad)/2] ^= 1
	r, err := archive.NewReader(bytes.NewReader(bad))
	if err != nil {
		t.Fatal(err)
	}
	var damage []*archive.DamageError
	n := 0
	for {
		_, err := r.Next()
		if err == io.EOF {
			break
		}
		d, is := errors.AsType[*archive.DamageError](err)
		switch {
		case is:
			damage = append(damage, d)
		case err != nil:
			t.Fatal(err)
		default:
			n++
		}
	}
	if len(damage) != 1 || damage[0].Rest() || damage[0].From == 0 || damage[0].To-damage[0].From < 1<<20 {
		t.Fatalf("damage %v", damage)
	}
	if n >= 4000 || n < 4000-4000/(sum.Chunks-1) {
		t.Errorf("%d of 4000 rows read around one of %d chunks", n, sum.Chunks)
	}
	if !strings.Contains(damage[0].Error(), "MiB of its data") {
		t.Error(damage[0])
	}
}

func TestALaterFormatIsRefusedByNumber(t *testing.T) {
	file, _ := write(t, everyType(t), nil)
	file[8] = byte(archive.Current) + 1
	_, err := archive.NewReader(bytes.NewReader(file))
	if !errors.Is(err, model.ErrRefused) || !strings.Contains(err.Error(), fmt.Sprintf("format %d", archive.Current+1)) {
		t.Error(err)
	}
}

func TestARowThatDoesNotFitItsTableIsRefused(t *testing.T) {
	table := everyType(t)
	row := limits(table)[0]
	for name, bad := range map[string][]model.Value{
		"too short":  row.Values[:3],
		"wrong type": append([]model.Value{model.BlobValue([]byte("k"))}, row.Values[1:]...),
		"not there":  append([]model.Value{{}}, row.Values[1:]...),
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			w, err := archive.NewWriter(&b, table, archive.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if err := w.Write(&model.Row{Table: table, Values: bad}); !errors.Is(err, model.ErrBadArgument) {
				t.Error(err)
			}
			if _, err := w.Close(); err != nil {
				t.Error(err)
			}
			if rows, _, err := read(&b); err != nil || len(rows) != 0 {
				t.Errorf("%d rows, %v", len(rows), err)
			}
		})
	}
}

// full is a writer that takes some bytes and then no more.
type full struct{ left int }

var errFull = errors.New("no space")

func (f *full) Write(b []byte) (int, error) {
	if len(b) > f.left {
		return f.left, errFull
	}
	f.left -= len(b)
	return len(b), nil
}

func TestAFullDiskEndsWriteOrCloseWithItsError(t *testing.T) {
	table := everyType(t)
	rows := wide(table, 4000, 1000)
	w, err := archive.NewWriter(&full{100_000}, table, archive.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if err = w.Write(r); err != nil {
			break
		}
	}
	if _, closed := w.Close(); !errors.Is(closed, errFull) {
		t.Errorf("Close: %v", closed)
	}
	if err != nil && !errors.Is(err, errFull) {
		t.Errorf("Write: %v", err)
	}
}

func TestRowsOfAnyTableComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		spec := model.TableSpec{Name: model.TableName{Namespace: "n", Name: "t"}}
		n := rapid.IntRange(1, 20).Draw(t, "columns")
		for i := range n {
			spec.Columns = append(spec.Columns, model.Column{Name: fmt.Sprint("c", i), Type: model.DataType(rapid.IntRange(1, 11).Draw(t, "type"))})
		}
		spec.PartitionKey = []string{fmt.Sprint("c", rapid.IntRange(0, n-1).Draw(t, "key"))}
		table, err := model.NewTable(spec)
		if err != nil {
			t.Fatal(err)
		}
		var rows []*model.Row
		for range rapid.IntRange(0, 30).Draw(t, "rows") {
			row := &model.Row{Table: table}
			for _, c := range table.Columns() {
				row.Values = append(row.Values, anyValue(t, c.Type))
			}
			rows = append(rows, row)
		}
		var b bytes.Buffer
		w, err := archive.NewWriter(&b, table, archive.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			if err := w.Write(r); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.Close(); err != nil {
			t.Fatal(err)
		}
		got, _, err := read(&b)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(values(rows), values(got), sameValue); d != "" {
			t.Fatal(d)
		}
	})
}

func anyValue(t *rapid.T, typ model.DataType) model.Value {
	if rapid.IntRange(0, 4).Draw(t, "null") == 0 {
		return model.Null(typ)
	}
	switch typ {
	case model.Boolean:
		return model.BooleanValue(rapid.Bool().Draw(t, "bool"))
	case model.Float:
		return model.FloatValue(math.Float32frombits(rapid.Uint32().Draw(t, "float")))
	case model.Double:
		return model.DoubleValue(math.Float64frombits(rapid.Uint64().Draw(t, "double")))
	case model.Text:
		return model.TextValue(rapid.String().Draw(t, "text"))
	case model.Blob:
		return model.BlobValue(rapid.SliceOf(rapid.Byte()).Draw(t, "blob"))
	case model.Int:
		return model.IntValue(rapid.Int32().Draw(t, "int"))
	}
	return model.RawValue(typ, rapid.Int64().Draw(t, "n"))
}

// TestFilesOfEveryReleasedFormatAreRead reads a file that each version of the
// format wrote when it was current.
func TestFilesOfEveryReleasedFormatAreRead(t *testing.T) {
	table := everyType(t)
	long := limits(table)[1].Clone()
	long.Values[table.Position("v_BLOB")] = model.BlobValue(make([]byte, 1200000)) // closes a chunk
	want := slices.Concat(limits(table), []*model.Row{long}, limits(table))
	if *update {
		file, _ := write(t, table, want)
		if err := os.WriteFile(filepath.Join("testdata", fmt.Sprintf("v%d.rows", archive.Current)), file, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for v := archive.V1; v <= archive.Current; v++ {
		f, err := os.Open(filepath.Join("testdata", fmt.Sprintf("v%d.rows", v)))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		got, back, err := read(f)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(values(want), values(got), sameValue); d != "" {
			t.Errorf("format %d: %s", v, d)
		}
		if !back.Equal(table) || archive.Define(back).Hash() != archive.Define(table).Hash() {
			t.Errorf("format %d: another definition", v)
		}
	}
}

func FuzzReader(f *testing.F) {
	table := everyType(f)
	for _, rows := range [][]*model.Row{nil, limits(table), wide(table, 20, 100)} {
		file, _ := write(f, table, rows)
		f.Add(file)
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		r, err := archive.NewReader(bytes.NewReader(file))
		if err != nil {
			return
		}
		for {
			row, err := r.Next()
			if d, is := errors.AsType[*archive.DamageError](err); is && !d.Rest() {
				continue
			}
			if err != nil {
				return
			}
			for i, v := range row.Values {
				if c := r.Table().Columns()[i]; v.Type() != c.Type {
					t.Fatalf("column %s of type %s holds %s", c.Name, c.Type, v)
				}
			}
		}
	})
}

func benchmarkRows(b *testing.B) (*model.Table, []*model.Row, int64) {
	spec := model.TableSpec{Name: model.TableName{Namespace: "bank", Name: "accounts"}, PartitionKey: []string{"id"}}
	add := func(typ model.DataType, names ...string) {
		for _, n := range names {
			spec.Columns = append(spec.Columns, model.Column{Name: n, Type: typ})
		}
	}
	add(model.BigInt, "id", "balance")
	add(model.Text, "note", "tx_id", "before_note", "before_tx_id")
	add(model.Int, "tx_state", "tx_version", "before_tx_state", "before_tx_version")
	add(model.BigInt, "tx_prepared_at", "tx_committed_at", "before_balance", "before_tx_prepared_at", "before_tx_committed_at")
	table, err := model.NewTable(spec)
	if err != nil {
		b.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	var rows []*model.Row
	for i := range 20000 {
		row := &model.Row{Table: table}
		for _, c := range table.Columns() {
			v := model.Null(c.Type)
			switch {
			case c.Name == "id":
				v = model.BigIntValue(int64(i))
			case strings.HasPrefix(c.Name, "before_"):
			case c.Name == "tx_id":
				v = model.TextValue(fmt.Sprintf("%016x-%016x", rnd.Uint64(), rnd.Uint64()))
			case c.Type == model.Text:
				v = model.TextValue(strings.Repeat(fmt.Sprintf("%x", rnd.Uint64()), 6))
			case c.Type == model.Int:
				v = model.IntValue(3)
			default:
				v = model.BigIntValue(1790000000000 + rnd.Int64N(1000000))
			}
			row.Values = append(row.Values, v)
		}
		rows = append(rows, row)
	}
	_, s := write(b, table, rows)
	return table, rows, s.Raw
}

func BenchmarkWriter(b *testing.B) {
	table, rows, raw := benchmarkRows(b)
	b.SetBytes(raw)
	b.ReportAllocs()
	for b.Loop() {
		w, err := archive.NewWriter(io.Discard, table, archive.Options{})
		if err != nil {
			b.Fatal(err)
		}
		for _, r := range rows {
			if err := w.Write(r); err != nil {
				b.Fatal(err)
			}
		}
		if _, err := w.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReader(b *testing.B) {
	table, rows, raw := benchmarkRows(b)
	file, _ := write(b, table, rows)
	b.SetBytes(raw)
	b.ReportAllocs()
	for b.Loop() {
		r, err := archive.NewReader(bytes.NewReader(file))
		if err != nil {
			b.Fatal(err)
		}
		n := 0
		for _, err := range r.Rows() {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		if n != len(rows) {
			b.Fatal(n)
		}
	}
}
