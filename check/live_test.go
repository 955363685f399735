package check_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stillpoint-db/stillpoint"
	"github.com/stillpoint-db/stillpoint/check"
	"github.com/stillpoint-db/stillpoint/config"
)

type account struct {
	ID      int64 `stillpoint:"id,partition"`
	Balance int64 `stillpoint:"balance"`
}

// TestLiveDatabasesUnderLoadGiveNoFalseAlarm checks two databases again and again
// while transactions move money between them, and make and delete accounts.
func TestLiveDatabasesUnderLoadGiveNoFalseAlarm(t *testing.T) {
	ctx := t.Context()
	dir := t.TempDir()
	props := map[string]string{
		"scalar.db.storage": "multi-storage", "scalar.db.multi_storage.storages": "one,two",
		"scalar.db.multi_storage.storages.one.storage": "jdbc", "scalar.db.multi_storage.storages.one.contact_points": "jdbc:sqlite:" + filepath.Join(dir, "one.db"),
		"scalar.db.multi_storage.storages.two.storage": "jdbc", "scalar.db.multi_storage.storages.two.contact_points": "jdbc:sqlite:" + filepath.Join(dir, "two.db"),
		"scalar.db.multi_storage.namespace_mapping": "bank:one,vault:two,coordinator:one", "scalar.db.multi_storage.default_storage": "one",
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	db, err := stillpoint.Open(ctx, stillpoint.Properties(props))
	must(err)
	defer func() { must(db.Close()) }()
	must(db.CreateTables(ctx, stillpoint.Define[account]("bank.accounts"), stillpoint.Define[account]("vault.accounts")))
	bank, vault := stillpoint.TableOf[account](db, "bank.accounts"), stillpoint.TableOf[account](db, "vault.accounts")
	const accounts = 20
	must(db.Transact(ctx, func(tx *stillpoint.Tx) error {
		for id := range int64(accounts) {
			if err := errors.Join(bank.Insert(tx, account{id, 100}), vault.Insert(tx, account{id, 100})); err != nil {
				return err
			}
		}
		return nil
	}))

	cfg, err := config.FromMap(props)
	must(err)
	set, err := config.Open(ctx, cfg, nil)
	must(err)
	defer func() { must(set.Close()) }()
	queries, err := check.ParseQueries([]byte(`{"format":1,"queries":[{"name":"total","sum":["bank.accounts.balance","vault.accounts.balance"],"equals":4000}]}`))
	must(err)
	opts := check.Options{Queries: queries, Scratch: t.TempDir()}

	load, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	var commits atomic.Int64
	for range 4 {
		wg.Go(func() {
			for load.Err() == nil {
				if move(load, db, bank, vault, rand.Int64N(accounts), rand.Int64N(accounts)) == nil {
					commits.Add(1)
				}
			}
		})
	}
	decided := 0
	for i := 0; commits.Load() < 150; i++ {
		rep, err := check.Run(ctx, check.NewDatabases("live", set, ""), opts)
		must(err)
		if rep.Errors != 0 || rep.Warnings != 0 {
			t.Errorf("check %d: %v", i, rep.Violations)
		}
		if s := rep.Queries[0].Status; s == check.QueryFailed {
			t.Errorf("check %d: %+v", i, rep.Queries[0])
		}
		if rep.Queries[0].Status == check.QueryOK {
			decided++
		}
	}
	stop()
	wg.Wait()
	t.Logf("the total came out in %d checks under load", decided)
	must(db.Close())
	rep, err := check.Run(ctx, check.NewDatabases("quiet", set, ""), opts)
	must(err)
	if !rep.Consistent || rep.Queries[0].Status != check.QueryOK || commits.Load() == 0 {
		t.Errorf("after %d commits: %v, %+v", commits.Load(), rep.Violations, rep.Queries)
	}
}

// move moves money; an account that is empty is deleted, one that is not there is
// made.
func move(ctx context.Context, db *stillpoint.DB, bank, vault *stillpoint.Table[account], from, to int64) error {
	return db.Transact(ctx, func(tx *stillpoint.Tx) error {
		a, ok, err := bank.Find(tx, from)
		if err != nil {
			return err
		}
		b, _, err := vault.Find(tx, to)
		if err != nil {
			return err
		}
		if !ok || rand.IntN(3) == 0 { // the other way round
			return pass(tx, vault, bank, b, account{from, a.Balance}, to)
		}
		return pass(tx, bank, vault, a, account{to, b.Balance}, from)
	})
}

func pass(tx *stillpoint.Tx, from, to *stillpoint.Table[account], a, b account, id int64) error {
	amount := min(a.Balance, 1+rand.Int64N(50))
	if amount == 0 {
		return nil
	}
	a.Balance -= amount
	b.Balance += amount
	if err := to.Put(tx, b); err != nil {
		return err
	}
	if a.Balance == 0 {
		return from.Delete(tx, id)
	}
	return from.Put(tx, a)
}

func TestATableThatIsLookedForElsewhereIsNotSaidToBeWithoutTransactions(t *testing.T) {
	w := newWorld(t, openMemory)
	two, err := w.set.Storage("two")
	w.must(err)
	w.must(two.Admin().CreateNamespace(t.Context(), "bank"))
	w.must(two.Admin().CreateTable(t.Context(), w.tables["bank.accounts"]))
	rep := w.check(true, check.Options{})
	var text strings.Builder
	w.must(rep.WriteText(&text))
	if !rep.Consistent || strings.Contains(text.String(), "not transactional") || !strings.Contains(text.String(), "looked for in another storage: not checked") {
		t.Errorf("%s", &text)
	}
}
