// Package txn runs transactions over the records of one storage.Storage, which
// may stand for several databases, by the Consensus Commit protocol: byte for
// byte the one of ScalarDB 3.19, beside whose managers it can work on the same
// tables.
//
//	m, err := txn.Open(ctx, store, txn.Defaults())
//	tx, err := m.Begin(ctx, txn.TxOptions{})
//	row, err := tx.Get(ctx, table, key)                    // nil row: not there
//	for row, err := range tx.Scan(ctx, txn.Scan{Table: t}) // last element may be an error
//	err = tx.Put(ctx, txn.Write{Table: t, Key: k, Set: []txn.Set{{"balance", v}}})
//	err = tx.Commit(ctx)                                   // or tx.Rollback(ctx)
//	err = m.Close(ctx)                                     // waits for records being settled
//
// A Manager is safe for concurrent use; a Tx is for one goroutine. Rows that are
// returned must not be changed. Errors have the classes of package model; those
// of a transaction are *model.Error and carry its id.
//
// The engines' differences are data to it (storage.Capabilities, Storage.Unit);
// it knows none by name. DESIGN.md tells how a transaction is written, why a
// crash at any moment is harmless, and what each case costs.
package txn
