//go:build servers

package mysql

import (
	"context"
	"flag"
	"fmt"
	"math"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/stillpoint-db/stillpoint/internal/testenv"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// The same values are drawn each time; -rapid.seed 0 draws others.
func init() { _ = flag.Set("rapid.seed", "1") }

// hostile are strings that have broken quoting before.
var hostile = []string{
	"", "'", "''", `\`, `\'`, `'\`, `\\'`, "\"", "`", ";", "-- ", "#", "/*", "*/", "/*! */", "?", "??", "%", "_", "\x00", "\x1a", "\n", "\r\n", "\t", "\x7f",
	"'; DROP TABLE t; --", `\'; DROP TABLE t; -- `, "x' OR '1'='1", "\u00bf'", "\u0127\u005c", "縗", "ｘ’", "𝒜𝒷𝒸", "\U0010ffff", "e\u0301", "ß", "İ", " lead", "trail ", "\ufeff", "\ufffd",
	"_utf8mb4 x'27'", "x'27'", "0x27", "@`~stillpoint`", "{fn now()}", "${env:HOME}", strings.Repeat("'", 100), strings.Repeat(`\`, 101), strings.Repeat("a", 200000),
}

func hostileText() *rapid.Generator[string] {
	pieces := rapid.SliceOfN(rapid.OneOf(rapid.SampledFrom(hostile[:len(hostile)-1]), rapid.String()), 0, 4)
	return rapid.Custom(func(t *rapid.T) string { return strings.Join(pieces.Draw(t, "pieces"), "") })
}

// TestValuesComeBackAsTheyWere writes hostile values as parameters and as
// literals, and finds them again by conditions over them.
func TestValuesComeBackAsTheyWere(t *testing.T) {
	bothWays(t, func(t *testing.T, s *Store, table *model.Table) {
		ctx := context.Background()
		n := int32(0)
		try := func(t rapid.TB, k, text, blob string, f float32, d float64) {
			n++
			at := key(k, n)
			set := []storage.Assignment{{Column: "t", Value: model.TextValue(text)}, {Column: "b", Value: model.BlobStringValue(blob)},
				{Column: "f", Value: model.FloatValue(f)}, {Column: "d", Value: model.DoubleValue(d)}, {Column: "v", Value: model.Null(model.Int)}}
			twin := key(k, -n)
			write := []storage.Mutation{
				{Kind: storage.Put, Table: table, Key: at, Set: set, Guard: notExists},
				{Kind: storage.Put, Table: table, Key: twin, Set: set},
			}
			if err := s.Mutate(ctx, batch(write...)); err != nil {
				t.Fatal(err)
			}
			rows, err := s.Get(ctx, []storage.Get{{Table: table, Key: at}, {Table: table, Key: twin}})
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range rows {
				if r == nil {
					t.Fatalf("key %q is not found", k)
				}
				for _, a := range set {
					got := r.Get(a.Column)
					if got != a.Value && !(a.Value.Type() == model.Double && got.Float64() == d || a.Value.Type() == model.Float && got.Float32() == f) {
						t.Fatalf("%s: %v came back as %v", a.Column, a.Value, got)
					}
				}
			}
			// The same values as conditions, in a batch and alone.
			var conds []model.Condition
			for _, a := range set[:4] {
				conds = append(conds, model.Condition{Column: a.Column, Op: model.Eq, Value: a.Value})
			}
			conds = append(conds, model.Condition{Column: "v", Op: model.IsNull})
			guard := storage.Guard{Kind: storage.If, Conditions: conds}
			if err := s.Mutate(ctx, batch(storage.Mutation{Kind: storage.Delete, Table: table, Key: at, Guard: guard}, storage.Mutation{Kind: storage.Check, Table: table, Key: twin, Guard: guard})); err != nil {
				t.Fatalf("conditions %v: %v", conds, err)
			}
			if err := s.Mutate(ctx, batch(storage.Mutation{Kind: storage.Delete, Table: table, Key: twin, Guard: guard})); err != nil {
				t.Fatalf("conditions %v: %v", conds, err)
			}
		}
		for _, h := range hostile {
			k := h
			if k == "" || len(k) > 128 || strings.HasSuffix(k, " ") {
				k = "key"
			}
			try(t, k, h, h, 0.1, 0.1)
		}
		for _, f := range []float32{0.1, 1, -1, 16777216, math.MaxFloat32, math.SmallestNonzeroFloat32, 1.1754944e-38, 3.4028233e38, 1e-10, 123456.79} {
			try(t, "float", "", "", f, float64(f))
		}
		for _, d := range []float64{0.1, math.MaxFloat64, 2.2250738585072014e-308, math.Pi, 1e22, 123456789012345680, 5e-1, -1e-300} {
			try(t, "double", "", "", 0, d)
		}
		rapid.Check(t, func(t *rapid.T) {
			k := strings.TrimRight(hostileText().Draw(t, "key"), " ")
			for utf8.RuneCountInString(k) > 128 {
				k = k[:len(k)/2]
			}
			k = strings.TrimRight(strings.ToValidUTF8(k, ""), " ")
			if k == "" {
				k = "k"
			}
			f := rapid.Float32().Draw(t, "f")
			d := rapid.Float64().Draw(t, "d")
			try(t, k, hostileText().Draw(t, "text"), string(rapid.SliceOf(rapid.Byte()).Draw(t, "blob")), f, d)
		})
	})
}

// TestLiteralsAreReadAsTheValuesThatTheyStandFor asks servers of every sql_mode
// that changes how strings are read.
func TestLiteralsAreReadAsTheValuesThatTheyStandFor(t *testing.T) {
	s := open(t)
	ctx := context.Background()
	for _, mode := range []string{"", "NO_BACKSLASH_ESCAPES", "ANSI_QUOTES", "ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT", "ORACLE"} {
		ses, err := s.openAlone(ctx, readCommitted)
		if err != nil {
			t.Fatal(err)
		}
		defer ses.close()
		if err := ses.execText(ctx, "SET sql_mode='"+mode+"'"); err != nil {
			t.Fatal(err)
		}
		check := func(t rapid.TB, h string) {
			text := appendLiteral(nil, model.TextValue(h))
			blob := appendLiteral(nil, model.BlobStringValue(h))
			rows, err := ses.strings(ctx, fmt.Sprintf("SELECT HEX(%s), HEX(%s), CHARSET(%s)", text, blob, text))
			if err != nil {
				t.Fatalf("%q: %v", h, err)
			}
			if want := fmt.Sprintf("%X", h); rows[0][0] != want || rows[0][1] != want || rows[0][2] != "utf8mb4" {
				t.Fatalf("%q is read as %v", h, rows[0])
			}
		}
		for _, h := range hostile {
			check(t, h)
		}
		rapid.Check(t, func(t *rapid.T) { check(t, hostileText().Draw(t, "text")) })
	}
}

// A FLOAT is a double of the server with the shortest decimal of the 32-bit
// value, as ScalarDB stores it.
func TestAFloatIsStoredAsItsShortestDecimal(t *testing.T) {
	bothWays(t, func(t *testing.T, s *Store, table *model.Table) {
		f := func(k string, v float32) storage.Mutation {
			return storage.Mutation{Kind: storage.Put, Table: table, Key: key(k, 1), Set: []storage.Assignment{{Column: "f", Value: model.FloatValue(v)}}}
		}
		mustMutate(t, s, f("a", 0.1))
		mustMutate(t, s, f("b", 0.1), f("c", 16777216))
		rows, err := testenv.MariaDB(t).DB().Query("SELECT k, f FROM " + s.dialect.Table(table.Name()) + " WHERE f=0.1e0 OR f=1.6777216e7 ORDER BY k")
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		var got []string
		for rows.Next() {
			var k string
			var d float64
			if err := rows.Scan(&k, &d); err != nil {
				t.Fatal(err)
			}
			got = append(got, fmt.Sprint(k, d))
		}
		if strings.Join(got, " ") != "a0.1 b0.1 c1.6777216e+07" {
			t.Fatal(got)
		}
	})
}
