//go:build java && servers && failpoints

package interop

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stillpoint-db/stillpoint"
	"github.com/stillpoint-db/stillpoint/internal/javapeer"
	"github.com/stillpoint-db/stillpoint/model"
)

// typesTable has every type, keys of both orders and indexes.
var typesTable = stillpoint.TableDef{
	Name: "types.all",
	Columns: []stillpoint.ColumnDef{
		{Name: "pk", Type: model.BigInt}, {Name: "pk2", Type: model.Text}, {Name: "ck", Type: model.Int}, {Name: "ck2", Type: model.Text},
		{Name: "b", Type: model.Boolean}, {Name: "i", Type: model.Int}, {Name: "l", Type: model.BigInt}, {Name: "f", Type: model.Float},
		{Name: "d", Type: model.Double}, {Name: "t", Type: model.Text}, {Name: "x", Type: model.Blob}, {Name: "da", Type: model.Date},
		{Name: "ti", Type: model.Time}, {Name: "ts", Type: model.Timestamp}, {Name: "tz", Type: model.TimestampTZ},
	},
	PartitionKey:  []string{"pk", "pk2"},
	ClusteringKey: []stillpoint.ClusteringDef{{Column: "ck", Order: stillpoint.Asc}, {Column: "ck2", Order: stillpoint.Desc}},
	Indexes:       []string{"i", "t"},
}

const (
	javaPartition  = "pk:BIGINT,pk2:TEXT"
	javaClustering = "ck:INT:ASC,ck2:TEXT:DESC"
	javaColumns    = "b:BOOLEAN,i:INT,l:BIGINT,f:FLOAT,d:DOUBLE,t:TEXT,x:BLOB,da:DATE,ti:TIME,ts:TIMESTAMP,tz:TIMESTAMPTZ"
)

func javaCreates(t *testing.T, p *javapeer.Peer) {
	t.Helper()
	p.Do(t, "create-coordinator")
	p.Do(t, "create-namespace", "types")
	p.Do(t, "create-table", "types", "all", javaPartition, javaClustering, javaColumns, "i,t")
}

func TestBothMakeTheSameTables(t *testing.T) {
	each(t, singles, func(t *testing.T, byGo world) {
		byJava := singles[byGo.name](t)
		if err := byGo.open(t, nil).CreateTables(t.Context(), append(keyTables(), typesTable)...); err != nil {
			t.Fatal(err)
		}
		peer := byJava.java(t, nil)
		javaCreates(t, peer)
		javaCreatesKeyTables(t, peer)
		got, want := byGo.dump(t), byJava.dump(t)
		if len(want) < 60 {
			t.Fatalf("the dump of what Java made has only %d lines: %v", len(want), want)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("tables differ (-Java +Go):\n%s", d)
		}
	})
}

// typeRows are values at the limits of their types, in the shared text form.
func typeRows() [][]model.Value {
	n := func(t model.DataType) model.Value { return model.Null(t) }
	key := func(i int64) []model.Value {
		return []model.Value{model.BigIntValue(i), model.TextValue("p"), model.IntValue(int32(i)), model.TextValue("c")}
	}
	rows := [][]model.Value{
		{model.BooleanValue(true), model.IntValue(math.MinInt32), model.BigIntValue(math.MinInt64), model.FloatValue(-math.MaxFloat32),
			model.DoubleValue(-math.MaxFloat64), model.TextValue(""), model.BlobValue(nil), model.RawValue(model.Date, -354285), model.RawValue(model.Time, 0),
			model.RawValue(model.Timestamp, -30610224000000), model.RawValue(model.TimestampTZ, -30610224000000)},
		{model.BooleanValue(false), model.IntValue(math.MaxInt32), model.BigIntValue(math.MaxInt64), model.FloatValue(math.MaxFloat32),
			model.DoubleValue(math.MaxFloat64), model.TextValue("ÄÖ\u65e5\u672c \U0001F600 'quote' \\ \" %_\n\t"), model.BlobValue([]byte{0, 1, 0xff, '\'', '\\'}),
			model.RawValue(model.Date, 2932896), model.RawValue(model.Time, 86399999999000), model.RawValue(model.Timestamp, 253402300799999), model.RawValue(model.TimestampTZ, 253402300799999)},
		{model.BooleanValue(true), model.IntValue(0), model.BigIntValue(1<<53 + 1), model.FloatValue(0.1), model.DoubleValue(0.1), model.TextValue("x"), model.BlobValue([]byte("y")),
			model.RawValue(model.Date, -1), model.RawValue(model.Time, 45296123456000), model.RawValue(model.Timestamp, -1), model.RawValue(model.TimestampTZ, -1500)},
		{model.BooleanValue(false), model.IntValue(-1), model.BigIntValue(-1), model.FloatValue(math.SmallestNonzeroFloat32), model.DoubleValue(math.SmallestNonzeroFloat64),
			model.TextValue("a"), model.BlobValue([]byte{0}), model.RawValue(model.Date, 18325), model.RawValue(model.Time, 1000), model.RawValue(model.Timestamp, 1583325296123), model.RawValue(model.TimestampTZ, 1)},
		{n(model.Boolean), n(model.Int), n(model.BigInt), n(model.Float), n(model.Double), n(model.Text), n(model.Blob), n(model.Date), n(model.Time), n(model.Timestamp), n(model.TimestampTZ)},
	}
	for i := range rows {
		rows[i] = append(key(int64(i-2)), rows[i]...)
	}
	return rows
}

func header() string {
	names := make([]string, len(typesTable.Columns))
	for i, c := range typesTable.Columns {
		names[i] = c.Name
	}
	return strings.Join(names, "\t")
}

func lines(rows [][]model.Value) []string {
	out := make([]string, len(rows))
	for i, r := range rows {
		cells := make([]string, len(r))
		for j, v := range r {
			cells[j] = javapeer.FormatCell(v)
		}
		out[i] = strings.Join(cells, "\t")
	}
	slices.Sort(out)
	return out
}

func goWrites(t *testing.T, db *stillpoint.DB, rows [][]model.Value) {
	t.Helper()
	table := db.Table(typesTable.Name)
	for _, r := range rows {
		row := stillpoint.Row{}
		for i, c := range typesTable.Columns {
			row[c.Name] = r[i]
		}
		if err := db.Transact(t.Context(), func(tx *stillpoint.Tx) error { return table.Put(tx, row) }); err != nil {
			t.Fatal(err)
		}
	}
}

func goReads(t *testing.T, db *stillpoint.DB) []string {
	t.Helper()
	var out []string
	err := db.View(t.Context(), func(tx *stillpoint.Tx) error {
		out = nil
		for row, err := range db.Table(typesTable.Name).Scan(tx) {
			if err != nil {
				return err
			}
			cells := make([]string, len(typesTable.Columns))
			for i, c := range typesTable.Columns {
				v, err := cellValue(c, row[c.Name])
				if err != nil {
					return err
				}
				cells[i] = javapeer.FormatCell(v)
			}
			out = append(out, strings.Join(cells, "\t"))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(out)
	return out
}

func TestEachReadsWhatTheOtherWrote(t *testing.T) {
	each(t, singles, func(t *testing.T, w world) {
		rows := typeRows()
		want := lines(rows)
		peer := w.java(t, nil)
		javaCreates(t, peer)
		db := w.open(t, nil)

		// Java writes, Go reads.
		file := filepath.Join(t.TempDir(), "rows")
		if err := os.WriteFile(file, []byte(header()+"\n"+strings.Join(want, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		peer.Do(t, "load", "types", "all", file)
		if d := cmp.Diff(want, goReads(t, db)); d != "" {
			t.Errorf("Go reads what Java wrote (-written +read):\n%s", d)
		}

		// Go overwrites every row with another's values; Java reads.
		for i := range rows {
			copy(rows[i][4:], typeRows()[(i+1)%len(rows)][4:])
		}
		goWrites(t, db, rows)
		out := filepath.Join(t.TempDir(), "dump")
		peer.Do(t, "dump", "types", "all", out)
		data, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
		if got[0] != header() {
			t.Fatalf("Java's columns are %q; want %q", got[0], header())
		}
		if d := cmp.Diff(lines(rows), slices.Sorted(slices.Values(got[1:]))); d != "" {
			t.Errorf("Java reads what Go wrote (-written +read):\n%s", d)
		}
		// And each finds its own and the other's rows by index.
		n := 0
		err = db.View(context.Background(), func(tx *stillpoint.Tx) error {
			n = 0
			for _, err := range db.Table(typesTable.Name).Scan(tx, stillpoint.ByIndex("i", int32(math.MaxInt32))) {
				if err != nil {
					return err
				}
				n++
			}
			return nil
		})
		if err != nil || n != 1 {
			t.Errorf("%d rows by index, %v; want 1", n, err)
		}
		sameRowByAKey(t, db, peer)
	})
}
