package explore

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
)

// trace runs a schedule and returns all of its steps.
func trace(t *testing.T, seed uint64) string {
	t.Helper()
	var b strings.Builder
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		Run(t.Context(), seed, func(format string, args ...any) {
			mu.Lock()
			defer mu.Unlock()
			fmt.Fprintf(&b, format+"\n", args...)
		})
	})
	return b.String()
}

// TestMostSeedsReplay looks whether a seed that has shown something will show
// it again. Pauses of the fence are random, so not every seed does.
func TestMostSeedsReplay(t *testing.T) {
	const seeds = 200
	same := 0
	for seed := range uint64(seeds) {
		first, again := trace(t, seed), trace(t, seed)
		if first == again {
			same++
		}
	}
	t.Logf("%d of %d seeds gave the same steps twice", same, seeds)
	if same < seeds*8/10 {
		t.Errorf("only %d of %d seeds gave the same steps twice", same, seeds)
	}
}
