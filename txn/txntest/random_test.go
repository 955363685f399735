package txntest_test

import (
	"flag"
	"fmt"
	"testing"

	"github.com/stillpoint-db/stillpoint/storage/memory"
	"github.com/stillpoint-db/stillpoint/txn"
	"github.com/stillpoint-db/stillpoint/txn/txntest"
)

var (
	seeds = flag.Int("seeds", 4, "how many seeds of random histories to run on each database")
	seed  = flag.Uint64("seed", 1, "the first seed")
)

// histories runs trials on beds, each of its own for every seed, and expects
// nothing that the isolation level forbids.
func histories(t *testing.T, bed func(t *testing.T, seed uint64) txntest.Bed) {
	for _, isolation := range []txn.Isolation{txn.Serializable, txn.Snapshot, txn.ReadCommitted} {
		t.Run(isolation.String(), func(t *testing.T) {
			committed := 0
			for i := range *seeds {
				s := *seed + uint64(i)
				rep, err := txntest.Trial{Seed: s, Isolation: isolation}.Run(t.Context(), bed(t, s))
				if err != nil {
					t.Fatalf("seed %d: %v", s, err)
				}
				if len(rep.Anomalies) > 0 {
					t.Errorf("seed %d: again with -run '%s' -seed %d -seeds 1", s, t.Name(), s)
					for _, a := range rep.Anomalies {
						t.Errorf("seed %d: %s", s, a)
					}
					t.FailNow()
				}
				committed += rep.Committed
				t.Logf("seed %d: %d transactions, %d committed, %d unknown, %d crashes", s, len(rep.History), rep.Committed, rep.Unknown, rep.Crashes)
			}
			if committed < 10**seeds {
				t.Errorf("only %d transactions were committed: that proves little", committed)
			}
		})
	}
}

func TestHistoriesInMemoryAreRight(t *testing.T) {
	histories(t, func(_ *testing.T, seed uint64) txntest.Bed {
		weak := memory.Options{NoCopyColumns: seed%2 == 0, NoLockedChecks: seed%3 == 0, NoBatchedReads: true, NoAtomicScan: seed%5 == 0}
		if seed%4 == 0 {
			weak.Unit = memory.Partition
		}
		return several(inMemory(memory.Options{}), inMemory(weak))
	})
}

func TestHistoriesOnSQLiteAreRight(t *testing.T) {
	histories(t, func(t *testing.T, seed uint64) txntest.Bed {
		if seed%2 == 0 {
			return several(onSQLite(t))
		}
		return several(onSQLite(t), onSQLite(t))
	})
}

func TestOneSeedDrawsOneSetOfTransactions(t *testing.T) {
	run := func() string {
		rep, err := txntest.Trial{Seed: 3, Processes: 1, Clients: 1, NoFaults: true}.Run(t.Context(), several(inMemory(memory.Options{})))
		if err != nil {
			t.Fatal(err)
		}
		out := ""
		for _, h := range rep.History {
			out += fmt.Sprintln(h.Outcome, len(h.Ops))
		}
		return out
	}
	if a, b := run(), run(); a != b {
		t.Errorf("two runs differ:\n%s\n%s", a, b)
	}
}
