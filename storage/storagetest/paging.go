package storagetest

import (
	"testing"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// testPaging changes rows between pages: each row that stays is seen once.
func (x *suite) testPaging(t *testing.T) {
	table := x.table(t, things())
	const n = 40
	fill := func(p string) {
		for c := range int32(n) {
			write(t, x.s, upsert(table, key(p, c), set("i", model.IntValue(c/4)), set("s", model.TextValue("same"))))
		}
	}
	for name, scan := range map[string]storage.Scan{
		"Partition": {Partition: []model.Value{model.TextValue("Partition")}},
		"Reverse":   {Partition: []model.Value{model.TextValue("Reverse")}, Reverse: true},
		"Index":     {Kind: storage.ScanIndex, IndexColumn: "i", IndexValue: model.IntValue(3)},
		"Table":     {Kind: storage.ScanTable},
		"Ordered":   {Kind: storage.ScanTable, OrderBy: []storage.OrderBy{{Column: "s"}, {Column: "i", Order: model.Desc}}},
	} {
		t.Run(name, func(t *testing.T) {
			fill(name)
			scan.Table, scan.Limit = table, 3
			seen, gone := map[int32]int{}, map[int32]bool{}
			for page := int32(0); ; page++ {
				p, err := x.s.Scan(t.Context(), scan)
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range p.Rows {
					if r.Get("p") == model.TextValue(name) {
						seen[int32(r.Get("c").Int64())]++
					}
				}
				if p.Next == "" {
					break
				}
				scan.Token = p.Next
				// Rows come and go on both sides of the place reached.
				for _, c := range []int32{page, n - 1 - page} {
					gone[c] = true
					write(t, x.s, storage.Mutation{Kind: storage.Delete, Table: table, Key: key(name, c)})
				}
				write(t, x.s, upsert(table, key(name, 1000+page), set("i", model.IntValue(100))), upsert(table, key(name, -1-page), set("i", model.IntValue(100))))
			}
			for c := range int32(n) {
				if scan.Kind == storage.ScanIndex && c/4 != 3 {
					continue
				}
				if !gone[c] && seen[c] != 1 {
					t.Errorf("row %d stayed and was seen %d times", c, seen[c])
				}
				if seen[c] > 1 {
					t.Errorf("row %d was seen %d times", c, seen[c])
				}
			}
		})
	}
	t.Run("ATokenOfAnotherScanIsRefused", func(t *testing.T) {
		p, err := x.s.Scan(t.Context(), storage.Scan{Table: table, Kind: storage.ScanTable, Limit: 1})
		if err != nil || p.Next == "" {
			t.Fatalf("%+v, %v", p, err)
		}
		_, err = x.s.Scan(t.Context(), storage.Scan{Table: table, Kind: storage.ScanTable, OrderBy: []storage.OrderBy{{Column: "i"}}, Token: p.Next})
		if storage.OutcomeOf(err) != storage.Refused {
			t.Errorf("%v", err)
		}
	})
}
