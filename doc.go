// Package stillpoint gives ACID transactions over databases that have none, or
// that do not share one, and keeps them in the layout of ScalarDB 3.19, so that
// Java ScalarDB nodes can work on the same data at the same time.
//
// Import the storages that the program uses beside it, as with database/sql:
//
//	import (
//		"github.com/stillpoint-db/stillpoint"
//		_ "github.com/stillpoint-db/stillpoint/storage/postgres"
//		_ "github.com/stillpoint-db/stillpoint/storage/sqlite"
//	)
//
// Open a DB once, from a ScalarDB properties file, a URL or a map, and share it
// between goroutines. Bind tables to structs with TableOf, or read and write
// rows by column name with DB.Table; both have the same verbs. Run transactions
// with DB.Transact, which runs its function again when another transaction was
// in the way:
//
//	type Account struct {
//		ID      int64 `stillpoint:"id,partition"`
//		Balance int64 `stillpoint:"balance"`
//	}
//
//	accounts := stillpoint.TableOf[Account](db, "bank.accounts")
//	err := db.Transact(ctx, func(tx *stillpoint.Tx) error {
//		a, err := accounts.Get(tx, 1)
//		if err != nil {
//			return err
//		}
//		a.Balance += 100
//		return accounts.Put(tx, a)
//	})
//
// A Tx carries the context of Transact or Begin and is for one goroutine.
//
// Errors have classes to be tested with errors.Is: ErrConflict may be retried
// (Transact has already done so), ErrUnknownOutcome must not be retried blindly,
// ErrConditionNotMet is an answer of the data, ErrBadArgument a mistake of the
// program, ErrNotFound and ErrExists say so, ErrRefused says why something was not
// begun, ErrUnavailable that a database cannot be reached.
package stillpoint
