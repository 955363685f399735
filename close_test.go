package stillpoint_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stillpoint-db/stillpoint"
	"github.com/stillpoint-db/stillpoint/stillpointtest"
	"github.com/stillpoint-db/stillpoint/txn"
)

func TestHooksHearOfSteps(t *testing.T) {
	var reads int
	var path string
	db, done, err := openBankWith(t, stillpoint.WithHooks(stillpoint.Hooks{
		Begin: func(context.Context, string) context.Context { return nil },
		Steps: txn.Hooks{Read: func(txn.Event) { reads++ }, CommitPoint: func(e txn.Event) { path = e.Path }},
	}))
	must(t, err)
	defer done()
	reads = 0
	must(t, db.Transact(t.Context(), func(tx *stillpoint.Tx) error {
		accounts := stillpoint.TableOf[Account](db, "bank.accounts")
		if _, _, err := accounts.Find(tx, 1); err != nil {
			return err
		}
		return accounts.Put(tx, Account{ID: 1})
	}))
	if reads != 1 || path != "one-phase" {
		t.Errorf("%d reads, committed by %q", reads, path)
	}
}

func TestAPanicInAHookDoesNotKeepCloseWaiting(t *testing.T) {
	for name, hooks := range map[string]stillpoint.Hooks{
		"Begin": {Begin: func(context.Context, string) context.Context { panic("boom") }},
		"End":   {End: func(context.Context, string, time.Duration, bool, error) { panic("boom") }},
	} {
		t.Run(name, func(t *testing.T) {
			db, err := stillpoint.Open(t.Context(), stillpoint.Properties{"scalar.db.storage": "memory", "scalar.db.contact_points": t.Name()}, stillpoint.WithHooks(hooks))
			must(t, err)
			must(t, db.CreateTables(t.Context()))
			func() {
				defer func() {
					if r := recover(); r != "boom" {
						t.Errorf("recovered %v", r)
					}
				}()
				_ = db.View(t.Context(), func(*stillpoint.Tx) error { return nil })
			}()
			must(t, db.Close())
		})
	}
}

// TestCloseWaitsForHooksAndForAnotherClose: who closes what the hooks write to
// after Close must not be early.
func TestCloseWaitsForHooksAndForAnotherClose(t *testing.T) {
	inside, leave := make(chan struct{}), make(chan struct{})
	db, err := stillpoint.Open(t.Context(), stillpoint.Properties{"scalar.db.storage": "memory", "scalar.db.contact_points": t.Name()},
		stillpoint.WithHooks(stillpoint.Hooks{End: func(context.Context, string, time.Duration, bool, error) { close(inside); <-leave }}))
	must(t, err)
	must(t, db.CreateTables(t.Context()))
	go func() { _ = db.View(context.Background(), func(*stillpoint.Tx) error { return nil }) }()
	<-inside
	closed := make(chan error, 2)
	for range 2 {
		go func() { closed <- db.Close() }()
	}
	for { // until Close has begun
		if err := db.Flush(t.Context()); errors.Is(err, stillpoint.ErrUnavailable) {
			break
		}
	}
	select {
	case <-closed:
		t.Error("Close did not wait for a hook under way")
	case <-time.After(100 * time.Millisecond):
	}
	close(leave)
	must(t, <-closed)
	must(t, <-closed)
}

func TestEverythingIsRefusedAfterClose(t *testing.T) {
	def := stillpoint.Define[Account]("app.plain")
	def.NoTransactions = true
	db := stillpointtest.Open(t, def)
	plain, d := stillpoint.TableOf[Account](db.DB, "app.plain"), db.Direct(t.Context())
	must(t, plain.Put(d, Account{ID: 1}))
	must(t, db.Close())
	for name, do := range map[string]func() error{
		"Transact":     func() error { return db.Transact(t.Context(), func(*stillpoint.Tx) error { return nil }) },
		"State":        func() error { _, err := db.State(t.Context(), "x"); return err },
		"Recover":      func() error { _, err := db.Recover(t.Context()); return err },
		"CreateTables": func() error { return db.CreateTables(t.Context()) },
		"Flush":        func() error { return db.Flush(t.Context()) },
		"Direct, put":  func() error { return plain.Put(d, Account{ID: 2}) },
		"Direct, get":  func() error { _, err := plain.Get(d, 1); return err },
		"Direct, scan": func() error {
			for _, err := range plain.Scan(d) {
				return err
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			err := do()
			wantClass(t, err, stillpoint.ErrUnavailable)
			if err != nil && !strings.Contains(err.Error(), "the DB is closed") {
				t.Error(err)
			}
		})
	}
}
