package stillpoint_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/stillpoint-db/stillpoint"
	_ "github.com/stillpoint-db/stillpoint/storage/sqlite"
)

type Account struct {
	ID      int64  `stillpoint:"id,partition"`
	Owner   string `stillpoint:"owner,index"`
	Balance int64  `stillpoint:"balance"`
}

// openBank is what the examples share: a fresh database with a few accounts.
func openBank(ctx context.Context) (*stillpoint.DB, func(), error) {
	dir, err := os.MkdirTemp("", "stillpoint-example-")
	if err != nil {
		return nil, nil, err
	}
	db, err := stillpoint.Open(ctx, stillpoint.URL("jdbc:sqlite:"+filepath.Join(dir, "bank.db")))
	if err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	done := func() {
		if err := errors.Join(db.Close(), os.RemoveAll(dir)); err != nil {
			log.Print(err)
		}
	}
	if err := db.CreateTables(ctx, stillpoint.Define[Account]("bank.accounts")); err != nil {
		done()
		return nil, nil, err
	}
	accounts := stillpoint.TableOf[Account](db, "bank.accounts")
	err = db.Transact(ctx, func(tx *stillpoint.Tx) error {
		for id, owner := range []string{"ann", "bob", "ann"} {
			if err := accounts.Insert(tx, Account{ID: int64(id), Owner: owner, Balance: 100}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		done()
		return nil, nil, err
	}
	return db, done, nil
}

// A transfer: read two accounts in one round trip, write both, all or nothing.
func Example_transfer() {
	ctx := context.Background()
	db, done, err := openBank(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer done()
	accounts := stillpoint.TableOf[Account](db, "bank.accounts")

	err = db.Transact(ctx, func(tx *stillpoint.Tx) error { // runs again on conflict
		var from, to Account
		if err := tx.GetAll(accounts.Into(&from, 0), accounts.Into(&to, 1)); err != nil {
			return err
		}
		from.Balance -= 30
		to.Balance += 30
		if err := accounts.Put(tx, from); err != nil {
			return err
		}
		return accounts.Put(tx, to)
	})
	if err != nil {
		log.Fatal(err)
	}

	err = db.View(ctx, func(tx *stillpoint.Tx) error { // reads only
		for id := range 2 {
			a, err := accounts.Get(tx, id)
			if err != nil {
				return err
			}
			fmt.Println(a.Owner, a.Balance)
		}
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// ann 70
	// bob 130
}

// Structs for those who have them, rows by column name for those who do not:
// the same table, the same verbs.
func Example_structsAndRows() {
	ctx := context.Background()
	db, done, err := openBank(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer done()
	typed := stillpoint.TableOf[Account](db, "bank.accounts")
	byName := db.Table("bank.accounts")

	err = db.Transact(ctx, func(tx *stillpoint.Tx) error {
		if err := byName.Put(tx, stillpoint.Row{"id": 7, "owner": "eve", "balance": 5}); err != nil {
			return err
		}
		a, err := typed.Get(tx, 7)
		if err != nil {
			return err
		}
		fmt.Printf("%+v\n", a)
		r, err := byName.Get(tx, 0)
		if err != nil {
			return err
		}
		fmt.Println(r["owner"], r["balance"])
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// {ID:7 Owner:eve Balance:5}
	// ann 100
}

type Reading struct {
	Sensor string    `stillpoint:"sensor,partition"`
	At     time.Time `stillpoint:"at,clustering,desc"`
	Value  float64   `stillpoint:"value"`
	Note   *string   `stillpoint:"note"` // NULL is a nil pointer
}

// Scans are range-over-func iterators that hold one page in memory, whatever
// the size of the result.
func Example_scan() {
	ctx := context.Background()
	db, done, err := openBank(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer done()
	if err := db.CreateTables(ctx, stillpoint.Define[Reading]("plant.readings")); err != nil {
		log.Fatal(err)
	}
	readings := stillpoint.TableOf[Reading](db, "plant.readings")
	accounts := stillpoint.TableOf[Account](db, "bank.accounts")

	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	err = db.Transact(ctx, func(tx *stillpoint.Tx) error {
		for i := range 10 {
			r := Reading{Sensor: "boiler", At: noon.Add(time.Duration(i) * time.Minute), Value: float64(i)}
			if err := readings.Insert(tx, r); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}

	err = db.View(ctx, func(tx *stillpoint.Tx) error {
		// The newest first, because the table is declared so.
		for r, err := range readings.Scan(tx, stillpoint.Partition("boiler"),
			stillpoint.From(noon.Add(5*time.Minute)), stillpoint.Where(stillpoint.Col("value").Ne(8.0)), stillpoint.Limit(3)) {
			if err != nil {
				return err
			}
			fmt.Println(r.At.Format("15:04"), r.Value)
		}
		for a, err := range accounts.Scan(tx, stillpoint.ByIndex("owner", "ann")) {
			if err != nil {
				return err
			}
			fmt.Println(a.Owner, a.Balance)
		}
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// 12:09 9
	// 12:07 7
	// 12:06 6
	// ann 100
	// ann 100
}

// One transaction over two databases. The same code runs when one of them is
// PostgreSQL and the other MariaDB: only the properties differ.
func Example_twoDatabases() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "stillpoint-example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	db, err := stillpoint.Open(ctx, stillpoint.Properties{
		"scalar.db.storage":                                     "multi-storage",
		"scalar.db.multi_storage.storages":                      "bank,vault",
		"scalar.db.multi_storage.storages.bank.storage":         "jdbc",
		"scalar.db.multi_storage.storages.bank.contact_points":  "jdbc:sqlite:" + filepath.Join(dir, "bank.db"),
		"scalar.db.multi_storage.storages.vault.storage":        "jdbc",
		"scalar.db.multi_storage.storages.vault.contact_points": "jdbc:sqlite:" + filepath.Join(dir, "vault.db"),
		"scalar.db.multi_storage.namespace_mapping":             "bank:bank,vault:vault,coordinator:bank",
		"scalar.db.multi_storage.default_storage":               "bank",
	})
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	if err := db.CreateTables(ctx, stillpoint.Define[Account]("bank.checking"), stillpoint.Define[Account]("vault.savings")); err != nil {
		log.Fatal(err)
	}
	checking := stillpoint.TableOf[Account](db, "bank.checking") // in bank.db
	savings := stillpoint.TableOf[Account](db, "vault.savings")  // in vault.db

	err = db.Transact(ctx, func(tx *stillpoint.Tx) error {
		if err := checking.Insert(tx, Account{ID: 1, Owner: "ann", Balance: 20}); err != nil {
			return err
		}
		return savings.Insert(tx, Account{ID: 1, Owner: "ann", Balance: 80})
	})
	if err != nil {
		log.Fatal(err)
	}
	err = db.View(ctx, func(tx *stillpoint.Tx) error {
		var c, s Account
		if err := tx.GetAll(checking.Into(&c, 1), savings.Into(&s, 1)); err != nil {
			return err
		}
		fmt.Println(c.Balance + s.Balance)
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// 100
}

// What a program does with each class of error.
func Example_conflictsAndUnknownOutcomes() {
	ctx := context.Background()
	db, done, err := openBank(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer done()
	accounts := stillpoint.TableOf[Account](db, "bank.accounts")

	withdraw := func(amount int64) error {
		return db.Transact(ctx, func(tx *stillpoint.Tx) error {
			a, err := accounts.Get(tx, 0)
			if err != nil {
				return err
			}
			a.Balance -= amount
			return accounts.Update(tx, a, stillpoint.If(stillpoint.Col("balance").Ge(amount)))
		})
	}

	for _, amount := range []int64{60, 60} {
		err := withdraw(amount)
		var failed *stillpoint.Error
		switch {
		case err == nil:
			fmt.Println("withdrawn", amount)
		case errors.Is(err, stillpoint.ErrConditionNotMet):
			fmt.Println("not enough money for", amount)
		case errors.Is(err, stillpoint.ErrUnknownOutcome) && errors.As(err, &failed):
			// Never retried by Transact: it may have happened. Ask.
			state, err := db.State(ctx, failed.TxID)
			fmt.Println("settled as", state, err)
		case errors.Is(err, stillpoint.ErrConflict):
			fmt.Println("too busy: Transact gave up after its retries")
		default:
			log.Fatal(err)
		}
	}
	// Output:
	// withdrawn 60
	// not enough money for 60
}

// A schema from code: from the tags of a struct, or spelt out.
func ExampleDB_CreateTables() {
	ctx := context.Background()
	db, done, err := openBank(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer done()

	err = db.CreateTables(ctx,
		stillpoint.Define[Reading]("plant.readings"),
		stillpoint.TableDef{
			Name: "plant.events",
			Columns: []stillpoint.ColumnDef{
				{Name: "plant", Type: stillpoint.Text},
				{Name: "at", Type: stillpoint.Timestamp},
				{Name: "payload", Type: stillpoint.Blob},
			},
			PartitionKey:  []string{"plant"},
			ClusteringKey: []stillpoint.ClusteringDef{{Column: "at", Order: stillpoint.Desc}},
		})
	if err != nil {
		log.Fatal(err)
	}
	// A second run finds everything in place and changes nothing.
	fmt.Println(db.CreateTables(ctx, stillpoint.Define[Reading]("plant.readings")))
	// Output:
	// <nil>
}
