package storagetest

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// gridSpec has two clustering columns c1 INT and c2 BIGINT in the given orders.
func gridSpec(o1, o2 model.Order) model.TableSpec {
	return model.TableSpec{
		Columns:      []model.Column{{Name: "p", Type: model.Text}, {Name: "c1", Type: model.Int}, {Name: "c2", Type: model.BigInt}, {Name: "i", Type: model.Int}, {Name: "s", Type: model.Text}},
		PartitionKey: []string{"p"}, ClusteringKey: []model.ClusteringColumn{{Name: "c1", Order: o1}, {Name: "c2", Order: o2}}, Indexes: []string{"i", "s"},
	}
}

// fillGrid writes 5 x 5 rows into each of two partitions and returns those of
// partition a. i is c1 or NULL; s is a text or NULL.
func (x *suite) fillGrid(t *testing.T, table *model.Table) (rows []*model.Row) {
	t.Helper()
	texts := []string{"apple", "Apple", "a_b", "a%b", "axb", "a\\b", "a|b", "", "日本"}
	for _, p := range []string{"a", "b"} {
		for c1 := range int32(5) {
			for c2 := range int64(5) {
				i, s := model.IntValue(c1), model.TextValue(texts[int(5*int64(c1)+c2)%len(texts)])
				if c2 == 3 {
					i = model.Null(model.Int)
				}
				if c2 == 4 {
					s = model.Null(model.Text)
				}
				values := []model.Value{model.TextValue(p), model.IntValue(c1 - 2), model.BigIntValue(c2 * 10), i, s}
				write(t, x.s, upsert(table, model.KeyOf(table, values), set("i", i), set("s", s)))
				rows = append(rows, &model.Row{Table: table, Values: values})
			}
		}
	}
	return rows
}

// keysOf renders keys for comparison.
func keysOf(rows []*model.Row) []string {
	out := make([]string, len(rows))
	for i, r := range rows {
		out[i] = r.Key().String()
	}
	return out
}

// inOrder returns the rows that pass, in clustering order.
func inOrder(table *model.Table, rows []*model.Row, reverse bool, pass func(*model.Row) bool) []*model.Row {
	var out []*model.Row
	for _, r := range rows {
		if pass(r) {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b *model.Row) int {
		for i := range table.ClusteringLen() {
			pos := table.PartitionLen() + i
			d := a.Values[pos].Compare(b.Values[pos])
			if (table.ClusteringOrder(i) == model.Desc) != reverse {
				d = -d
			}
			if d != 0 {
				return d
			}
		}
		return 0
	})
	return out
}

func (x *suite) testScanPartition(t *testing.T) {
	for _, orders := range [][2]model.Order{{model.Asc, model.Asc}, {model.Desc, model.Desc}, {model.Asc, model.Desc}, {model.Desc, model.Asc}} {
		t.Run(fmt.Sprint(orders[0], orders[1]), func(t *testing.T) {
			table := x.table(t, gridSpec(orders[0], orders[1]))
			rows := x.fillGrid(t, table)
			for n, b := range bounds() {
				for _, reverse := range []bool{false, true} {
					want := keysOf(inOrder(table, rows, reverse, func(r *model.Row) bool {
						return r.Get("p") == model.TextValue("a") && b.has(r)
					}))
					for _, page := range [][]int{{0, 1}, {4}, {5}}[n%3] {
						scan := storage.Scan{Table: table, Partition: []model.Value{model.TextValue("a")}, Start: b.start, End: b.end, Reverse: reverse}
						if got := keysOf(scanAll(t, x.s, scan, page)); !slices.Equal(got, want) {
							t.Errorf("start %v end %v reverse %v page %d:\n got %v\nwant %v", b.start, b.end, reverse, page, got, want)
						}
					}
				}
			}
			x.testFilteredPartition(t, table, rows)
		})
	}
}

// between are bounds of a partition scan.
type between struct{ start, end storage.Bound }

// has tells whether a row lies between the bounds.
func (b between) has(r *model.Row) bool {
	for _, end := range []bool{false, true} {
		bound := b.start
		if end {
			bound = b.end
		}
		for i, v := range bound.Values {
			d := r.Values[1+i].Compare(v)
			if end {
				d = -d
			}
			if last := i == len(bound.Values)-1; !last && d != 0 || last && (d < 0 || d == 0 && bound.Exclusive) {
				return false
			}
		}
	}
	return true
}

// bounds are all forms of bounds over c1 and c2.
func bounds() []between {
	one := func(v int32, exclusive bool) storage.Bound {
		return storage.Bound{Values: []model.Value{model.IntValue(v)}, Exclusive: exclusive}
	}
	two := func(v int32, w int64, exclusive bool) storage.Bound {
		return storage.Bound{Values: []model.Value{model.IntValue(v), model.BigIntValue(w)}, Exclusive: exclusive}
	}
	out := []between{{}}
	for _, ex := range []bool{false, true} {
		out = append(out, between{start: one(-1, ex)}, between{end: one(1, ex)}, between{one(-1, ex), one(1, !ex)}, between{one(1, ex), one(1, ex)}, between{one(2, ex), one(-2, ex)},
			between{start: two(0, 10, ex)}, between{end: two(0, 20, ex)}, between{two(0, 10, ex), two(0, 30, ex)}, between{two(0, 15, ex), two(0, 15, ex)})
	}
	return out
}

func (x *suite) testFilteredPartition(t *testing.T, table *model.Table, rows []*model.Row) {
	for _, where := range filters() {
		want := keysOf(inOrder(table, rows, false, func(r *model.Row) bool { return r.Get("p") == model.TextValue("b") && where.Holds(r) }))
		scan := storage.Scan{Table: table, Partition: []model.Value{model.TextValue("b")}, Where: where}
		if got := keysOf(scanAll(t, x.s, scan, 7)); !slices.Equal(got, want) {
			t.Errorf("where %s:\n got %v\nwant %v", where, got, want)
		}
	}
}

// filters are predicates over i and s with every comparison.
func filters() []model.Predicate {
	var out []model.Predicate
	cond := func(column string, op model.Op, v model.Value) model.Condition {
		return model.Condition{Column: column, Op: op, Value: v}
	}
	for op := model.Eq; op <= model.Le; op++ {
		out = append(out, model.Predicate{{cond("i", op, model.IntValue(2))}})
	}
	for _, op := range []model.Op{model.Eq, model.Ne} {
		out = append(out, model.Predicate{{cond("s", op, model.TextValue("apple"))}}, model.Predicate{{cond("s", op, model.TextValue(""))}})
	}
	for _, op := range []model.Op{model.IsNull, model.IsNotNull} {
		out = append(out, model.Predicate{{cond("s", op, model.Value{})}}, model.Predicate{{cond("i", op, model.Value{}), cond("s", op, model.Value{})}})
	}
	for _, op := range []model.Op{model.Like, model.NotLike} {
		for _, p := range [][2]string{{"apple", "\\"}, {"a%", "\\"}, {"a_b", "\\"}, {"a\\_b", "\\"}, {"a\\%b", "\\"}, {"a\\\\b", "\\"}, {"%b", ""}, {"a\\b", ""}, {"a|b", ""}, {"a|_b", "|"},
			{"a+%b", "+"}, {"a||b", "|"}, {"A%", "\\"}, {"", "\\"}, {"%", "\\"}, {"_本", ""}, {"a\\", "\\"}, {"ap+ple", "+"}} {
			c := cond("s", op, model.TextValue(p[0]))
			c.Escape = p[1]
			out = append(out, model.Predicate{{c}})
		}
	}
	return append(out, model.Predicate{},
		model.Predicate{{cond("i", model.Eq, model.IntValue(1)), cond("s", model.Like, model.TextValue("a%"))}, {cond("i", model.IsNull, model.Value{})}},
		model.Predicate{{cond("c1", model.Gt, model.IntValue(0)), cond("c2", model.Le, model.BigIntValue(20))}, {cond("c1", model.Eq, model.IntValue(-2)), cond("i", model.Ne, model.IntValue(7))}})
}

func (x *suite) testScanIndex(t *testing.T) {
	table := x.table(t, gridSpec(model.Asc, model.Desc))
	rows := x.fillGrid(t, table)
	check := func(column string, v model.Value, where model.Predicate) {
		var want []string
		for _, r := range rows {
			if r.Get(column) == v && where.Holds(r) {
				want = append(want, r.Key().String())
			}
		}
		slices.Sort(want)
		for _, page := range []int{0, 1, 3} {
			got := keysOf(scanAll(t, x.s, storage.Scan{Table: table, Kind: storage.ScanIndex, IndexColumn: column, IndexValue: v, Where: where}, page))
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("index %s = %s, where %s, page %d:\n got %v\nwant %v", column, v, where, page, got, want)
			}
		}
	}
	for i := range int32(6) {
		check("i", model.IntValue(i), nil)
	}
	for _, s := range []string{"apple", "Apple", "", "nothing", "日本"} {
		check("s", model.TextValue(s), nil)
	}
	check("i", model.IntValue(2), model.Predicate{{{Column: "c2", Op: model.Gt, Value: model.BigIntValue(0)}}, {{Column: "p", Op: model.Eq, Value: model.TextValue("b")}}})
}

// testScanOfTwoIndexes demands each row that either index has, once, whatever the
// size of the pages.
func (x *suite) testScanOfTwoIndexes(t *testing.T) {
	name := x.name()
	name.Name = "u" // as short as an alias
	table := x.table(t, model.TableSpec{
		Name:         name,
		Columns:      []model.Column{{Name: "p", Type: model.Text}, {Name: "c", Type: model.Int}, {Name: "a", Type: model.Text}, {Name: "b", Type: model.Text}, {Name: "n", Type: model.Int}},
		PartitionKey: []string{"p"}, ClusteringKey: []model.ClusteringColumn{{Name: "c", Order: model.Desc}}, Indexes: []string{"a", "b"},
	})
	if !x.s.Capabilities(table.Name()).AtomicScan {
		return
	}
	texts := []model.Value{model.TextValue("x"), model.TextValue("y"), model.Null(model.Text)}
	var rows []*model.Row
	for n := range int32(36) {
		a, b := texts[n%3], texts[n/3%3]
		values := []model.Value{model.TextValue(string(rune('p' + n%2))), model.IntValue(n), a, b, model.IntValue(n % 4)}
		write(t, x.s, upsert(table, model.KeyOf(table, values), set("a", a), set("b", b), set("n", values[4])))
		rows = append(rows, &model.Row{Table: table, Values: values})
	}
	for _, where := range []model.Predicate{nil, {{{Column: "n", Op: model.Gt, Value: model.IntValue(1)}}, {{Column: "a", Op: model.IsNull}}}} {
		for _, v := range []model.Value{texts[0], texts[1], model.TextValue("z")} {
			var want []string
			for _, r := range rows {
				if (r.Get("a") == v || r.Get("b") == v) && where.Holds(r) {
					want = append(want, r.Key().String())
				}
			}
			slices.Sort(want)
			for _, page := range []int{0, 1, 5} {
				got := keysOf(scanAll(t, x.s, storage.Scan{Table: table, Kind: storage.ScanIndex, IndexColumn: "a", OrIndex: "b", IndexValue: v, Where: where}, page))
				slices.Sort(got)
				if !slices.Equal(got, want) {
					t.Errorf("a or b = %s, where %s, page %d:\n got %v\nwant %v", v, where, page, got, want)
				}
			}
		}
	}
	for what, scan := range map[string]storage.Scan{
		"a second column without index":        {Kind: storage.ScanIndex, IndexColumn: "a", OrIndex: "p", IndexValue: texts[0]},
		"a second column that is not there":    {Kind: storage.ScanIndex, IndexColumn: "a", OrIndex: "nope", IndexValue: texts[0]},
		"a second index, and none of an index": {Kind: storage.ScanTable, OrIndex: "b"},
	} {
		scan.Table = table
		if _, err := x.s.Scan(t.Context(), scan); storage.OutcomeOf(err) != storage.Refused {
			t.Errorf("scan with %s: %v", what, err)
		}
	}
}

func (x *suite) testScanTable(t *testing.T) {
	table := x.table(t, gridSpec(model.Desc, model.Asc))
	rows := x.fillGrid(t, table)
	for _, where := range filters() {
		var want []string
		for _, r := range rows {
			if where.Holds(r) {
				want = append(want, r.Key().String())
			}
		}
		slices.Sort(want)
		got := keysOf(scanAll(t, x.s, storage.Scan{Table: table, Kind: storage.ScanTable, Where: where}, 20))
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("where %s:\n got %v\nwant %v", where, got, want)
		}
	}
	for _, orders := range [][]storage.OrderBy{
		{{Column: "i"}}, {{Column: "i", Order: model.Desc}}, {{Column: "s"}, {Column: "i", Order: model.Desc}}, {{Column: "i", Order: model.Desc}, {Column: "s", Order: model.Desc}},
		{{Column: "c2", Order: model.Desc}}, {{Column: "p", Order: model.Desc}, {Column: "i"}}, {{Column: "i"}, {Column: "c1"}, {Column: "i"}},
	} {
		x.testOrder(t, table, len(rows), orders)
	}
}

// testOrder demands that pages of any size give the same sequence, ordered as
// asked, NULLs together at one end.
func (x *suite) testOrder(t *testing.T, table *model.Table, n int, orders []storage.OrderBy) {
	scan := storage.Scan{Table: table, Kind: storage.ScanTable, OrderBy: orders}
	whole := scanAll(t, x.s, scan, 1000)
	if len(whole) != n {
		t.Fatalf("order %v: %d rows, want %d", orders, len(whole), n)
	}
	for _, page := range []int{1, 3, 10} {
		if got := keysOf(scanAll(t, x.s, scan, page)); !slices.Equal(got, keysOf(whole)) {
			t.Errorf("order %v, page %d:\n got %v\nwant %v", orders, page, got, keysOf(whole))
		}
	}
	first := orders[0]
	nulls := 0 // how often NULL and not NULL change places
	for k := 1; k < len(whole); k++ {
		a, b := whole[k-1].Get(first.Column), whole[k].Get(first.Column)
		if a.IsNull() != b.IsNull() {
			nulls++
			continue
		}
		d := a.Compare(b)
		if first.Order == model.Desc {
			d = -d
		}
		if d > 0 && a.Type() != model.Text {
			t.Errorf("order %v: %s comes before %s", orders, a, b)
		}
	}
	if nulls > 1 {
		t.Errorf("order %v: NULLs are in the middle", orders)
	}
}
