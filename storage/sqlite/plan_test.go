package sqlite

import (
	"strings"
	"testing"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// A page that begins in the middle must be found by the index of the primary
// key and come in its order; otherwise a long scan reads the table once a page.
func TestPagesAreFoundByTheKeyIndex(t *testing.T) {
	s := fresh(t)
	table := accounts(t, s)
	mustMutate(t, s, put(table, account("a", 1), 1))
	row, err := s.Get(t.Context(), []storage.Get{{Table: table, Key: account("a", 1)}})
	if err != nil {
		t.Fatal(err)
	}
	p := []model.Value{model.TextValue("a")}
	for name, scan := range map[string]storage.Scan{
		"table":             {Kind: storage.ScanTable},
		"partition":         {Partition: p},
		"partition reverse": {Partition: p, Reverse: true},
		"bounds":            {Partition: p, Start: storage.Bound{Values: []model.Value{model.IntValue(0)}}},
	} {
		scan.Table = table
		sc, err := s.texts.Scan(&scan)
		if err != nil {
			t.Fatal(err)
		}
		scan.Token = sc.Token(row[0])
		if sc, err = s.texts.Scan(&scan); err != nil {
			t.Fatal(err)
		}
		plan, err := executor{s}.Query(t.Context(), "EXPLAIN QUERY PLAN "+sc.SQL)
		if err != nil {
			t.Fatal(err)
		}
		if len(plan) != 1 || !strings.Contains(plan[0][3], "SEARCH") || !strings.Contains(plan[0][3], "sqlite_autoindex") {
			t.Errorf("%s: %v\n%s", name, plan, sc.SQL)
		}
	}
}
