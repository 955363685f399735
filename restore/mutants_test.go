//go:build mutants

package restore_test

import (
	"testing"

	"github.com/stillpoint-db/stillpoint/internal/mutant"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/restore"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

// liveAfterTheCut makes the target's own Coordinator know what happened after the
// cut: the transaction that the copy caught half way has committed since.
func liveAfterTheCut(t *testing.T) *world {
	w := newWorld(t, bank(t))
	w.opts.Replace = true
	w.opts.Workers = 1
	st := w.targets["pg"].Storage
	var def *model.Table
	for _, bt := range w.opts.Backup.Tables() {
		if bt.Coordinator {
			def = bt.Table
		}
	}
	must(t, st.Admin().CreateNamespace(t.Context(), "coordinator"))
	must(t, st.Admin().CreateTable(t.Context(), def))
	for _, id := range []string{"gone", "done"} {
		must(t, st.Mutate(t.Context(), storage.Batch{Mutations: []storage.Mutation{{Table: def, Key: model.Key{Partition: []model.Value{model.TextValue(id)}},
			Set: []storage.Assignment{{Column: record.TxState, Value: model.IntValue(3)}, {Column: record.CreatedAt, Value: model.BigIntValue(t0 + 5000)}}}}}))
	}
	return w
}

func balances(w *world) map[any]int64 { return w.state("pg", "bank.accounts", "id", "balance") }

func TestAskingTheLiveCoordinatorRestoresHalfTransactions(t *testing.T) {
	w := liveAfterTheCut(t)
	_, err := restore.Run(t.Context(), w.opts)
	must(t, err)
	w.whole() // the real thing: what happened after the cut does not count

	defer mutant.Set("restore.live-coordinator")()
	w = liveAfterTheCut(t)
	_, _ = restore.Run(t.Context(), w.opts)
	if got := balances(w); got[int64(6)] != 99 {
		t.Errorf("the broken restore is not noticed: %v", got)
	}
}

func TestTakingPreparedForCommittedRestoresWhatNeverWas(t *testing.T) {
	defer mutant.Set("restore.prepared-is-committed")()
	w := newWorld(t, bank(t))
	_, _ = restore.Run(t.Context(), w.opts)
	if got := balances(w); got[int64(6)] != 99 {
		t.Errorf("the broken restore is not noticed: %v", got)
	}
}
