//go:build servers

package mysql

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/stillpoint-db/stillpoint/internal/testenv"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// proxied opens a storage by way of a proxy.
func proxied(t testing.TB) (*Store, *testenv.Proxy) {
	proxy := testenv.NewProxy(t, testenv.MariaDB(t).Addr())
	return openURL(t, "jdbc:mariadb://"+proxy.Addr()+"/"), proxy
}

// trips counts the round trips of f, once everything is prepared.
func trips(t *testing.T, proxy *testenv.Proxy, f func()) int64 {
	t.Helper()
	f()
	before := proxy.RoundTrips()
	f()
	return proxy.RoundTrips() - before
}

func TestRoundTrips(t *testing.T) {
	ctx := context.Background()
	for _, way := range []string{"compound", "text"} {
		t.Run(way, func(t *testing.T) {
			s, proxy := proxied(t)
			if way == "text" {
				asMySQL(s)
			}
			ns := testenv.MariaDB(t).Namespace(t)
			a, b := newTable(t, s, ns, "a"), newTable(t, s, ns, "b")
			for i := range 4 {
				mustMutate(t, s, put(a, fmt.Sprint(i), 1, notExists), put(b, fmt.Sprint(i), 1, notExists))
			}
			get := func(gets ...storage.Get) func() {
				return func() {
					rows, err := s.Get(ctx, gets)
					if err != nil || len(rows) != len(gets) || rows[0] == nil {
						t.Fatal(rows, err)
					}
				}
			}
			at := func(table *model.Table, k string) storage.Get { return storage.Get{Table: table, Key: key(k, 1)} }
			mutate := func(wanted storage.Outcome, ms ...storage.Mutation) func() {
				return func() {
					if err := s.Mutate(ctx, batch(ms...)); storage.OutcomeOf(err) != wanted {
						t.Fatal(err)
					}
				}
			}
			scan := func() {
				if p, err := s.Scan(ctx, storage.Scan{Table: a, Kind: storage.ScanTable}); err != nil || len(p.Rows) != 4 {
					t.Fatal(p, err)
				}
			}
			check := storage.Mutation{Kind: storage.Check, Table: b, Key: key("2", 1), Guard: exists}
			failed := int64(1)
			if way == "text" {
				failed = 2
			}
			for _, c := range []struct {
				what string
				want int64
				f    func()
			}{
				{"a get", 1, get(at(a, "0"))},
				{"gets of one table", 1, get(at(a, "0"), at(a, "1"), at(a, "2"))},
				{"gets of two tables", 1, get(at(a, "0"), at(b, "1"), at(a, "2"))},
				{"a scan", 1, scan},
				{"one mutation", 1, mutate(storage.Applied, put(a, "0", 1, vIs(1)))},
				{"one check", 1, mutate(storage.Applied, check)},
				{"a batch", 1, mutate(storage.Applied, put(a, "0", 1, vIs(1)), put(b, "0", 1, exists), put(b, "1", 1, always), check)},
				{"one mutation that is refused", 1, mutate(storage.ConditionFailed, put(a, "0", 1, notExists))},
				{"a batch that is refused", failed, mutate(storage.ConditionFailed, put(a, "0", 1, vIs(1)), put(b, "0", 1, notExists))},
			} {
				if got := trips(t, proxy, c.f); got != c.want {
					t.Errorf("%s takes %d round trips, not %d", c.what, got, c.want)
				}
			}
		})
	}
}

func TestABatchIsOneCommit(t *testing.T) {
	server := testenv.NewMariaDB(t, testenv.MariaDBOptions{})
	s := openURL(t, server.URL())
	table := newTable(t, s, "ns", "t")
	commits := func() (n int) {
		var name string
		if err := server.DB().QueryRow("SHOW GLOBAL STATUS LIKE 'Com_commit'").Scan(&name, &n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := commits()
	mustMutate(t, s, put(table, "a", 1, notExists), put(table, "b", 1, notExists), put(table, "c", 1, notExists))
	if n := commits() - before; n != 1 {
		t.Errorf("a batch is %d commits", n)
	}
	before = commits()
	mustMutate(t, s, put(table, "a", 2, vIs(1)))
	if n := commits() - before; n != 0 {
		t.Errorf("one mutation, which commits itself, is followed by %d commits", n)
	}
}

// calls are what the benchmark measures and the gate below counts.
func calls(t testing.TB, s *Store) map[string]func() error {
	table := newTable(t, s, testenv.MariaDB(t).Namespace(t), "t")
	ctx := context.Background()
	mustMutate(t, s, put(table, "a", 1, always), put(table, "b", 1, always), put(table, "c", 1, always), put(table, "d", 1, always))
	var gets []storage.Get
	for _, k := range []string{"a", "b", "c", "d"} {
		gets = append(gets, storage.Get{Table: table, Key: key(k, 1)})
	}
	one := batch(put(table, "a", 1, exists))
	four := batch(put(table, "a", 1, exists), put(table, "b", 1, vIs(1)), put(table, "c", 1, always), put(table, "d", 1, vIs(1)))
	return map[string]func() error{
		"get 1":    func() error { _, err := s.Get(ctx, gets[:1]); return err },
		"get 4":    func() error { _, err := s.Get(ctx, gets); return err },
		"mutate 1": func() error { return s.Mutate(ctx, one) },
		"mutate 4": func() error { return s.Mutate(ctx, four) },
	}
}

func TestAllocations(t *testing.T) {
	all := calls(t, open(t))
	for name, most := range map[string]float64{"get 1": 16, "get 4": 42, "mutate 1": 15, "mutate 4": 15} {
		got := testing.AllocsPerRun(200, func() {
			if err := all[name](); err != nil {
				t.Fatal(err)
			}
		})
		if got > most {
			t.Errorf("%s makes %v allocations, not at most %v", name, got, most)
		}
	}
}

func BenchmarkStore(b *testing.B) {
	all := calls(b, open(b))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := all[name](); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
