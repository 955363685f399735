//go:build mutants

package txntest_test

import (
	"testing"

	"github.com/stillpoint-db/stillpoint/internal/mutant"
	"github.com/stillpoint-db/stillpoint/storage/memory"
	"github.com/stillpoint-db/stillpoint/txn"
	"github.com/stillpoint-db/stillpoint/txn/txntest"
)

// mutants are the ways to break the protocol that random histories must catch.
var mutants = []mutant.Name{
	"txn.prepare-guard",
	"txn.insert-guard",
	"txn.coordinator-guard",
	"txn.unguarded-commit",
	"txn.coordinator-before-record",
	"txn.skip-validation",
	"txn.commit-before-coordinator",
	"txn.unknown-is-failed",
	"txn.partial-before-image",
	"txn.ignore-late-abort",
}

// caught runs seeds until one shows that something is wrong.
func caught(t *testing.T, bed func(t *testing.T, seed uint64) txntest.Bed) {
	// Some take up to a hundred seeds, and a busy machine makes them rarer. Only
	// one that is not caught takes all of them.
	const most = 3000
	for _, name := range mutants {
		t.Run(string(name), func(t *testing.T) {
			defer mutant.Set(name)()
			for seed := uint64(1); seed <= most; seed++ {
				isolation := txn.Serializable // whose validation hides some faults
				if seed%2 == 0 {
					isolation = txn.Snapshot
				}
				rep, err := txntest.Trial{Seed: seed, Isolation: isolation}.Run(t.Context(), bed(t, seed))
				if err != nil && rep.History == nil {
					t.Fatal(err) // the bed's, not the mutant's
				}
				if len(rep.Anomalies) > 0 {
					t.Logf("caught by seed %d: %s", seed, rep.Anomalies[0])
					return
				}
				if err != nil {
					t.Logf("caught by seed %d: %v", seed, err)
					return
				}
			}
			t.Fatalf("not caught by %d seeds", most)
		})
	}
}

func TestMutantsAreCaughtInMemory(t *testing.T) {
	caught(t, func(_ *testing.T, seed uint64) txntest.Bed {
		return several(inMemory(memory.Options{NoCopyColumns: seed%2 == 0}), inMemory(memory.Options{NoCopyColumns: seed%2 == 0}))
	})
}

func TestMutantsAreCaughtOnSQLite(t *testing.T) {
	caught(t, func(t *testing.T, _ uint64) txntest.Bed { return several(onSQLite(t), onSQLite(t)) })
}
