package storagetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// samples are values of a type at its limits and in between, in ascending
// order, none special to an engine. The first 2 and the last are key values too.
func samples(typ model.DataType) []model.Value {
	milli := func(s string) int64 {
		d, err := model.ParseDateTime(s)
		if err != nil {
			panic(err)
		}
		return d.EpochMilli()
	}
	var out []model.Value
	raw := func(ns ...int64) []model.Value {
		for _, n := range ns {
			out = append(out, model.RawValue(typ, n))
		}
		return out
	}
	switch typ {
	case model.Boolean:
		return raw(0, 1)
	case model.Int:
		return raw(math.MinInt32, -1, 0, 1, math.MaxInt32)
	case model.BigInt:
		return raw(math.MinInt64, -1<<53-1, -1, 0, 1, 1<<53+1, math.MaxInt64)
	case model.Float:
		for _, f := range []float32{-math.MaxFloat32, -1.5, 0, math.SmallestNonzeroFloat32, 0.1, 1.0 / 3, 16777217, math.MaxFloat32} {
			out = append(out, model.FloatValue(f))
		}
		return out
	case model.Double:
		for _, f := range []float64{-math.MaxFloat64, -1.5, 0, 2.2250738585072014e-308, 0.1, 1.0 / 3, 9007199254740993, math.MaxFloat64} {
			out = append(out, model.DoubleValue(f))
		}
		return out
	case model.Text:
		for _, s := range []string{"A", "B", "a", "a\\b'c\"d", "b%_", "zürich", "日本", "🙂"} {
			out = append(out, model.TextValue(s))
		}
		return out
	case model.Blob:
		for _, s := range []string{"\x00", "\x00\xff", "a", "\xc3\x28", "\xff\x00\xfe"} {
			out = append(out, model.BlobStringValue(s))
		}
		return out
	case model.Date:
		for _, s := range []string{"1000-01-01", "1582-10-10", "1969-12-31", "1970-01-01", "2024-02-29", "9999-12-31"} {
			d, err := model.ParseDate(s)
			if err != nil {
				panic(err)
			}
			out = append(out, model.DateValue(d))
		}
		return out
	case model.Time:
		return raw(0, 1000, 45296123456000, 86399999999000)
	}
	return raw(milli("1000-01-01T00:00:00.000"), milli("1969-12-31T23:59:58.500"), milli("1969-12-31T23:59:59.000"), -1, 0, 1,
		milli("2020-03-04T12:34:56.123"), milli("2024-03-31T02:30:00.000"), milli("9999-12-31T23:59:59.999"))
}

func (x *suite) testTypes(t *testing.T) {
	wide := x.table(t, wideSpec())
	for _, typ := range allTypes {
		t.Run(typ.String(), func(t *testing.T) {
			t.Parallel()
			x.testValues(t, wide, typ)
			x.testKeys(t, typ)
		})
	}
	t.Run("NullAndUnset", func(t *testing.T) { x.testNulls(t, wide) })
	t.Run("LongValues", func(t *testing.T) {
		text, blob := strings.Repeat("ß%\x01", 70_000), strings.Repeat("\x00\xff", 150_000)
		write(t, x.s, upsert(wide, key("long", 1), set(valueColumn(model.Text), model.TextValue(text)), set(valueColumn(model.Blob), model.BlobStringValue(blob))))
		wantRow(t, read(t, x.s, wide, key("long", 1)), map[string]model.Value{valueColumn(model.Text): model.TextValue(text), valueColumn(model.Blob): model.BlobStringValue(blob)})
	})
	t.Run("WhatCannotBeKeptIsRefused", func(t *testing.T) { x.testOddValues(t, wide) })
}

// testValues writes each value, reads it back, and finds it by a guard.
func (x *suite) testValues(t *testing.T, wide *model.Table, typ model.DataType) {
	column := valueColumn(typ)
	values := samples(typ)
	if typ == model.Text {
		values = append(values, model.TextValue(""))
	}
	if typ == model.Blob {
		values = append(values, model.BlobValue([]byte{}))
	}
	for n, v := range values {
		k := key("values-"+typ.String(), int32(n))
		write(t, x.s, upsert(wide, k, set(column, v)))
		row := read(t, x.s, wide, k)
		wantRow(t, row, map[string]model.Value{column: v})
		other := values[(n+1)%len(values)]
		guard := func(op model.Op, w model.Value) storage.Guard {
			return storage.Guard{Kind: storage.If, Conditions: []model.Condition{{Column: column, Op: op, Value: w}}}
		}
		for _, c := range []struct {
			g    storage.Guard
			want bool
		}{{guard(model.Eq, v), true}, {guard(model.Ne, v), false}, {guard(model.Eq, other), false}, {guard(model.Ne, other), true}, {guard(model.Ge, v), true}, {guard(model.Gt, v), false}} {
			err := mutate(t.Context(), x.s, storage.Mutation{Kind: storage.Check, Table: wide, Key: k, Guard: c.g})
			if got := err == nil; got != c.want || err != nil && !errors.Is(err, model.ErrConditionNotMet) {
				t.Errorf("value %s, check %v: %v", v, c.g.Conditions[0], err)
			}
		}
	}
}

// testKeys uses each value as partition and clustering key.
func (x *suite) testKeys(t *testing.T, typ model.DataType) {
	spec := model.TableSpec{Columns: []model.Column{{Name: "p", Type: typ}, {Name: "c", Type: typ}, {Name: "n", Type: model.Int}},
		PartitionKey: []string{"p"}, ClusteringKey: []model.ClusteringColumn{{Name: "c"}}}
	spec.Name = x.name()
	table, err := model.NewTable(spec)
	if err != nil {
		t.Fatal(err)
	}
	if err := x.s.Admin().CheckTable(t.Context(), table); err != nil {
		if !errors.Is(err, model.ErrBadArgument) {
			t.Errorf("CheckTable: %v", err)
		}
		t.Logf("%s is not a key type here: %v", typ, err)
		return
	}
	create(t, x.s, table)
	values := samples(typ)
	for i, p := range values {
		for j, c := range values {
			k := model.Key{Partition: []model.Value{p}, Clustering: []model.Value{c}}
			write(t, x.s, upsert(table, k, set("n", model.IntValue(int32(100*i+j)))))
		}
	}
	for i, p := range values {
		for j, c := range values {
			k := model.Key{Partition: []model.Value{p}, Clustering: []model.Value{c}}
			wantRow(t, read(t, x.s, table, k), map[string]model.Value{"p": p, "c": c, "n": model.IntValue(int32(100*i + j))})
		}
		rows := scanAll(t, x.s, storage.Scan{Table: table, Partition: []model.Value{p}}, 2)
		if len(rows) != len(values) {
			t.Errorf("partition %s has %d rows, want %d", p, len(rows), len(values))
		}
		for j, r := range rows {
			if typ != model.Text && r.Get("c") != values[j] { // the order of texts is the database's
				t.Errorf("row %d of partition %s is %s, want %s", j, p, r.Get("c"), values[j])
			}
		}
	}
	if rows := scanAll(t, x.s, storage.Scan{Table: table, Kind: storage.ScanTable}, 3); len(rows) != len(values)*len(values) {
		t.Errorf("the table has %d rows, want %d", len(rows), len(values)*len(values))
	}
}

func (x *suite) testNulls(t *testing.T, wide *model.Table) {
	k := key("nulls", 1)
	write(t, x.s, upsert(wide, k))
	row := read(t, x.s, wide, k)
	for _, typ := range allTypes {
		wantRow(t, row, map[string]model.Value{valueColumn(typ): model.Null(typ)})
	}
	var full, empty []storage.Assignment
	want := map[string]model.Value{}
	for _, typ := range allTypes {
		v := samples(typ)[1]
		full, empty = append(full, set(valueColumn(typ), v)), append(empty, set(valueColumn(typ), model.Null(typ)))
		want[valueColumn(typ)] = v
	}
	write(t, x.s, upsert(wide, k, full...))
	wantRow(t, read(t, x.s, wide, k), want)
	write(t, x.s, upsert(wide, k)) // columns not set keep their values
	wantRow(t, read(t, x.s, wide, k), want)
	write(t, x.s, upsert(wide, k, empty...))
	row = read(t, x.s, wide, k)
	for _, typ := range allTypes {
		wantRow(t, row, map[string]model.Value{valueColumn(typ): model.Null(typ)})
	}
}

// testOddValues writes values that some engines cannot keep: each is kept as it
// is, or refused.
func (x *suite) testOddValues(t *testing.T, wide *model.Table) {
	nan, inf := math.NaN(), math.Inf(1)
	for n, v := range []model.Value{model.DoubleValue(nan), model.DoubleValue(inf), model.DoubleValue(-inf), model.FloatValue(float32(nan)), model.FloatValue(float32(inf)),
		model.TextValue("nul\x00inside"), model.TextValue("bad\xff"), model.RawValue(model.Int, 1<<40), model.RawValue(model.Date, 3000000), model.RawValue(model.Time, -1)} {
		k, column := key("odd", int32(n)), valueColumn(v.Type())
		err := mutate(context.Background(), x.s, upsert(wide, k, set(column, v)))
		switch row := read(t, x.s, wide, k); {
		case err != nil && (storage.OutcomeOf(err) != storage.Refused || row != nil):
			t.Errorf("%s %s: %v, row %v", v.Type(), v, err, row)
		case err == nil && (row == nil || row.Get(column).Compare(v) != 0):
			t.Errorf("%s %s was taken but came back as %v", v.Type(), v, row)
		}
	}
	if err := mutate(t.Context(), x.s, upsert(wide, key("", 1))); !errors.Is(err, model.ErrBadArgument) {
		t.Errorf("an empty text in the key: %v", err)
	}
	if _, err := x.s.Get(t.Context(), []storage.Get{{Table: wide, Key: model.Key{Partition: []model.Value{model.Null(model.Text)}, Clustering: []model.Value{model.IntValue(1)}}}}); !errors.Is(err, model.ErrBadArgument) {
		t.Errorf("a NULL in the key: %v", err)
	}
	long := strings.Repeat("k", 3000)
	err := mutate(t.Context(), x.s, upsert(wide, key(long, 1)))
	if outcome := storage.OutcomeOf(err); outcome != storage.Applied && outcome != storage.Refused {
		t.Errorf("a key of 3000 characters: %v", err)
	} else if row := read(t, x.s, wide, key(long, 1)); (row != nil) != (err == nil) {
		t.Errorf("a key of 3000 characters: %v, and the row is %s", err, fmt.Sprint(row != nil))
	}
}
