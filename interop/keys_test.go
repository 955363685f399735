//go:build java && servers && failpoints

package interop

import (
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stillpoint-db/stillpoint"
	"github.com/stillpoint-db/stillpoint/internal/javapeer"
	"github.com/stillpoint-db/stillpoint/model"
)

// keyTypes are all types; each may be a key of both kinds and have an index.
var keyTypes = []model.DataType{model.Boolean, model.Int, model.BigInt, model.Float, model.Double, model.Text, model.Blob,
	model.Date, model.Time, model.Timestamp, model.TimestampTZ}

func keyTable(t model.DataType) stillpoint.TableDef {
	return stillpoint.TableDef{
		Name:          "types." + strings.ToLower(t.String()),
		Columns:       []stillpoint.ColumnDef{{Name: "p", Type: t}, {Name: "c", Type: t}, {Name: "v", Type: t}},
		PartitionKey:  []string{"p"},
		ClusteringKey: []stillpoint.ClusteringDef{{Column: "c", Order: stillpoint.Desc}},
		Indexes:       []string{"v"},
	}
}

func keyTables() []stillpoint.TableDef {
	var defs []stillpoint.TableDef
	for _, t := range keyTypes {
		defs = append(defs, keyTable(t))
	}
	return defs
}

func javaCreatesKeyTables(t *testing.T, p *javapeer.Peer) {
	t.Helper()
	for _, typ := range keyTypes {
		p.Do(t, "create-table", "types", strings.ToLower(typ.String()), "p:"+typ.String(), "c:"+typ.String()+":DESC", "v:"+typ.String(), "v")
	}
}

// keyValues are values of a type at its limits that may be keys, from the rows
// that both write.
func keyValues(t model.DataType) []model.Value {
	at := 4 + slices.Index(keyTypes, t)
	seen := map[model.Value]bool{}
	var out []model.Value
	for _, row := range typeRows() {
		v := row[at]
		switch {
		case v.IsNull() || seen[v]:
		case (t == model.Text || t == model.Blob) && len(v.Str()) == 0: // refused as a key
		case t == model.Float && v.Float32() == math.SmallestNonzeroFloat32:
			// MySQL keeps a FLOAT as the DOUBLE of its decimal form, for which Java
			// before 19 has more digits than are needed; see docs/proof.md.
		default:
			seen[v] = true
			out = append(out, v)
		}
	}
	return out
}

// sameRowByAKey looks that what the other has written under a key is found, and
// written over and not beside, for every type of key.
func sameRowByAKey(t *testing.T, db *stillpoint.DB, peer *javapeer.Peer) {
	if err := db.CreateTables(t.Context(), keyTables()...); err != nil {
		t.Fatal(err)
	}
	for _, typ := range keyTypes {
		t.Run(typ.String(), func(t *testing.T) {
			table, values := db.Table(keyTable(typ).Name), keyValues(typ)
			want := map[string]string{}
			text := []string{"p\tc\tv"}
			for i, v := range values {
				next := values[(i+1)%len(values)]
				if err := db.Transact(t.Context(), func(tx *stillpoint.Tx) error {
					return table.Put(tx, stillpoint.Row{"p": v, "c": v, "v": v})
				}); err != nil {
					t.Fatal(err)
				}
				cell := javapeer.FormatCell(v)
				want[cell] = javapeer.FormatCell(next)
				text = append(text, cell+"\t"+cell+"\t"+want[cell])
			}
			file := filepath.Join(t.TempDir(), "rows")
			if err := os.WriteFile(file, []byte(strings.Join(text, "\n")+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			peer.Do(t, "load", "types", strings.ToLower(typ.String()), file)
			got := map[string]string{}
			err := db.View(t.Context(), func(tx *stillpoint.Tx) error {
				clear(got)
				for row, err := range table.Scan(tx) {
					if err != nil {
						return err
					}
					key, err := cellValue(stillpoint.ColumnDef{Name: "p", Type: typ}, row["p"])
					if err != nil {
						return err
					}
					value, err := cellValue(stillpoint.ColumnDef{Name: "v", Type: typ}, row["v"])
					if err != nil {
						return err
					}
					if _, twice := got[javapeer.FormatCell(key)]; twice {
						return fmt.Errorf("two rows with key %s", key)
					}
					got[javapeer.FormatCell(key)] = javapeer.FormatCell(value)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range values {
				if err := db.View(t.Context(), func(tx *stillpoint.Tx) error { _, err := table.Get(tx, v, v); return err }); err != nil {
					t.Error(err)
				}
			}
			if !maps.Equal(got, want) {
				t.Errorf("by key: %v; want %v", got, want)
			}
		})
	}
}
