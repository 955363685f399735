package verify

import (
	"slices"
	"testing"

	"github.com/stillpoint-db/stillpoint/backup/manifest"
)

// TestTheKeysInMemoryDoNotGrowWithTheNumberOfTables counts what the tables that
// are verified together may hold at once.
func TestTheKeysInMemoryDoNotGrowWithTheNumberOfTables(t *testing.T) {
	v := &verifier{opts: Options{Keys: 100}}
	var tables []manifest.Table
	for _, rows := range []int64{0, 60, 30, 60, 1000, 100, 1, 0} {
		tables = append(tables, manifest.Table{Rows: rows})
	}
	var got [][]int64
	for _, g := range v.groups(tables) {
		var rows []int64
		for _, t := range g {
			rows = append(rows, t.Rows)
		}
		got = append(got, rows)
	}
	want := [][]int64{{0, 60, 30}, {60}, {1000}, {100}, {1, 0}}
	if !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("%v, not %v", got, want)
	}
	if len(v.groups(nil)) != 0 {
		t.Error("a group of nothing")
	}
}
