package sqldb

import (
	"testing"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

func small(t testing.TB) *model.Table {
	t.Helper()
	table, err := model.NewTable(model.TableSpec{Name: model.TableName{Namespace: "n", Name: "t"},
		Columns:      []model.Column{{Name: "p", Type: model.Text}, {Name: "c", Type: model.Int}, {Name: "v", Type: model.Int}, {Name: "w", Type: model.Int}, {Name: "before_v", Type: model.Int}},
		PartitionKey: []string{"p"}, ClusteringKey: []model.ClusteringColumn{{Name: "c", Order: model.Desc}}, Indexes: []string{"v", "before_v"}})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestMutationTexts(t *testing.T) {
	table := small(t)
	k := model.Key{Partition: []model.Value{model.TextValue("a")}, Clustering: []model.Value{model.IntValue(1)}}
	one := model.IntValue(1)
	set := []storage.Assignment{{Column: "v", Value: one}, {Column: "before_v", From: "v"}, {Column: "w", From: "before_v"}}
	cond := storage.Guard{Kind: storage.If, Conditions: []model.Condition{{Column: "w", Op: model.IsNull}, {Column: "v", Op: model.Ne, Value: one}}}
	for _, c := range []struct {
		m             storage.Mutation
		sqlite, mysql string
		args          int
	}{
		{storage.Mutation{Set: set[:1]}, "INSERT INTO `n$t` (`p`,`c`,`v`) VALUES (?,?,?) ON CONFLICT (`p`,`c`) DO UPDATE SET `v`=excluded.`v`",
			"INSERT INTO `n`.`t` (`p`,`c`,`v`) VALUES (?,?,?) ON DUPLICATE KEY UPDATE `v`=VALUES(`v`)", 3},
		{storage.Mutation{}, "INSERT INTO `n$t` (`p`,`c`) VALUES (?,?) ON CONFLICT (`p`,`c`) DO NOTHING", "INSERT INTO `n`.`t` (`p`,`c`) VALUES (?,?) ON DUPLICATE KEY UPDATE `p`=`p`", 2},
		{storage.Mutation{Guard: storage.Guard{Kind: storage.NotExists}}, "INSERT INTO `n$t` (`p`,`c`) VALUES (?,?) ON CONFLICT (`p`,`c`) DO NOTHING", "INSERT INTO `n`.`t` (`p`,`c`) VALUES (?,?)", 2},
		{storage.Mutation{Set: set, Guard: cond}, "UPDATE `n$t` SET `w`=`before_v`,`before_v`=`v`,`v`=? WHERE `p`=? AND `c`=? AND `w` IS NULL AND `v`<>?",
			"UPDATE `n`.`t` SET `w`=`before_v`,`before_v`=`v`,`v`=? WHERE `p`=? AND `c`=? AND `w` IS NULL AND `v`<>?", 4},
		{storage.Mutation{Kind: storage.Delete, Guard: cond}, "DELETE FROM `n$t` WHERE `p`=? AND `c`=? AND `w` IS NULL AND `v`<>?", "DELETE FROM `n`.`t` WHERE `p`=? AND `c`=? AND `w` IS NULL AND `v`<>?", 3},
		{storage.Mutation{Guard: storage.Guard{Kind: storage.Exists}}, "SELECT 1 FROM `n$t` WHERE `p`=? AND `c`=?", "SELECT 1 FROM `n`.`t` WHERE `p`=? AND `c`=? LOCK IN SHARE MODE", 2},
	} {
		c.m.Table, c.m.Key = table, k
		for d, want := range map[*Dialect]string{&SQLite: c.sqlite, MySQL(128): c.mysql} {
			b := NewBuilder(d)
			st := b.Mutation(&c.m)
			if st.SQL != want {
				t.Errorf("%s\nwant %s", st.SQL, want)
			}
			if b.Mutation(&c.m) != st {
				t.Error("built twice")
			}
			if args := st.AppendArgs(nil, &c.m); len(args) != c.args {
				t.Errorf("%s has %d arguments", st.SQL, len(args))
			}
		}
	}
}

func TestShapesAreToldApart(t *testing.T) {
	table := small(t)
	b := NewBuilder(&PostgreSQL)
	k := model.Key{Partition: []model.Value{model.TextValue("a")}, Clustering: []model.Value{model.IntValue(1)}}
	seen := map[string]bool{}
	var n int
	for _, set := range [][]storage.Assignment{{{Column: "v"}}, {{Column: "w"}}, {{Column: "v", From: "w"}}, {{Column: "w", From: "v"}}, {{Column: "v"}, {Column: "w"}}, {{Column: "w"}, {Column: "v"}}} {
		for op := model.Eq; op <= model.IsNotNull; op++ {
			for _, column := range []string{"v", "w"} {
				m := storage.Mutation{Table: table, Key: k, Set: set, Guard: storage.Guard{Kind: storage.If, Conditions: []model.Condition{{Column: column, Op: op}}}}
				seen[b.Mutation(&m).SQL] = true
				n++
			}
		}
	}
	if len(seen) != n {
		t.Errorf("%d shapes gave %d texts", n, len(seen))
	}
}

func TestHotPathDoesNotAllocate(t *testing.T) {
	table := small(t)
	b := NewBuilder(&SQLite)
	m := storage.Mutation{Table: table, Key: model.Key{Partition: []model.Value{model.TextValue("a")}, Clustering: []model.Value{model.IntValue(1)}},
		Set:   []storage.Assignment{{Column: "v", Value: model.IntValue(1)}, {Column: "before_v", From: "v"}},
		Guard: storage.Guard{Kind: storage.If, Conditions: []model.Condition{{Column: "v", Op: model.Eq, Value: model.IntValue(0)}}}}
	batch := storage.Batch{Mutations: []storage.Mutation{m}}
	args := make([]model.Value, 0, 16)
	if n := testing.AllocsPerRun(100, func() {
		if err := SQLite.CheckBatch(&batch); err != nil {
			t.Fatal(err)
		}
		args = b.Mutation(&m).AppendArgs(args[:0], &m)
		_ = b.Get(table)
	}); n > 3 {
		t.Errorf("%v allocations", n)
	}
}

func TestCopiesInACircleAreFound(t *testing.T) {
	from := func(pairs ...string) (set []storage.Assignment) {
		for i := 0; i < len(pairs); i += 2 {
			set = append(set, storage.Assignment{Column: pairs[i], From: pairs[i+1]})
		}
		return set
	}
	for _, c := range []struct {
		set  []storage.Assignment
		want bool
	}{{from("a", "b"), false}, {from("a", "b", "b", "c"), false}, {from("b", "c", "a", "b"), false}, {from("a", "b", "b", "a"), true}, {from("a", "b", "b", "c", "c", "a"), true}, {from("a", "a"), false}} {
		if circular(c.set) != c.want {
			t.Errorf("%v", c.set)
		}
	}
}

func TestScanTexts(t *testing.T) {
	table := small(t)
	value := func(n int32) []model.Value { return []model.Value{model.IntValue(n)} }
	p := []model.Value{model.TextValue("a")}
	row := &model.Row{Table: table, Values: []model.Value{p[0], model.IntValue(3), model.Null(model.Int), model.IntValue(4), model.Null(model.Int)}}
	for _, c := range []struct {
		s      storage.Scan
		pg, my string
	}{
		{storage.Scan{Partition: p, Start: storage.Bound{Values: value(1)}, End: storage.Bound{Values: value(2), Exclusive: true}, Reverse: true},
			`SELECT "p","c","v","w","before_v" FROM "n"."t" WHERE "p"=$1 AND "c">=$2 AND "c"<$3 AND ("c">$4) ORDER BY "c" LIMIT $5`,
			"SELECT `p`,`c`,`v`,`w`,`before_v` FROM `n`.`t` WHERE `p`=? AND `c`>=? AND `c`<? AND ((`c`>?)) ORDER BY `c` LIMIT ?"},
		{storage.Scan{Kind: storage.ScanTable, OrderBy: []storage.OrderBy{{Column: "v"}}},
			`SELECT "p","c","v","w","before_v" FROM "n"."t" WHERE (("v" IS NULL AND "p">$1) OR ("v" IS NULL AND "p"=$2 AND "c">$3)) ORDER BY "v","p","c" LIMIT $4`,
			"SELECT `p`,`c`,`v`,`w`,`before_v` FROM `n`.`t` WHERE ((`v` IS NOT NULL) OR (`v` IS NULL AND `p`>?) OR (`v` IS NULL AND `p`=? AND `c`<?)) ORDER BY `v`,`p`,`c` DESC LIMIT ?"},
		{storage.Scan{Kind: storage.ScanTable},
			`SELECT "p","c","v","w","before_v" FROM "n"."t" WHERE ("p","c")>($1,$2) ORDER BY "p","c" LIMIT $3`,
			"SELECT `p`,`c`,`v`,`w`,`before_v` FROM `n`.`t` WHERE `p`>=? AND ((`p`>?) OR (`p`=? AND `c`<?)) ORDER BY `p`,`c` DESC LIMIT ?"},
		{storage.Scan{Kind: storage.ScanIndex, IndexColumn: "v", OrIndex: "before_v", IndexValue: model.IntValue(1)},
			`SELECT "p","c","v","w","before_v" FROM "n"."t" t JOIN (SELECT "p","c" FROM (SELECT "p","c" FROM "n"."t" WHERE "v"=$1 AND ("p","c")>($2,$3) ORDER BY "p","c" LIMIT $4) q0` +
				` UNION SELECT "p","c" FROM (SELECT "p","c" FROM "n"."t" WHERE "before_v"=$5 AND ("p","c")>($6,$7) ORDER BY "p","c" LIMIT $8) q1) u USING ("p","c") ORDER BY "p","c" LIMIT $9`,
			"SELECT `p`,`c`,`v`,`w`,`before_v` FROM `n`.`t` t JOIN (SELECT `p`,`c` FROM (SELECT `p`,`c` FROM `n`.`t` WHERE `v`=? AND `p`>=? AND ((`p`>?) OR (`p`=? AND `c`<?)) ORDER BY `p`,`c` DESC LIMIT ?) q0" +
				" UNION SELECT `p`,`c` FROM (SELECT `p`,`c` FROM `n`.`t` WHERE `before_v`=? AND `p`>=? AND ((`p`>?) OR (`p`=? AND `c`<?)) ORDER BY `p`,`c` DESC LIMIT ?) q1) u USING (`p`,`c`) ORDER BY `p`,`c` DESC LIMIT ?"},
	} {
		c.s.Table = table
		for d, want := range map[*Dialect]string{&PostgreSQL: c.pg, MySQL(128): c.my} {
			b := NewBuilder(d)
			sc, err := b.Scan(&c.s)
			if err != nil {
				t.Fatal(err)
			}
			next := c.s
			next.Token = sc.Token(row)
			if sc, err = b.Scan(&next); err != nil {
				t.Fatal(err)
			}
			if got := squeeze(sc.SQL); got != squeeze(want) {
				t.Errorf("%s\n%s\nwant\n%s", d.Engine, sc.SQL, want)
			}
		}
	}
}

// squeeze drops parentheses around a single condition, which mean nothing.
func squeeze(s string) string {
	out := make([]byte, 0, len(s))
	for i := range len(s) {
		if s[i] != '(' && s[i] != ')' {
			out = append(out, s[i])
		}
	}
	return string(out)
}
