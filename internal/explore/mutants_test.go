//go:build mutants

package explore

import (
	"strings"
	"testing"

	"github.com/stillpoint-db/stillpoint/internal/mutant"
)

// Each way to break the fence or the settling of a restore must show as a wrong
// backup within so many schedules. A lock that does not wait for the commits in
// flight still keeps those out that could depend on them, so what it lets
// through is later than the cut and not torn.
func TestBrokenBackupsAreCaught(t *testing.T) {
	const most = 20000
	for name, how := range map[mutant.Name]string{
		"fence.none":                    torn,
		"fence.ignore-in-flight":        late,
		"fence.coordinator-only":        torn,
		"restore.live-coordinator":      torn,
		"restore.prepared-is-committed": torn,
	} {
		t.Run(string(name), func(t *testing.T) {
			defer mutant.Set(name)()
			x := explore(t, 1, most, func(problem string) bool { return strings.HasPrefix(problem, how) })
			if x.bad == 0 {
				t.Fatalf("not caught in %d schedules", most)
			}
			t.Logf("caught by seed %d: %s", x.bad, x.Problems)
		})
	}
}

// Each way to break the transaction manager must show as some problem.
func TestBrokenTransactionsAreCaught(t *testing.T) {
	const most = 20000
	for _, name := range []mutant.Name{
		"txn.prepare-guard",
		"txn.insert-guard",
		"txn.coordinator-guard",
		"txn.unguarded-commit",
		"txn.coordinator-before-record",
		"txn.absent-is-aborted",
		"txn.skip-validation",
		"txn.commit-before-coordinator",
		"txn.unknown-is-failed",
		"txn.partial-before-image",
		"txn.ignore-late-abort",
		"txn.fuse-unvalidated",
		"txn.own-row-is-conflict",
		"txn.skip-own-rows",
		"txn.imported-guard",
		"txn.imported-mark",
	} {
		t.Run(string(name), func(t *testing.T) {
			defer mutant.Set(name)()
			x := explore(t, 1, most, anything)
			if x.bad == 0 {
				t.Fatalf("not caught in %d schedules", most)
			}
			t.Logf("caught by seed %d: %s", x.bad, x.Problems)
		})
	}
}
