//go:build servers

package mysql

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stillpoint-db/stillpoint/internal/testenv"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// TestWhatAServerGivesAllSessionsChangesNothing: with such defaults a server ends
// every read after three rows without a word, refuses large ones, or begins a
// transaction where one ends.
func TestWhatAServerGivesAllSessionsChangesNothing(t *testing.T) {
	server := testenv.NewMariaDB(t, testenv.MariaDBOptions{})
	for i, way := range []func(*Store) *Store{func(s *Store) *Store { return s }, asMySQL} {
		server.Exec(t, "SET GLOBAL sql_select_limit=3, GLOBAL max_join_size=5, GLOBAL completion_type=CHAIN")
		s := way(openURL(t, server.URL()))
		table := newTable(t, s, fmt.Sprintf("ns%d", i), "t")
		const rows = 20
		for n := range int32(rows) {
			mustMutate(t, s, put(table, fmt.Sprint(n), n, storage.Guard{Kind: storage.NotExists}), put(table, fmt.Sprint("more", n), n, storage.Guard{}))
			mustMutate(t, s, put(table, fmt.Sprint(n), 2*n, storage.Guard{}))
		}
		page, err := s.Scan(t.Context(), storage.Scan{Table: table, Kind: storage.ScanTable})
		if err != nil || len(page.Rows) != 2*rows {
			t.Errorf("%d rows of %d, %v", len(page.Rows), 2*rows, err)
		}
		n := snapshotOf(t, s, 1, table)
		if err := n.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		parts, err := n.Split(t.Context(), table, 4)
		if err != nil {
			t.Fatal(err)
		}
		if got := readAll(t, n, table, parts); len(got) != 2*rows {
			t.Errorf("%d rows of %d in the snapshot", len(got), 2*rows)
		}
		var sum int
		if err := server.DB().QueryRow(fmt.Sprintf("SELECT SUM(v) FROM ns%d.t", i)).Scan(&sum); err != nil || sum != 3*rows*(rows-1)/2 {
			t.Errorf("the sum of what is committed is %d, not %d, %v", sum, 3*rows*(rows-1)/2, err)
		}
	}
}

// TestLongTextsAreOrderedByMoreThanTheirBeginning: with the server's default, rows
// whose texts begin alike came in the order of their keys, and the next page began
// behind some that had not been read.
func TestLongTextsAreOrderedByMoreThanTheirBeginning(t *testing.T) {
	s := open(t)
	table := newTable(t, s, testenv.MariaDB(t).Namespace(t), "t")
	const rows = 9
	for i := range rows {
		text := strings.Repeat("x", 2000) + fmt.Sprint(rows-i)
		m := put(table, fmt.Sprint(i), int32(i), storage.Guard{})
		m.Set = append(m.Set, storage.Assignment{Column: "t", Value: model.TextValue(text)}, storage.Assignment{Column: "b", Value: model.BlobValue([]byte(text))})
		mustMutate(t, s, m)
	}
	for _, column := range []string{"t", "b"} {
		scan := storage.Scan{Table: table, Kind: storage.ScanTable, OrderBy: []storage.OrderBy{{Column: column, Order: model.Asc}}, Limit: 2}
		var got, want []int64
		for i := range rows {
			want = append(want, int64(rows-1-i))
		}
		for {
			page, err := s.Scan(t.Context(), scan)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range page.Rows {
				got = append(got, r.Get("v").Int64())
			}
			if page.Next == "" || len(got) > rows {
				break
			}
			scan.Token = page.Next
		}
		if !slices.Equal(got, want) {
			t.Errorf("by %s: %d, want %d", column, got, want)
		}
	}
}
