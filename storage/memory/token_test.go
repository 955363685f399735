package memory

import (
	"testing"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// tokenScan is a scan in the order of a column of every kind that tokens treat
// apart.
func tokenScan(t testing.TB) storage.Scan {
	table, err := model.NewTable(model.TableSpec{
		Name:         model.TableName{Namespace: "n", Name: "t"},
		PartitionKey: []string{"k"},
		Columns:      []model.Column{{Name: "k", Type: model.Text}, {Name: "b", Type: model.Blob}, {Name: "d", Type: model.Double}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return storage.Scan{Table: table, Kind: storage.ScanTable, OrderBy: []storage.OrderBy{{Column: "d"}, {Column: "b"}}}
}

func FuzzTokenIsRefusedOrReadBackAsItWas(f *testing.F) {
	scan := tokenScan(f)
	for _, v := range []model.Value{model.Null(model.Blob), model.BlobValue([]byte{0, 255})} {
		f.Add(token(scan, &model.Row{Table: scan.Table, Values: []model.Value{model.TextValue("a"), v, model.DoubleValue(-1.5)}}))
	}
	f.Add("AAAA")
	f.Add("§")
	f.Fuzz(func(t *testing.T, text string) {
		scan.Token = text
		row, err := parseToken(scan)
		if err != nil || row == nil {
			return
		}
		again := token(scan, row)
		scan.Token = again
		back, err := parseToken(scan)
		if err != nil {
			t.Fatalf("%q became %q: %v", text, again, err)
		}
		for i, v := range row.Values {
			if v != back.Values[i] {
				t.Errorf("value %d: %v became %v", i, v, back.Values[i])
			}
		}
	})
}
