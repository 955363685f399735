package stillpoint_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stillpoint-db/stillpoint"
	"github.com/stillpoint-db/stillpoint/internal/marker"
	"github.com/stillpoint-db/stillpoint/stillpointtest"
	"github.com/stillpoint-db/stillpoint/storage"
)

func bank(t testing.TB) (*stillpointtest.DB, *stillpoint.Table[Account]) {
	t.Helper()
	db := stillpointtest.Open(t, stillpoint.Define[Account]("bank.accounts"))
	accounts := stillpoint.TableOf[Account](db.DB, "bank.accounts")
	must(t, db.Transact(t.Context(), func(tx *stillpoint.Tx) error {
		return accounts.Insert(tx, Account{ID: 1, Owner: "ann", Balance: 100})
	}))
	return db, accounts
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantClass(t testing.TB, err, class error) {
	t.Helper()
	if !errors.Is(err, class) {
		t.Errorf("got error %v; want class %q", err, class)
	}
}

func balance(t testing.TB, db *stillpointtest.DB, accounts *stillpoint.Table[Account]) int64 {
	t.Helper()
	var a Account
	must(t, db.View(t.Context(), func(tx *stillpoint.Tx) (err error) {
		a, err = accounts.Get(tx, 1)
		return err
	}))
	return a.Balance
}

func TestTransactRunsAgainOnConflictUpToItsBound(t *testing.T) {
	db, accounts := bank(t)
	runs := 0
	add := func(tx *stillpoint.Tx) error {
		runs++
		a, err := accounts.Get(tx, 1)
		if err != nil {
			return err
		}
		a.Balance++
		return accounts.Put(tx, a)
	}
	db.Faults.ConflictNext(2)
	must(t, db.Transact(t.Context(), add))
	if runs != 3 || balance(t, db, accounts) != 101 {
		t.Errorf("%d runs, balance %d; want 3 and 101", runs, balance(t, db, accounts))
	}
	runs = 0
	db.Faults.ConflictNext(10)
	err := db.Transact(t.Context(), add, stillpoint.Attempts(4))
	wantClass(t, err, stillpoint.ErrConflict)
	if runs != 4 {
		t.Errorf("%d runs; want 4", runs)
	}
}

func TestTransactNeverRunsAgainAfterAnUnknownOutcome(t *testing.T) {
	for _, tc := range []struct {
		name  string
		fault func(*stillpointtest.Faults)
		want  stillpoint.State
		money int64
	}{
		{"it happened", func(f *stillpointtest.Faults) { f.LoseAnswerNext(1) }, stillpoint.Committed, 101},
		{"it did not", func(f *stillpointtest.Faults) { f.LoseRequestNext(1) }, stillpoint.Undecided, 100},
	} {
		t.Run(tc.name, func(t *testing.T) {
			db, accounts := bank(t)
			runs := 0
			tc.fault(db.Faults)
			err := db.Transact(t.Context(), func(tx *stillpoint.Tx) error {
				runs++
				a, err := accounts.Get(tx, 1)
				if err != nil {
					return err
				}
				a.Balance++
				return accounts.Put(tx, a)
			})
			wantClass(t, err, stillpoint.ErrUnknownOutcome)
			var failed *stillpoint.Error
			if runs != 1 || !errors.As(err, &failed) || failed.TxID == "" {
				t.Fatalf("%d runs, error %#v; want one run and an id to ask with", runs, err)
			}
			state, err := db.State(t.Context(), failed.TxID)
			if err != nil || state != tc.want {
				t.Errorf("State = %v, %v; want %v", state, err, tc.want)
			}
			if got := balance(t, db, accounts); got != tc.money {
				t.Errorf("balance %d; want %d", got, tc.money)
			}
		})
	}
}

// TestTheStateOfATransactionThatDeletesFirstIsKnown: a deleted row tells nothing, a
// written one does.
func TestTheStateOfATransactionThatDeletesFirstIsKnown(t *testing.T) {
	db, accounts := bank(t)
	db.Faults.LoseAnswerNext(1)
	err := db.Transact(t.Context(), func(tx *stillpoint.Tx) error {
		if err := accounts.Delete(tx, 1); err != nil {
			return err
		}
		return accounts.Put(tx, Account{ID: 2, Balance: 5})
	})
	wantClass(t, err, stillpoint.ErrUnknownOutcome)
	var failed *stillpoint.Error
	if !errors.As(err, &failed) {
		t.Fatal(err)
	}
	if state, err := db.State(t.Context(), failed.TxID); err != nil || state != stillpoint.Committed {
		t.Errorf("State = %v, %v", state, err)
	}
}

func TestAnErrorOrPanicOfTheFunctionRollsBack(t *testing.T) {
	db, accounts := bank(t)
	oops := errors.New("oops")
	err := db.Transact(t.Context(), func(tx *stillpoint.Tx) error {
		if err := accounts.Put(tx, Account{ID: 1, Balance: 0}); err != nil {
			return err
		}
		return oops
	})
	if err != oops {
		t.Errorf("got %v; want the function's own error", err)
	}
	func() {
		defer func() {
			if r := recover(); r != "boom" {
				t.Errorf("recovered %v; want the function's own panic", r)
			}
		}()
		_ = db.Transact(t.Context(), func(tx *stillpoint.Tx) error {
			if err := accounts.Put(tx, Account{ID: 1, Balance: 0}); err != nil {
				return err
			}
			panic("boom")
		})
	}()
	if got := balance(t, db, accounts); got != 100 {
		t.Errorf("balance %d; want 100", got)
	}
}

// TestAPanicInACommitDoesNotKeepCloseWaiting: what is handed in to be called at a
// commit may panic, too.
func TestAPanicInACommitDoesNotKeepCloseWaiting(t *testing.T) {
	db, err := stillpoint.Open(t.Context(), stillpoint.Properties{"scalar.db.storage": "memory", "scalar.db.contact_points": t.Name()},
		stillpoint.WithCommitInterceptor(func(context.Context, string, func() error) error { panic("boom") }))
	must(t, err)
	must(t, db.CreateTables(t.Context(), stillpoint.Define[Account]("bank.accounts")))
	func() {
		defer func() {
			if r := recover(); r != "boom" {
				t.Errorf("recovered %v", r)
			}
		}()
		_ = db.Transact(t.Context(), func(tx *stillpoint.Tx) error {
			return stillpoint.TableOf[Account](db, "bank.accounts").Put(tx, Account{ID: 1})
		})
	}()
	must(t, db.Close())
}

func TestCommitWithinTransactDoesNothingAndSaysSo(t *testing.T) {
	db, accounts := bank(t)
	take := func(tx *stillpoint.Tx) error { return accounts.Put(tx, Account{ID: 1, Owner: "ann", Balance: 1}) }
	err := db.Transact(t.Context(), func(tx *stillpoint.Tx) error { return errors.Join(take(tx), tx.Commit()) })
	wantClass(t, err, stillpoint.ErrBadArgument)
	if got := balance(t, db, accounts); got != 100 {
		t.Errorf("balance %d after a failed Transact; want 100", got)
	}
	must(t, db.Transact(t.Context(), func(tx *stillpoint.Tx) error {
		_ = tx.Commit()
		return take(tx)
	}))
	if got := balance(t, db, accounts); got != 1 {
		t.Errorf("balance %d; want 1", got)
	}
	err = db.Transact(t.Context(), func(tx *stillpoint.Tx) error { return errors.Join(take(tx), tx.Rollback()) })
	wantClass(t, err, stillpoint.ErrBadArgument) // so that nobody takes it for committed
}

func TestNilOptionsAndReadsAreBadArguments(t *testing.T) {
	db, accounts := bank(t)
	var a Account
	for name, do := range map[string]func(tx *stillpoint.Tx) error{
		"option":         func(tx *stillpoint.Tx) error { return accounts.Put(tx, a, nil) },
		"read":           func(tx *stillpoint.Tx) error { return tx.GetAll(accounts.Into(&a, 1), nil) },
		"place of a row": func(tx *stillpoint.Tx) error { return tx.GetAll(accounts.Into(nil, 1)) },
		"row":            func(tx *stillpoint.Tx) error { return db.Table("bank.accounts").Put(tx, nil) },
	} {
		t.Run(name, func(t *testing.T) { wantClass(t, db.Transact(t.Context(), do), stillpoint.ErrBadArgument) })
	}
}

func TestMessagesSayWhatHelps(t *testing.T) {
	db, accounts := bank(t)
	for name, c := range map[string]struct {
		do             func(tx *stillpoint.Tx) error
		want, unwanted string
	}{
		"insert of a row that exists": {func(tx *stillpoint.Tx) error { return accounts.Insert(tx, Account{ID: 1}) }, "use Put", "run the transaction again"},
		"row without its key": {func(tx *stillpoint.Tx) error { return db.Table("bank.accounts").Put(tx, stillpoint.Row{"balance": 1}) },
			"key column id of bank.accounts is given no value", "DataType"},
		"a word like no column": {func(tx *stillpoint.Tx) error {
			return db.Table("bank.accounts").Put(tx, stillpoint.Row{"id": 1, "zz": 1})
		}, `no column "zz"`, "did you mean"},
		"a table that is not there": {func(tx *stillpoint.Tx) error {
			_, err := stillpoint.TableOf[Account](db.DB, "bank.acounts").Get(tx, 1)
			return err
		}, `table bank.acounts is not in storage "db" (memory). Did you mean "bank.accounts"?`, "definition"},
		"a table like no other": {func(tx *stillpoint.Tx) error {
			_, err := stillpoint.TableOf[Account](db.DB, "bank.reservations").Get(tx, 1)
			return err
		}, "Tables there: bank.accounts. Create it with", "did you mean"},
		"a key with too many values": {func(tx *stillpoint.Tx) error { _, err := accounts.Get(tx, 1, 2); return err },
			"the key of bank.accounts is (id), and 2 values are given", "columns"},
		"scan of what was written": {func(tx *stillpoint.Tx) error {
			if err := accounts.Put(tx, Account{ID: 1}); err != nil {
				return err
			}
			for _, err := range accounts.Scan(tx) {
				return err
			}
			return nil
		}, "scan before writing", "scan transaction"},
	} {
		t.Run(name, func(t *testing.T) {
			err := db.Transact(t.Context(), c.do)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v; want %q in it", err, c.want)
			}
			if _, after, ok := strings.Cut(err.Error(), c.unwanted); ok && (c.unwanted != "scan transaction" || strings.Contains(after, c.unwanted)) {
				t.Errorf("%v; want no %q", err, c.unwanted)
			}
		})
	}
}

func TestIfWithoutConditionsAsksThatTheRowExists(t *testing.T) {
	db, accounts := bank(t)
	put := func(id int64) error {
		return db.Transact(t.Context(), func(tx *stillpoint.Tx) error {
			return accounts.Put(tx, Account{ID: id}, stillpoint.If())
		})
	}
	must(t, put(1))
	wantClass(t, put(2), stillpoint.ErrConditionNotMet)
}

func TestATransactionWithinATransactionIsAnError(t *testing.T) {
	db, accounts := bank(t)
	nothing := func(*stillpoint.Tx) error { return nil }
	err := db.Transact(t.Context(), func(tx *stillpoint.Tx) error { return db.Transact(t.Context(), nothing) })
	wantClass(t, err, stillpoint.ErrBadArgument)
	err = db.Transact(t.Context(), func(tx *stillpoint.Tx) error {
		var err error
		var wg sync.WaitGroup
		wg.Go(func() { err = db.View(tx.Context(), nothing) })
		wg.Wait()
		return err
	})
	wantClass(t, err, stillpoint.ErrBadArgument)

	other, _ := bank2(t)
	must(t, db.Transact(t.Context(), func(tx *stillpoint.Tx) error { return other.Transact(t.Context(), nothing) }))
	must(t, db.Transact(t.Context(), nothing)) // and nothing of it sticks
	_ = accounts
}

func bank2(t *testing.T) (*stillpoint.DB, func()) {
	t.Helper()
	db, done, err := openBank(t.Context())
	must(t, err)
	t.Cleanup(done)
	return db, done
}

func TestViewRefusesWrites(t *testing.T) {
	db, accounts := bank(t)
	err := db.View(t.Context(), func(tx *stillpoint.Tx) error { return accounts.Put(tx, Account{ID: 1}) })
	wantClass(t, err, stillpoint.ErrBadArgument)
}

func TestVerbsSayWhatIsWrong(t *testing.T) {
	db, accounts := bank(t)
	row := db.Table("bank.accounts")
	for name, tc := range map[string]struct {
		class error
		do    func(tx *stillpoint.Tx) error
	}{
		"get of a missing row":    {stillpoint.ErrNotFound, func(tx *stillpoint.Tx) error { _, err := accounts.Get(tx, 9); return err }},
		"update of a missing row": {stillpoint.ErrNotFound, func(tx *stillpoint.Tx) error { return accounts.Update(tx, Account{ID: 9}) }},
		"insert of a row that is there": {stillpoint.ErrExists, func(tx *stillpoint.Tx) error {
			return accounts.Insert(tx, Account{ID: 1})
		}},
		"condition that does not hold": {stillpoint.ErrConditionNotMet, func(tx *stillpoint.Tx) error {
			return accounts.Put(tx, Account{ID: 1}, stillpoint.If(stillpoint.Col("balance").Gt(1000)))
		}},
		"delete under a false condition": {stillpoint.ErrConditionNotMet, func(tx *stillpoint.Tx) error {
			return accounts.Delete(tx, 1, stillpoint.If(stillpoint.Col("owner").Eq("bob")))
		}},
		"a column that is not there": {stillpoint.ErrBadArgument, func(tx *stillpoint.Tx) error {
			return row.Put(tx, stillpoint.Row{"id": 1, "balanse": 5})
		}},
		"a value of the wrong type": {stillpoint.ErrBadArgument, func(tx *stillpoint.Tx) error {
			return row.Put(tx, stillpoint.Row{"id": 1, "balance": "much"})
		}},
		"a row without its key": {stillpoint.ErrBadArgument, func(tx *stillpoint.Tx) error {
			return row.Put(tx, stillpoint.Row{"balance": 5})
		}},
		"a table that is not there": {stillpoint.ErrNotFound, func(tx *stillpoint.Tx) error {
			_, err := stillpoint.TableOf[Account](db.DB, "bank.acounts").Get(tx, 1)
			return err
		}},
		"a key with too many values": {stillpoint.ErrBadArgument, func(tx *stillpoint.Tx) error {
			_, err := accounts.Get(tx, 1, 2)
			return err
		}},
		"a scan by a column without index": {stillpoint.ErrBadArgument, func(tx *stillpoint.Tx) error {
			for _, err := range accounts.Scan(tx, stillpoint.ByIndex("balance", 1)) {
				return err
			}
			return nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			err := db.Transact(t.Context(), tc.do)
			wantClass(t, err, tc.class)
			if err != nil {
				t.Log(err)
			}
		})
	}
}

func TestCloseWaitsForTransactionsAndRefusesNewOnes(t *testing.T) {
	db, done, err := openBank(context.Background())
	must(t, err)
	defer done()
	inside, leave, closed := make(chan struct{}), make(chan struct{}), make(chan error)
	committed := make(chan error, 1)
	go func() {
		committed <- db.Transact(context.Background(), func(tx *stillpoint.Tx) error {
			close(inside)
			<-leave
			return stillpoint.TableOf[Account](db, "bank.accounts").Put(tx, Account{ID: 5})
		})
	}()
	<-inside
	go func() { closed <- db.Close() }()
	for { // until Close has begun
		tx, err := db.Begin(context.Background())
		if errors.Is(err, stillpoint.ErrUnavailable) {
			break
		}
		must(t, err)
		must(t, tx.Rollback())
	}
	select {
	case <-closed:
		t.Fatal("Close did not wait for a transaction under way")
	default:
	}
	close(leave)
	must(t, <-committed)
	must(t, <-closed)
}

func TestHooksSeeEveryTransaction(t *testing.T) {
	type key struct{}
	var log []string
	db, done, err := openBankWith(t, stillpoint.WithHooks(stillpoint.Hooks{
		Begin: func(ctx context.Context, id string) context.Context { return context.WithValue(ctx, key{}, id) },
		End: func(ctx context.Context, id string, took time.Duration, committed bool, err error) {
			log = append(log, fmt.Sprint(ctx.Value(key{}) == id, committed, err))
		},
	}))
	must(t, err)
	defer done()
	log = nil
	must(t, db.View(t.Context(), func(*stillpoint.Tx) error { return nil }))
	_ = db.Transact(t.Context(), func(*stillpoint.Tx) error { return errors.New("no") })
	if got := fmt.Sprint(log); got != "[true true <nil> true false <nil>]" {
		t.Errorf("hooks saw %s", got)
	}
}

func openBankWith(t *testing.T, opts ...stillpoint.Option) (*stillpoint.DB, func(), error) {
	db, err := stillpoint.Open(t.Context(), stillpoint.URL("jdbc:sqlite:"+t.TempDir()+"/bank.db"), opts...)
	if err != nil {
		return nil, nil, err
	}
	return db, func() { must(t, db.Close()) }, db.CreateTables(t.Context(), stillpoint.Define[Account]("bank.accounts"))
}

func TestScansOverAllPartitionsObeyTheConfiguration(t *testing.T) {
	const prefix = "scalar.db.cross_partition_scan."
	for name, tc := range map[string]struct {
		off  string
		opts []stillpoint.ScanOption
	}{
		"filter": {prefix + "filtering.enabled", []stillpoint.ScanOption{stillpoint.Where(stillpoint.Col("balance").Gt(1))}},
		"order":  {prefix + "ordering.enabled", []stillpoint.ScanOption{stillpoint.OrderBy("balance", stillpoint.Desc)}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, allowed := range []bool{true, false} {
				db, done, err := openBankWith(t, stillpoint.WithProperty(tc.off, fmt.Sprint(allowed)))
				must(t, err)
				err = db.View(t.Context(), func(tx *stillpoint.Tx) error {
					for _, err := range stillpoint.TableOf[Account](db, "bank.accounts").Scan(tx, tc.opts...) {
						return err
					}
					return nil
				})
				if allowed {
					must(t, err)
				} else {
					wantClass(t, err, stillpoint.ErrBadArgument)
				}
				done()
			}
		})
	}
}

func TestAHalfRestoredDatabaseIsRefused(t *testing.T) {
	file := t.TempDir() + "/bank.db"
	st, err := storage.Open(t.Context(), storage.Config{Name: "db", Driver: "sqlite", URL: "jdbc:sqlite:" + file})
	must(t, err)
	must(t, st.Admin().CreateNamespace(t.Context(), marker.TableName.Namespace))
	must(t, st.Admin().CreateTable(t.Context(), marker.Table()))
	must(t, st.Close())
	_, err = stillpoint.Open(t.Context(), stillpoint.URL("jdbc:sqlite:"+file))
	wantClass(t, err, stillpoint.ErrRefused)
}
