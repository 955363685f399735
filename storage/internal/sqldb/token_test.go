package sqldb

import (
	"errors"
	"testing"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

func FuzzToken(f *testing.F) {
	table := wide(f, model.Asc, model.Desc)
	b := NewBuilder(&PostgreSQL)
	scan := storage.Scan{Table: table, Kind: storage.ScanTable, OrderBy: []storage.OrderBy{{Column: "v_TEXT"}, {Column: "v_DOUBLE", Order: model.Desc}, {Column: "v_DATE"}}}
	sc, err := b.Scan(&scan)
	if err != nil {
		f.Fatal(err)
	}
	row := &model.Row{Table: table, Values: make([]model.Value, len(table.Columns()))}
	for i, c := range table.Columns() {
		row.Values[i] = model.Null(c.Type)
	}
	copy(row.Values, []model.Value{model.TextValue("p"), model.IntValue(-1), model.BlobStringValue("\x00")})
	f.Add(sc.Token(row))
	row.Values[table.Position("v_DOUBLE")] = model.DoubleValue(1.5)
	row.Values[table.Position("v_TEXT")] = model.TextValue("ü")
	f.Add(sc.Token(row))
	f.Add("")
	f.Add("AQ")
	f.Fuzz(func(t *testing.T, token string) {
		scan := scan
		scan.Token = token
		if _, err := b.Scan(&scan); err != nil {
			if !errors.Is(err, model.ErrBadArgument) {
				t.Fatalf("class of %v", err)
			}
			return
		}
		if token == "" {
			return
		}
		values, err := decodeToken(token, sc)
		if err != nil {
			t.Fatal(err)
		}
		for i, o := range sc.order {
			row.Values[o.pos] = values[i]
		}
		back, err := decodeToken(sc.Token(row), sc)
		if err != nil {
			t.Fatalf("%q does not survive: %v", token, err)
		}
		for i := range back {
			if back[i] != values[i] {
				t.Fatalf("%q changes %s to %s", token, values[i], back[i])
			}
		}
	})
}

func TestATokenCarriesNoValueOfAWrongType(t *testing.T) {
	table := small(t)
	b := NewBuilder(&SQLite)
	scan := storage.Scan{Table: table, Kind: storage.ScanTable}
	sc, err := b.Scan(&scan)
	if err != nil {
		t.Fatal(err)
	}
	for _, values := range [][]model.Value{
		{model.TextValue("a"), model.BigIntValue(1), {}, {}, {}}, {model.Null(model.Text), model.IntValue(1), {}, {}, {}}, {model.TextValue("a"), model.RawValue(model.Int, 1<<40), {}, {}, {}},
	} {
		scan.Token = sc.Token(&model.Row{Table: table, Values: values})
		if _, err := b.Scan(&scan); !errors.Is(err, model.ErrBadArgument) {
			t.Errorf("%v: %v", values, err)
		}
	}
}

func FuzzLikePattern(f *testing.F) {
	f.Add("a%b", "\\", "axb")
	f.Add("a\\%b", "\\", "a%b")
	f.Add("a|b+_", "+", "a|b_")
	f.Add("||%", "|", "|x")
	f.Fuzz(func(t *testing.T, pattern, escape, text string) {
		if len([]rune(escape)) > 1 || len(pattern) > 64 || len(text) > 64 {
			return
		}
		cond := func(p, e string) bool {
			return model.Condition{Column: "c", Op: model.Like, Value: model.TextValue(p), Escape: e}.Holds(model.TextValue(text))
		}
		ours := likePattern(pattern, escape)
		if cond(pattern, escape) != cond(ours, string(likeEscape)) {
			t.Errorf("pattern %q escape %q became %q, which judges %q otherwise", pattern, escape, ours, text)
		}
		if danglingEscape(ours, string(likeEscape)) {
			t.Errorf("pattern %q escape %q became %q, on which engines differ", pattern, escape, ours)
		}
	})
}
