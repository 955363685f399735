//go:build servers

package mysql

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stillpoint-db/stillpoint/internal/testenv"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

var (
	always    = storage.Guard{}
	notExists = storage.Guard{Kind: storage.NotExists}
	exists    = storage.Guard{Kind: storage.Exists}
)

// bothWays runs a test as on MariaDB and as on MySQL.
func bothWays(t *testing.T, f func(t *testing.T, s *Store, table *model.Table)) {
	for _, way := range []string{"compound", "text"} {
		t.Run(way, func(t *testing.T) {
			s := open(t)
			if way == "text" {
				asMySQL(s)
			}
			f(t, s, newTable(t, s, testenv.MariaDB(t).Namespace(t), "t"))
		})
	}
}

func TestABatchIsAppliedAsAWholeOrNotAtAll(t *testing.T) {
	bothWays(t, func(t *testing.T, s *Store, table *model.Table) {
		mustMutate(t, s, put(table, "a", 1, notExists), put(table, "b", 2, notExists))
		check := func(k string, g storage.Guard) storage.Mutation {
			return storage.Mutation{Kind: storage.Check, Table: table, Key: key(k, 1), Guard: g}
		}
		drop := func(k string, g storage.Guard) storage.Mutation {
			return storage.Mutation{Kind: storage.Delete, Table: table, Key: key(k, 1), Guard: g}
		}
		for name, failing := range map[string]storage.Mutation{
			"insert of a row that exists":       put(table, "b", 9, notExists),
			"update of a missing row":           put(table, "z", 9, exists),
			"update under a false condition":    put(table, "b", 9, vIs(7)),
			"update under IS NULL, row missing": put(table, "z", 9, storage.Guard{Kind: storage.If, Conditions: []model.Condition{{Column: "v", Op: model.IsNull}}}),
			"check of a missing row":            check("z", exists),
			"check under a false condition":     check("b", vIs(7)),
			"check that a row is missing":       check("b", notExists),
			"delete of a missing row":           drop("z", exists),
			"delete under a false condition":    drop("b", vIs(7)),
		} {
			for at := range 3 {
				ms := []storage.Mutation{put(table, "a", 5, vIs(1)), put(table, "n", 6, notExists)}
				ms = append(ms[:at], append([]storage.Mutation{failing}, ms[at:]...)...)
				err := s.Mutate(context.Background(), batch(ms...))
				c, ok := errors.AsType[*storage.ConditionError](err)
				if !ok || c.Index != at || storage.OutcomeOf(err) != storage.ConditionFailed {
					t.Fatalf("%s at %d: %v", name, at, err)
				}
				if v := valueOf(t, s, table, "a"); v != model.IntValue(1) {
					t.Fatalf("%s at %d: a is %v", name, at, v)
				}
				if v := valueOf(t, s, table, "n"); v.IsSet() {
					t.Fatalf("%s at %d: n is %v", name, at, v)
				}
			}
		}
		mustMutate(t, s, put(table, "a", 1, vIs(1)), // changes nothing and is applied all the same
			check("b", vIs(2)), check("z", notExists), put(table, "c", 3, always), drop("q", always))
		mustMutate(t, s, put(table, "a", 4, exists), drop("b", vIs(2)), put(table, "c", 3, always))
		if a, b, c := valueOf(t, s, table, "a"), valueOf(t, s, table, "b"), valueOf(t, s, table, "c"); a != model.IntValue(4) || b.IsSet() || c != model.IntValue(3) {
			t.Fatalf("a=%v b=%v c=%v", a, b, c)
		}
	})
}

func TestALongBatchIsOneText(t *testing.T) {
	bothWays(t, func(t *testing.T, s *Store, table *model.Table) {
		const n = 500
		var ms []storage.Mutation
		for i := range n {
			ms = append(ms, put(table, fmt.Sprint("key'", i), int32(i), notExists))
		}
		mustMutate(t, s, ms...)
		ms[n/2].Guard, ms[n/2].Set = vIs(-1), []storage.Assignment{{Column: "v", Value: model.IntValue(0)}}
		for i := range ms {
			if i != n/2 {
				ms[i].Guard = exists
				ms[i].Set = []storage.Assignment{{Column: "v", Value: model.IntValue(-5)}}
			}
		}
		err := s.Mutate(context.Background(), batch(ms...))
		if c, ok := errors.AsType[*storage.ConditionError](err); !ok || c.Index != n/2 {
			t.Fatal(err)
		}
		var gets []storage.Get
		for i := range n {
			gets = append(gets, storage.Get{Table: table, Key: key(fmt.Sprint("key'", i), 1)})
		}
		rows, err := s.Get(context.Background(), gets)
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range rows {
			if r == nil || r.Get("v") != model.IntValue(int32(i)) {
				t.Fatalf("row %d is %v", i, r)
			}
		}
	})
}

// TestAClientThatStopsBetweenTheTripsOfABatchHoldsNoLocksForLong: the server is to
// end such a session soon, and only such a one.
func TestAClientThatStopsBetweenTheTripsOfABatchHoldsNoLocksForLong(t *testing.T) {
	s := open(t)
	table := newTable(t, s, testenv.MariaDB(t).Namespace(t), "t")
	ctx := context.Background()
	ses, err := s.lend(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer s.giveBack(ctx, ses)
	ident := s.dialect.Table(table.Name())
	if err := ses.execText(ctx, "CREATE TRIGGER "+s.dialect.Ident(table.Name().Namespace)+".patience BEFORE INSERT ON "+ident+" FOR EACH ROW SET NEW.v = @@SESSION.wait_timeout"); err != nil {
		t.Fatal(err)
	}
	for k, last := range map[string]storage.Mutation{"a": put(table, "y", 0, notExists), "b": put(table, "z", 0, exists)} {
		_, err := s.mutateStepwise(ctx, ses, []storage.Mutation{put(table, k, 0, notExists), last})
		if failed := k == "b"; failed != (storage.OutcomeOf(err) == storage.ConditionFailed) {
			t.Errorf("%s: %v", k, err)
		}
		rows, err := ses.strings(ctx, "SELECT @@SESSION.wait_timeout, @@in_transaction")
		if err != nil || rows[0][0] != fmt.Sprint(sessionIdle) || rows[0][1] != "0" {
			t.Errorf("afterwards: %v, %v", rows, err)
		}
	}
	if got := valueOf(t, s, table, "a"); got != model.IntValue(stepIdle) {
		t.Errorf("between the trips wait_timeout is %v", got)
	}
}

func TestABatchLargerThanThePacketsOfTheServerIsStillOneUnit(t *testing.T) {
	bothWays(t, func(t *testing.T, s *Store, table *model.Table) {
		ctx := context.Background()
		for _, n := range []int{9, 70} { // MariaDB prepares the first; both exceed 16 MB
			big := model.TextValue(strings.Repeat("größer ", 17<<20/9/n))
			var ms []storage.Mutation
			for i := range n {
				m := put(table, fmt.Sprint(n, "-", i), 1, notExists)
				m.Set = append(m.Set, storage.Assignment{Column: "t", Value: big})
				ms = append(ms, m)
			}
			refused := append(slices.Clone(ms), put(table, "none", 1, exists))
			err := s.Mutate(ctx, batch(refused...))
			if c, ok := errors.AsType[*storage.ConditionError](err); !ok || c.Index != n {
				t.Fatal(err)
			}
			if v := valueOf(t, s, table, fmt.Sprint(n, "-0")); v.IsSet() {
				t.Fatal("a part of a refused batch is there")
			}
			mustMutate(t, s, ms...)
			for i := range n {
				if v := valueOf(t, s, table, fmt.Sprint(n, "-", i)); v != model.IntValue(1) {
					t.Fatalf("row %d of %d is %v", i, n, v)
				}
			}
		}
		m := put(table, "huge", 1, notExists)
		m.Set = append(m.Set, storage.Assignment{Column: "t", Value: model.TextValue(strings.Repeat("x", 17<<20))})
		for _, ms := range [][]storage.Mutation{{m}, {m, put(table, "beside", 1, notExists)}} {
			if err := s.Mutate(ctx, batch(ms...)); storage.OutcomeOf(err) != storage.Refused || !strings.Contains(err.Error(), "max_allowed_packet") {
				t.Errorf("one value larger than a packet: %v", err)
			}
			if v := valueOf(t, s, table, "beside"); v.IsSet() {
				t.Error("half a batch")
			}
		}
	})
}

func TestAGetMayAskForARowTwice(t *testing.T) {
	bothWays(t, func(t *testing.T, s *Store, table *model.Table) {
		ns := table.Name().Namespace
		other := newTable(t, s, ns, "u")
		mustMutate(t, s, put(table, "a", 1, notExists), put(table, "b", 2, notExists), put(other, "a", 3, notExists))
		for _, n := range []int{1, 20} {
			var gets []storage.Get
			var want []int64
			for range n {
				for _, g := range []struct {
					table *model.Table
					k     string
					v     int64
				}{{table, "a", 1}, {other, "a", 3}, {table, "z", -1}, {table, "a", 1}, {table, "b", 2}} {
					gets, want = append(gets, storage.Get{Table: g.table, Key: key(g.k, 1)}), append(want, g.v)
				}
			}
			rows, err := s.Get(context.Background(), gets)
			if err != nil {
				t.Fatal(err)
			}
			seen := map[*model.Row]bool{}
			for i, r := range rows {
				if got := int64(-1); r != nil {
					if got = r.Get("v").Int64(); got != want[i] || seen[r] {
						t.Errorf("get %d is answered by %v", i, r)
					}
					seen[r] = true
				} else if want[i] != -1 {
					t.Errorf("get %d finds nothing", i)
				}
			}
		}
	})
}
