package workload_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stillpoint-db/stillpoint"
	"github.com/stillpoint-db/stillpoint/internal/workload"
	"github.com/stillpoint-db/stillpoint/stillpointtest"
)

func bank(t *testing.T) (*stillpointtest.DB, *workload.Bank) {
	t.Helper()
	db := stillpointtest.Open(t)
	b := workload.NewBank(db.DB, []string{"bank", "vault"}, 10, 1000)
	for range 2 { // a second time changes nothing
		if err := b.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return db, b
}

func TestMovesKeepTheMoneyAndTheHistory(t *testing.T) {
	db, b := bank(t)
	db.Faults.ConflictNext(5)
	r := b.Run(t.Context(), workload.RunOptions{Workers: 4, Moves: 200, Duration: 10 * time.Minute})
	if r.Committed < 200 || r.Failed > 0 {
		t.Errorf("%+v", r)
	}
	rep, err := b.Verify(t.Context())
	if err != nil || !rep.OK() || rep.Total != 20000 || rep.Accounts != 20 || rep.History != 20+2*r.Committed {
		t.Errorf("%s, %v", rep, err)
	}
}

func TestEachKindOfWrongIsFound(t *testing.T) {
	for name, spoil := range map[string]func(tx *stillpoint.Tx, db *stillpoint.DB) error{
		"money from nowhere": func(tx *stillpoint.Tx, db *stillpoint.DB) error {
			return db.Table("bank."+workload.AccountsTable).Put(tx, stillpoint.Row{"id": 3, "balance": 1001})
		},
		"a lost account": func(tx *stillpoint.Tx, db *stillpoint.DB) error {
			return db.Table("vault."+workload.AccountsTable).Delete(tx, 3)
		},
		"half a move": func(tx *stillpoint.Tx, db *stillpoint.DB) error {
			return db.Table("bank."+workload.HistoryTable).Insert(tx, stillpoint.Row{"account": 3, "move": "x-out", "amount": -1})
		},
	} {
		t.Run(name, func(t *testing.T) {
			db, b := bank(t)
			if err := db.Transact(t.Context(), func(tx *stillpoint.Tx) error { return spoil(tx, db.DB) }); err != nil {
				t.Fatal(err)
			}
			rep, err := b.VerifyWhenQuiet(t.Context(), time.Minute)
			if err != nil || rep.OK() || !strings.Contains(rep.String(), "(3)") {
				t.Errorf("%s, %v", rep, err)
			}
		})
	}
}
