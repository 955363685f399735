package explore

import (
	"strings"
	"testing"
	"testing/synctest"
)

// trace runs a schedule and returns all of its steps.
func trace(t *testing.T, seed uint64) string {
	t.Helper()
	var b strings.Builder
	synctest.Test(t, func(t *testing.T) {
		Run(t.Context(), seed, func(line string) { b.WriteString(line + "\n") })
	})
	return b.String()
}

// TestMostSeedsReplay looks whether a seed that has shown something will show
// it again. The order in which Go runs programs between two steps is not the
// seed's, so one in some hundreds does not.
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
	if same < seeds*95/100 {
		t.Errorf("only %d of %d seeds gave the same steps twice", same, seeds)
	}
}
