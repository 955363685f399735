//go:build servers

package mysql

import (
	"errors"
	"strings"
	"testing"

	"github.com/stillpoint-db/stillpoint/internal/testenv"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

func TestAColumnThatWasDroppedIsReported(t *testing.T) {
	server := testenv.MariaDB(t)
	s := open(t)
	table := newTable(t, s, server.Namespace(t), "t")
	mustMutate(t, s, put(table, "a", 1, always))
	server.Exec(t, "ALTER TABLE "+s.dialect.Table(table.Name())+" DROP COLUMN l")
	_, err := s.Admin().Table(t.Context(), table.Name())
	if !errors.Is(err, model.ErrDamaged) || !strings.Contains(err.Error(), "it has no column l; its definition in scalardb.metadata says otherwise") {
		t.Errorf("definition: %v", err)
	}
	_, err = s.Get(t.Context(), []storage.Get{{Table: table, Key: key("a", 1)}})
	if !errors.Is(err, model.ErrNotFound) || model.Hint(err) == "" {
		t.Errorf("get: %v", err)
	}
	set := []storage.Assignment{{Column: "l", Value: model.BigIntValue(1)}}
	for _, ms := range [][]storage.Mutation{
		{{Kind: storage.Put, Table: table, Key: key("a", 1), Set: set}},
		{put(table, "b", 1, always), {Kind: storage.Put, Table: table, Key: key("a", 1), Set: set}},
	} {
		if err := s.Mutate(t.Context(), batch(ms...)); storage.OutcomeOf(err) != storage.Refused {
			t.Errorf("write: %v", err)
		}
	}
}

func TestAValueThatIsNoneOfItsTypeIsReported(t *testing.T) {
	server := testenv.MariaDB(t)
	s := open(t)
	for column, c := range map[string]struct{ typ, value, said string }{
		"o":     {"", "2", "2 is no BOOLEAN"},
		"v":     {"BIGINT", "2147483648", "does not fit 32 bits"},
		"w":     {"TEXT", "'abc'", `"abc" is not an integer`},
		"l":     {"DOUBLE", "1.5", "is not an integer"},
		"f":     {"", "1e300", "1e+300 is no FLOAT"},
		"d":     {"TEXT", "'abc'", `"abc" is not a number`},
		"day":   {"", "'0999-12-31'", "outside 1000-01-01"},
		"clock": {"", "'-01:00:00'", "is not a TIME"},
		"ts":    {"", "'0999-12-31'", "outside the years"},
		"tz":    {"DATETIME(6)", "'2024-01-01 00:00:00.000001'", "finer than milliseconds"},
	} {
		table := newTable(t, s, server.Namespace(t), "t")
		mustMutate(t, s, put(table, "a", 1, always))
		name := s.dialect.Table(table.Name())
		if c.typ != "" {
			server.Exec(t, "ALTER TABLE "+name+" MODIFY "+column+" "+c.typ)
		}
		server.Exec(t, "UPDATE "+name+" SET "+column+"="+c.value)
		at := storage.Get{Table: table, Key: key("a", 1)}
		_, one := s.Get(t.Context(), []storage.Get{at})
		_, two := s.Get(t.Context(), []storage.Get{at, {Table: table, Key: key("b", 1)}})
		_, scan := s.Scan(t.Context(), storage.Scan{Table: table, Kind: storage.ScanTable})
		for _, err := range []error{one, two, scan} {
			if !errors.Is(err, model.ErrDamaged) || errors.Is(err, model.ErrBadArgument) || !strings.Contains(err.Error(), table.Name().String()) ||
				!strings.Contains(err.Error(), `("a", 1): column `+column) || !strings.Contains(err.Error(), c.said) {
				t.Errorf("%s=%s: %v", column, c.value, err)
			}
		}
	}
}

// A FLOAT of ScalarDB's is a double of the server; one of an imported table has 32
// bits, and 0.1 of the one is not 0.1 of the other.
func TestPagesInTheOrderOfAFloatShowEachRowOnce(t *testing.T) {
	for _, physical := range []string{"double", "float"} {
		t.Run(physical, func(t *testing.T) {
			s := open(t)
			table := newTable(t, s, testenv.MariaDB(t).Namespace(t), "t")
			testenv.MariaDB(t).Exec(t, "ALTER TABLE "+s.dialect.Table(table.Name())+" MODIFY f "+physical)
			for n, f := range []float32{0.1, 0.1, 0.1, -0.3, -0.3, 16777216, 1.0 / 3, 1.0 / 3} {
				mustMutate(t, s, storage.Mutation{Table: table, Key: key("k", int32(n)), Set: []storage.Assignment{{Column: "f", Value: model.FloatValue(f)}}})
			}
			mustMutate(t, s, storage.Mutation{Table: table, Key: key("k", 8)}, storage.Mutation{Table: table, Key: key("k", 9)}) // NULL
			for _, order := range []model.Order{model.Asc, model.Desc} {
				seen := map[int64]int{}
				scan := storage.Scan{Table: table, Kind: storage.ScanTable, OrderBy: []storage.OrderBy{{Column: "f", Order: order}}, Limit: 1}
				for pages := 0; ; pages++ {
					page, err := s.Scan(t.Context(), scan)
					if err != nil {
						t.Fatal(err)
					}
					for _, r := range page.Rows {
						seen[r.Get("c").Int64()]++
					}
					if scan.Token = page.Next; scan.Token == "" || pages > 20 {
						break
					}
				}
				for n := range int64(10) {
					if seen[n] != 1 {
						t.Errorf("%s: row %d was seen %d times", order, n, seen[n])
					}
				}
			}
		})
	}
}
