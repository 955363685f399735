package stillpoint_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/stillpoint-db/stillpoint"
	"github.com/stillpoint-db/stillpoint/stillpointtest"
)

func TestNilIsABadArgumentAndNoPanic(t *testing.T) {
	db, accounts := bank(t)
	ctx := t.Context()
	nothing := func(*stillpoint.Tx) error { return nil }
	for name, do := range map[string]func() error{
		"source":             func() error { _, err := stillpoint.Open(ctx, nil); return err },
		"config":             func() error { _, err := stillpoint.Open(ctx, (*stillpoint.Config)(nil)); return err },
		"option of Open":     func() error { _, err := stillpoint.Open(ctx, stillpoint.URL("jdbc:sqlite:x.db"), nil); return err },
		"function":           func() error { return db.Transact(ctx, nil) },
		"function of View":   func() error { return db.View(ctx, nil) },
		"option of Transact": func() error { return db.Transact(ctx, nothing, nil) },
		"option of View":     func() error { return db.View(ctx, nothing, nil) },
		"option of Begin":    func() error { _, err := db.Begin(ctx, nil); return err },
		"option of a scan":   func() error { return scanned(db, accounts, nil) },
		"name of an index":   func() error { return scanned(db, accounts, stillpoint.ByIndex("", 1)) },
		"value of an index":  func() error { return scanned(db, accounts, stillpoint.ByIndex("owner", nil)) },
		"value of a key": func() error {
			return db.View(ctx, func(tx *stillpoint.Tx) error { _, err := accounts.Get(tx, nil); return err })
		},
		"direction of an order": func() error { return scanned(db, accounts, stillpoint.OrderBy("owner", 7)) },
		"operand of a filter":   func() error { return scanned(db, accounts, stillpoint.Where(stillpoint.Col("owner").Eq(nil))) },
	} {
		t.Run(name, func(t *testing.T) { wantClass(t, do(), stillpoint.ErrBadArgument) })
	}
}

func scanned(db *stillpointtest.DB, accounts *stillpoint.Table[Account], opts ...stillpoint.ScanOption) error {
	return db.View(context.Background(), func(tx *stillpoint.Tx) error {
		for _, err := range accounts.Scan(tx, opts...) {
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// TestAnIDIsForOneRun: a second run under the id of the first would meet what that
// one has left.
func TestAnIDIsForOneRun(t *testing.T) {
	db, accounts := bank(t)
	err := db.Transact(t.Context(), func(tx *stillpoint.Tx) error { return accounts.Put(tx, Account{ID: 1}) }, stillpoint.WithID("mine"))
	wantClass(t, err, stillpoint.ErrBadArgument)
	tx, err := db.Begin(t.Context(), stillpoint.WithID("mine"))
	must(t, err)
	if tx.ID() != "mine" {
		t.Errorf("the id is %q", tx.ID())
	}
	must(t, tx.Rollback())
}

func TestATransactionThatRunsOutOfTimeSaysBothWhys(t *testing.T) {
	db, _ := bank(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	late := errors.New("too late")
	err := db.Transact(ctx, func(tx *stillpoint.Tx) error {
		cancel(late) // seen when the next attempt is waited for
		return &stillpoint.Error{Class: stillpoint.ErrConflict, TxID: tx.ID(), Detail: "in the way"}
	})
	if !errors.Is(err, late) || !errors.Is(err, stillpoint.ErrConflict) || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %q", err)
	}
	err = db.Transact(ctx, func(tx *stillpoint.Tx) error { return nil })
	if !errors.Is(err, late) || !strings.HasPrefix(err.Error(), "begin a transaction: ") {
		t.Errorf("got %q", err)
	}
}

func TestARowThatIsNotFoundLeavesNothingOfAnEarlierOne(t *testing.T) {
	db, accounts := bank(t)
	a, found := Account{ID: 7, Balance: 7}, true
	must(t, db.View(t.Context(), func(tx *stillpoint.Tx) error { return tx.GetAll(accounts.IntoIfFound(&a, &found, 99)) }))
	if found || a != (Account{}) {
		t.Errorf("found = %v, %+v", found, a)
	}
}

func TestDirectTakesNoConditionThatMakesAnUpdateAnInsert(t *testing.T) {
	def := stillpoint.Define[Account]("app.plain")
	def.NoTransactions = true
	db := stillpointtest.Open(t, def)
	plain, d := stillpoint.TableOf[Account](db.DB, "app.plain"), db.Direct(t.Context())
	wantClass(t, plain.Update(d, Account{ID: 1}, stillpoint.IfNotExists()), stillpoint.ErrBadArgument)
	wantClass(t, plain.Delete(d, 1, stillpoint.IfNotExists()), stillpoint.ErrBadArgument)
	if _, found, err := plain.Find(d, 1); found || err != nil {
		t.Errorf("found = %v, %v", found, err)
	}
}

func TestATableIsForTheSessionsOfItsDB(t *testing.T) {
	db, accounts := bank(t)
	other, _ := bank(t)
	wantClass(t, other.Transact(t.Context(), func(tx *stillpoint.Tx) error { return accounts.Put(tx, Account{ID: 1}) }), stillpoint.ErrBadArgument)
	if err := db.Transact(t.Context(), func(tx *stillpoint.Tx) error { return accounts.Put(tx, Account{ID: 1}) }); err != nil {
		t.Error(err)
	}
}
