package explore

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/memory"
)

// order runs three programs of three writes each and returns the order in which
// the writes were applied.
func order(t *testing.T, seed uint64) (out []string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := newScheduler(rand.New(rand.NewPCG(seed, 1)), Budget{}, nil)
		db := memory.NewDatabase()
		a := db.Open("setup", memory.Options{}).Admin()
		if err := a.CreateNamespace(t.Context(), coordinatorName.Namespace); err != nil {
			t.Fatal(err)
		}
		table := physical[coordinatorName]
		if err := a.CreateTable(t.Context(), table); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"a", "b", "c"} {
			p := s.process(t.Context(), name)
			g := connect(s, p, "d0", db, memory.Options{}, func(_ context.Context, b storage.Batch) {
				out = append(out, b.Mutations[0].Key.At(0).Str())
			})
			s.work(func() {
				for range 3 {
					b := storage.Batch{Mutations: []storage.Mutation{{Kind: storage.Put, Table: table, Key: model.Key{Partition: []model.Value{model.TextValue(name)}}}}}
					if err := g.Mutate(t.Context(), b); err != nil {
						t.Error(err)
					}
				}
			})
		}
		if err := s.run(); err != nil {
			t.Error(err)
		}
	})
	return out
}

func TestScheduleFollowsTheSeed(t *testing.T) {
	different := false
	for seed := range uint64(10) {
		first, again := order(t, seed), order(t, seed)
		if len(first) != 9 || !slices.Equal(first, again) {
			t.Fatalf("seed %d gave %v, then %v", seed, first, again)
		}
		different = different || !slices.Equal(first, order(t, seed+100))
	}
	if !different {
		t.Error("all seeds gave one order")
	}
}

func TestSchedulerReportsThatNothingMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScheduler(rand.New(rand.NewPCG(1, 1)), Budget{}, nil)
		block := make(chan struct{})
		s.work(func() { <-block })
		if err := s.run(); err != errStuck {
			t.Errorf("got %v", err)
		}
		close(block)
	})
}
