package model_test

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/stillpoint-db/stillpoint/model"
)

// The same values are drawn each time; -rapid.seed 0 draws others.
func init() { _ = flag.Set("rapid.seed", "1") }

func TestDatesSurviveTheirNumber(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		day := rapid.Int64Range(-354285, 2932896).Draw(t, "day")
		d := model.DateFromEpochDay(day)
		if got := d.EpochDay(); got != day {
			t.Fatalf("%s is day %d; want %d", d, got, day)
		}
		parsed, err := model.ParseDate(d.String())
		if err != nil || parsed != d {
			t.Fatalf("ParseDate(%q) = %v, %v", d, parsed, err)
		}
	})
}

func TestTimesSurviveTheirNumber(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ns := rapid.Int64Range(0, 24*int64(time.Hour)-1).Draw(t, "ns")
		c := model.TimeFromNanoOfDay(ns)
		if got := c.NanoOfDay(); got != ns {
			t.Fatalf("%s is %d; want %d", c, got, ns)
		}
		if parsed, err := model.ParseTime(c.String()); err != nil || parsed != c {
			t.Fatalf("ParseTime(%q) = %v, %v", c, parsed, err)
		}
		if got := model.TimeValue(c).Raw(); got != ns/1000*1000 {
			t.Fatalf("TimeValue keeps %d of %d; want microseconds", got, ns)
		}
	})
}

func TestDateTimesSurviveTheirNumberBeforeAndAfter1970(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ms := rapid.Int64Range(-30610224000000, 253402300799999).Draw(t, "ms")
		d := model.DateTimeFromEpochMilli(ms)
		if got := d.EpochMilli(); got != ms {
			t.Fatalf("%s is %d; want %d", d, got, ms)
		}
		if parsed, err := model.ParseDateTime(d.String()); err != nil || parsed != d {
			t.Fatalf("ParseDateTime(%q) = %v, %v", d, parsed, err)
		}
		if got := model.TimestampTZMilli(ms).Instant().UnixMilli(); got != ms {
			t.Fatalf("Instant is %d; want %d", got, ms)
		}
	})
	if got := model.DateTimeFromEpochMilli(-1).String(); got != "1969-12-31T23:59:59.999" {
		t.Errorf("a millisecond before 1970 is %s", got)
	}
}

func TestRangesOfTypesAreChecked(t *testing.T) {
	for _, c := range []struct {
		v  model.Value
		ok bool
	}{
		{model.RawValue(model.Date, -354285), true},
		{model.RawValue(model.Date, -354286), false},
		{model.RawValue(model.Date, 2932896), true},
		{model.RawValue(model.Date, 2932897), false},
		{model.RawValue(model.Time, 86399999999000), true},
		{model.RawValue(model.Time, 86400000000000), false},
		{model.RawValue(model.Time, -1), false},
		{model.RawValue(model.Timestamp, 253402300799999), true},
		{model.RawValue(model.Timestamp, 253402300800000), false},
		{model.RawValue(model.TimestampTZ, -30610224000000), true},
		{model.RawValue(model.TimestampTZ, -30610224000001), false},
		{model.RawValue(model.Int, math.MaxInt32+1), false},
		{model.IntValue(math.MinInt32), true},
		{model.Null(model.Date), true},
	} {
		err := c.v.Check()
		if (err == nil) != c.ok || err != nil && !errors.Is(err, model.ErrBadArgument) {
			t.Errorf("%s %d: %v", c.v.Type(), c.v.Raw(), err)
		}
	}
}

func TestValuesOfOneTypeAreInOrder(t *testing.T) {
	for _, list := range [][]model.Value{
		{model.Null(model.Int), model.IntValue(math.MinInt32), model.IntValue(0), model.IntValue(math.MaxInt32)},
		{model.Null(model.Text), model.TextValue(""), model.TextValue("A"), model.TextValue("a"), model.TextValue("aa"), model.TextValue("ä")},
		{model.BlobValue(nil), model.BlobValue([]byte{0}), model.BlobValue([]byte{0, 0}), model.BlobValue([]byte{255})},
		{model.DoubleValue(math.Inf(-1)), model.DoubleValue(math.Copysign(0, -1)), model.DoubleValue(0), model.DoubleValue(math.SmallestNonzeroFloat64), model.DoubleValue(math.Inf(1)), model.DoubleValue(math.NaN())},
		{model.FloatValue(-1), model.FloatValue(0.1), model.FloatValue(1)},
		{model.BooleanValue(false), model.BooleanValue(true)},
		{model.RawValue(model.Date, -1), model.RawValue(model.Date, 0)},
	} {
		for i, v := range list {
			for j, w := range list {
				want := 0
				if i < j {
					want = -1
				} else if i > j {
					want = 1
				}
				if got := v.Compare(w); got != want {
					t.Errorf("%s.Compare(%s) = %d; want %d", v, w, got, want)
				}
			}
		}
	}
}

func TestEncodedKeysTellKeysApart(t *testing.T) {
	texts := rapid.SliceOfN(rapid.StringN(0, 4, -1), 2, 2)
	rapid.Check(t, func(t *rapid.T) {
		key := func(label string) model.Key {
			s := texts.Draw(t, label)
			return model.Key{Partition: []model.Value{model.TextValue(s[0])}, Clustering: []model.Value{model.TextValue(s[1])}}
		}
		a, b := key("a"), key("b")
		if same := a.Compare(b) == 0; (a.Encode() == b.Encode()) != same {
			t.Fatalf("%s and %s: same = %v, encoded %q and %q", a, b, same, a.Encode(), b.Encode())
		}
	})
	if model.EncodeValues([]model.Value{model.Null(model.Int)}) == model.EncodeValues([]model.Value{model.IntValue(0)}) {
		t.Error("NULL and 0 are encoded alike")
	}
}

func accounts(t *testing.T) *model.Table {
	t.Helper()
	table, err := model.NewTable(model.TableSpec{
		Name:          model.TableName{Namespace: "bank", Name: "accounts"},
		Columns:       []model.Column{{Name: "balance", Type: model.BigInt}, {Name: "day", Type: model.Date}, {Name: "id", Type: model.Text}},
		PartitionKey:  []string{"id"},
		ClusteringKey: []model.ClusteringColumn{{Name: "day", Order: model.Desc}},
		Indexes:       []string{"balance"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestATableHasItsKeyColumnsFirst(t *testing.T) {
	table := accounts(t)
	var names []string
	for _, c := range table.Columns() {
		names = append(names, c.Name)
	}
	if got := strings.Join(names, " "); got != "id day balance" {
		t.Errorf("columns %s", got)
	}
	again, err := model.NewTable(table.Spec())
	if err != nil || !again.Equal(table) || !table.Equal(again) {
		t.Errorf("a table made of the spec of another is not equal: %v", err)
	}
	if !table.Indexed(table.Position("balance")) || table.Indexed(0) || table.ClusteringOrder(0) != model.Desc {
		t.Error("the index or the order got lost")
	}
}

func TestTablesThatCannotBeAreRefused(t *testing.T) {
	name := model.TableName{Namespace: "bank", Name: "accounts"}
	id := model.Column{Name: "id", Type: model.Int}
	for what, spec := range map[string]model.TableSpec{
		"no name":             {Columns: []model.Column{id}, PartitionKey: []string{"id"}},
		"no partition key":    {Name: name, Columns: []model.Column{id}},
		"key not defined":     {Name: name, Columns: []model.Column{id}, PartitionKey: []string{"x"}},
		"key named twice":     {Name: name, Columns: []model.Column{id}, PartitionKey: []string{"id", "id"}},
		"column twice":        {Name: name, Columns: []model.Column{id, id}, PartitionKey: []string{"id"}},
		"column of no type":   {Name: name, Columns: []model.Column{id, {Name: "x"}}, PartitionKey: []string{"id"}},
		"index on no column":  {Name: name, Columns: []model.Column{id}, PartitionKey: []string{"id"}, Indexes: []string{"x"}},
		"clustering = id too": {Name: name, Columns: []model.Column{id}, PartitionKey: []string{"id"}, ClusteringKey: []model.ClusteringColumn{{Name: "id"}}},
	} {
		if _, err := model.NewTable(spec); !errors.Is(err, model.ErrBadArgument) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestKeysAreChecked(t *testing.T) {
	table := accounts(t)
	day := model.RawValue(model.Date, 1)
	for what, c := range map[string]struct {
		key model.Key
		ok  bool
	}{
		"right":        {model.Key{Partition: []model.Value{model.TextValue("a")}, Clustering: []model.Value{day}}, true},
		"empty text":   {model.Key{Partition: []model.Value{model.TextValue("")}, Clustering: []model.Value{day}}, false},
		"NULL":         {model.Key{Partition: []model.Value{model.Null(model.Text)}, Clustering: []model.Value{day}}, false},
		"wrong type":   {model.Key{Partition: []model.Value{model.IntValue(1)}, Clustering: []model.Value{day}}, false},
		"too short":    {model.Key{Partition: []model.Value{model.TextValue("a")}}, false},
		"out of range": {model.Key{Partition: []model.Value{model.TextValue("a")}, Clustering: []model.Value{model.RawValue(model.Date, 1<<40)}}, false},
	} {
		if err := c.key.Check(table); (err == nil) != c.ok {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestTypingErrorsAreRecognised(t *testing.T) {
	_, err := accounts(t).Column("balanse")
	if err == nil || !strings.Contains(err.Error(), `did you mean "balance"?`) {
		t.Errorf("%v", err)
	}
	if _, err := accounts(t).Column("something_else"); err == nil || strings.Contains(err.Error(), "did you mean") {
		t.Errorf("%v", err)
	}
}

func TestConditionsFollowSQL(t *testing.T) {
	null, five := model.Null(model.Int), model.IntValue(5)
	for _, c := range []struct {
		op   model.Op
		want [4]bool // of NULL, 4, 5, 6
	}{
		{model.Eq, [4]bool{false, false, true, false}},
		{model.Ne, [4]bool{false, true, false, true}},
		{model.Lt, [4]bool{false, true, false, false}},
		{model.Le, [4]bool{false, true, true, false}},
		{model.Gt, [4]bool{false, false, false, true}},
		{model.Ge, [4]bool{false, false, true, true}},
		{model.IsNull, [4]bool{true, false, false, false}},
		{model.IsNotNull, [4]bool{false, true, true, true}},
	} {
		for i, v := range []model.Value{null, model.IntValue(4), five, model.IntValue(6)} {
			if got := (model.Condition{Column: "x", Op: c.op, Value: five}).Holds(v); got != c.want[i] {
				t.Errorf("%s %s 5 is %v", v, c.op, got)
			}
		}
	}
	if (model.Condition{Op: model.IsNull}).Holds(model.Value{}) {
		t.Error("a value that is not there is NULL")
	}
	if (model.Predicate)(nil).Holds(nil) {
		t.Error("a predicate holds for a row that is not there")
	}
}

func TestLikeMatches(t *testing.T) {
	for _, c := range []struct {
		s, pattern, escape string
		want               bool
	}{
		{"abc", "abc", "", true}, {"abc", "a%", "", true}, {"abc", "%c", "", true}, {"abc", "_b_", "", true}, {"abc", "_", "", false},
		{"", "%", "", true}, {"", "_", "", false}, {"äbc", "_bc", "", true}, {"a%c", `a\%c`, `\`, true}, {"abc", `a\%c`, `\`, false},
		{"a%b_c", "a!%b!_c", "!", true}, {`a\c`, `a\c`, "", true}, {"aaab", "%a%b", "", true}, {"ABC", "abc", "", false}, {"a\nb", "a_b", "", true},
	} {
		cond := model.Condition{Op: model.Like, Value: model.TextValue(c.pattern), Escape: c.escape}
		if got := cond.Holds(model.TextValue(c.s)); got != c.want {
			t.Errorf("%q LIKE %q ESCAPE %q is %v", c.s, c.pattern, c.escape, got)
		}
		cond.Op = model.NotLike
		if got := cond.Holds(model.TextValue(c.s)); got == c.want {
			t.Errorf("%q NOT LIKE %q ESCAPE %q is %v", c.s, c.pattern, c.escape, got)
		}
	}
}

func TestErrorsKeepClassCauseAndHint(t *testing.T) {
	cause := errors.New("the cause")
	err := fmt.Errorf("outer: %w", &model.Error{Class: model.ErrConflict, Op: "commit", Subject: "transaction x", Err: cause, Hint: "Try again"})
	if !errors.Is(err, model.ErrConflict) || !errors.Is(err, cause) || model.Hint(err) != "Try again" {
		t.Errorf("%v", err)
	}
	if got := err.Error(); got != "outer: commit transaction x: the cause. Try again" {
		t.Errorf("%q", got)
	}
	wrapped := model.Errorf(model.ErrBadArgument, "column %q: %w", "c", cause)
	if !errors.Is(wrapped, model.ErrBadArgument) || !errors.Is(wrapped, cause) || wrapped.Error() != `column "c": the cause` {
		t.Errorf("%v", wrapped)
	}
}

func FuzzParseCivil(f *testing.F) {
	for _, s := range []string{"2026-01-02", "12:34:56.789", "2026-01-02T12:34:56.789", "2026-01-02 12:34:56", "", "T", "0000-00-00", "-1-1-1T::"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if d, err := model.ParseDateTime(s); err == nil {
			if again, err := model.ParseDateTime(d.String()); err != nil || again != d {
				t.Errorf("%q reads as %s, which reads as %v, %v", s, d, again, err)
			}
		}
		if d, err := model.ParseDate(s); err == nil && d.String() != s {
			t.Errorf("%q reads as %s", s, d)
		}
	})
}
