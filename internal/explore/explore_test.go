package explore

import (
	"flag"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var (
	schedules = flag.Int("schedules", 2000, "how many schedules to explore")
	seed      = flag.Uint64("seed", 1, "the first seed")
	replay    = flag.Bool("replay", false, "run the schedule of -seed alone and print every step")
)

// exploration is what many schedules have shown.
type exploration struct {
	Result
	bad uint64 // the seed of the schedule whose Problems these are; 0 if none went wrong
}

// explore runs schedules in parallel until all are done or one has a problem of
// a kind.
func explore(t *testing.T, first uint64, n int, is func(problem string) bool) exploration {
	t.Helper()
	x := exploration{Result: Result{Seen: Sightings{}}}
	var mu sync.Mutex
	next := first
	claim := func() (seed uint64, ok bool) {
		mu.Lock()
		defer mu.Unlock()
		next++
		return next - 1, next <= first+uint64(n) && x.bad == 0
	}
	note := func(seed uint64, res Result) {
		mu.Lock()
		defer mu.Unlock()
		x.Steps += res.Steps
		x.Commits += res.Commits
		x.Backups += res.Backups
		x.Refused += res.Refused
		x.Seen.Add(res.Seen)
		if x.bad == 0 && slices.ContainsFunc(res.Problems, is) {
			x.bad, x.Problems = seed, res.Problems
		}
	}
	t.Run("shards", func(t *testing.T) {
		for shard := range runtime.GOMAXPROCS(0) {
			t.Run(fmt.Sprint(shard), func(t *testing.T) {
				t.Parallel()
				for seed, ok := claim(); ok; seed, ok = claim() {
					synctest.Test(t, func(t *testing.T) { note(seed, Run(t.Context(), seed, nil)) })
				}
			})
		}
	})
	return x
}

func anything(string) bool { return true }

func TestRestoredStateIsExactlyTheCut(t *testing.T) {
	if *replay {
		synctest.Test(t, func(t *testing.T) {
			res := Run(t.Context(), *seed, func(line string) { t.Log(line) })
			t.Logf("%d steps, %d commits, %d backups", res.Steps, res.Commits, res.Backups)
			for _, p := range res.Problems {
				t.Error(p)
			}
		})
		return
	}
	start := time.Now()
	res := explore(t, *seed, *schedules, anything)
	for _, p := range res.Problems {
		t.Errorf("seed %d: %s", res.bad, p)
	}
	if res.bad != 0 {
		t.Fatalf("replay it with: go test ./internal/explore -run %s -replay -seed %d -v", t.Name(), res.bad)
	}
	t.Logf("%d schedules in %v: %d steps, %d commits, %d backups, %d refused", *schedules, time.Since(start).Round(time.Millisecond), res.Steps, res.Commits, res.Backups, res.Refused)
	for _, what := range slices.Sorted(maps.Keys(res.Seen)) {
		t.Logf("%8d %s", res.Seen[what], what)
	}
	if res.Backups < *schedules/2 || res.Commits < 2**schedules {
		t.Errorf("too little happened to prove anything")
	}
	for _, what := range []string{"committed one-phase", "committed fused", "committed merged", "committed textbook", "committed read-only", "unknown outcome",
		"request lost", "answer lost", "late", "conflict", "unavailable", "crash", "freeze", "recovery rolled forward", "recovery aborted a transaction"} {
		if res.Seen[what] < *schedules/200 {
			t.Errorf("too few: %d %s", res.Seen[what], what)
		}
	}
}
