package txn_test

import (
	"errors"
	"testing"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/txn"
)

// TestValidation: a SERIALIZABLE transaction reads in one way, another one
// changes something, and the first commits a write elsewhere.
func TestValidation(t *testing.T) {
	scan := func(s txn.Scan, most int) func(*world, *txn.Tx) {
		return func(w *world, tx *txn.Tx) {
			n := 0
			for _, err := range tx.Scan(ctx, s) {
				w.must(err)
				if n++; n == most {
					break
				}
			}
		}
	}
	get := func(no int) func(*world, *txn.Tx) {
		return func(w *world, tx *txn.Tx) {
			_, err := tx.Get(ctx, accountsName, at(no))
			w.must(err)
		}
	}
	limited := inBranch()
	limited.Limit = 2
	reversed := limited
	reversed.Reverse = true
	ann := inBranch(model.Condition{Column: "owner", Op: model.Eq, Value: model.TextValue("ann")})
	table := txn.Scan{Table: accountsName, Kind: storage.ScanTable}
	reads := map[string]func(*world, *txn.Tx){
		"get 1": get(1), "get 9": get(9), "partition": scan(inBranch(), 0), "two of the partition": scan(inBranch(), 2), "limit 2": scan(limited, 0),
		"last two": scan(reversed, 0), "owner ann": scan(ann, 0), "index ann": scan(byOwner("ann"), 0), "table": scan(table, 0),
		"one of the partition, then get 3": func(w *world, tx *txn.Tx) { scan(inBranch(), 1)(w, tx); get(3)(w, tx) },
	}
	writes := map[string]func(*txn.Tx) error{
		"update 1": putOne(1),
		"update 3": putIn(accountsName, 3, 1),
		"insert 0": func(tx *txn.Tx) error { return tx.Insert(ctx, put(accountsName, 0, 1)) },
		"insert 9": func(tx *txn.Tx) error { return tx.Insert(ctx, put(accountsName, 9, 1)) },
		"delete 4": func(tx *txn.Tx) error { return tx.Delete(ctx, txn.Write{Table: accountsName, Key: at(4)}) },
		"owner of 4": func(tx *txn.Tx) error {
			return tx.Put(ctx, txn.Write{Table: accountsName, Key: at(4), Set: owner("bob")})
		},
		"reinsert 1": func(tx *txn.Tx) error {
			if err := do(tx, "delete"); err != nil {
				return err
			}
			return tx.Insert(ctx, txn.Write{Table: accountsName, Key: at(1), Set: append(owner("ann"), balance(100)...)})
		},
	}
	unharmed := map[string]map[string]bool{
		"get 1":                            {"update 3": true, "insert 0": true, "insert 9": true, "delete 4": true, "owner of 4": true},
		"get 9":                            {"update 1": true, "update 3": true, "insert 0": true, "delete 4": true, "owner of 4": true, "reinsert 1": true},
		"two of the partition":             {"update 3": true, "insert 9": true, "delete 4": true, "owner of 4": true},
		"limit 2":                          {"update 3": true, "insert 9": true, "delete 4": true, "owner of 4": true},
		"last two":                         {"update 1": true, "insert 0": true, "reinsert 1": true},
		"owner ann":                        {"insert 0": true, "insert 9": true}, // they have no owner
		"index ann":                        {"insert 0": true, "insert 9": true},
		"one of the partition, then get 3": {"insert 9": true, "delete 4": true, "owner of 4": true},
	}
	for readName, read := range reads {
		for writeName, write := range writes {
			for _, page := range []int{1, 1000} {
				w := newWorld(t, worldOptions{})
				c, other := w.open(serializable, func(o *txn.Options) { o.PageSize = page }), w.open()
				other.fill(4, accountsName)
				tx := c.begin()
				read(w, tx)
				change := other.begin()
				w.must(write(change))
				w.must(change.Commit(ctx))
				w.must(tx.Put(ctx, put(vaultName, 1, 1)))
				err := tx.Commit(ctx)
				if ok := unharmed[readName][writeName]; ok && err != nil || !ok && !errors.Is(err, model.ErrConflict) {
					t.Errorf("%s, then %s, pages of %d: %v", readName, writeName, page, err)
				}
				w.must(c.Flush(ctx))
			}
		}
	}
}

func TestSerializableTransactionsPassTheirOwnValidation(t *testing.T) {
	for _, two := range []bool{false, true} {
		for _, page := range []int{1, 1000} {
			w := newWorld(t, worldOptions{two: two})
			c := w.open(serializable, func(o *txn.Options) { o.PageSize = page })
			c.fill(5, accountsName, vaultName)
			tx := c.begin()
			for _, s := range []txn.Scan{inBranch(), byOwner("ann"), {Table: accountsName, Kind: storage.ScanTable, Limit: 3}} {
				_, err := numbers(tx, s)
				w.must(err)
			}
			_, err := tx.Get(ctx, accountsName, at(2))
			w.must(err)
			_, err = tx.Get(ctx, accountsName, at(9))
			w.must(err)
			w.must(tx.Put(ctx, txn.Write{Table: accountsName, Key: at(1), Set: owner("bob")}))
			w.must(tx.Delete(ctx, txn.Write{Table: accountsName, Key: at(2)}))
			w.must(tx.Insert(ctx, txn.Write{Table: accountsName, Key: at(0), Set: owner("ann")}))
			w.must(tx.Delete(ctx, txn.Write{Table: accountsName, Key: at(8)}))
			w.must(tx.Put(ctx, put(vaultName, 3, 1)))
			if err := tx.Commit(ctx); err != nil {
				t.Errorf("two %v, pages of %d: %v", two, page, err)
			}
			w.must(c.Flush(ctx))
		}
	}
}

func TestAReadOnlySerializableTransactionIsValidated(t *testing.T) {
	w := newWorld(t, worldOptions{})
	c, other := w.open(serializable), w.open()
	c.fill(3, accountsName)
	for _, scan := range []bool{true, false} {
		tx := c.begin(readOnly)
		if scan {
			_, err := numbers(tx, inBranch())
			w.must(err)
		} else {
			for i := 1; i <= 2; i++ {
				_, err := tx.Get(ctx, accountsName, at(i))
				w.must(err)
			}
		}
		change := other.begin()
		rmw(w, change, accountsName, 2)
		w.must(change.Commit(ctx))
		w.want(tx.Commit(ctx), model.ErrConflict)
	}
}

// TestARowThatCameAndWentIsNoticed: a transaction reads that a row is not there and
// then what another one wrote together with that row; while it validates, a third
// one takes the row away again, together with something else that was read. No
// moment showed all of it, at whatever point of the validation that happens.
func TestARowThatCameAndWentIsNoticed(t *testing.T) {
	side := model.Key{Partition: []model.Value{model.TextValue("side")}, Clustering: at(1).Clustering}
	get := func(w *world, tx *txn.Tx, key model.Key) {
		_, err := tx.Get(ctx, accountsName, key)
		w.must(err)
	}
	scan := func(w *world, tx *txn.Tx, s txn.Scan) {
		_, err := numbers(tx, s)
		w.must(err)
	}
	inVault := inBranch()
	inVault.Table = vaultName
	for name, c := range map[string]struct {
		page          int
		before, after func(*world, *txn.Tx)
		row           model.TableName // of number 9
		from          []int           // the accounts that are there
		first         bool            // account 1 changes when the row comes
		inserts       int             // accounts that the transaction inserts itself
	}{
		"a read, and a scan": {page: 1000, row: accountsName, from: []int{1},
			before: func(w *world, tx *txn.Tx) { get(w, tx, at(9)) }, after: func(w *world, tx *txn.Tx) { scan(w, tx, inBranch()) }},
		"an empty scan, and another one": {page: 1000, row: vaultName, from: []int{1}, first: true,
			before: func(w *world, tx *txn.Tx) {
				none := inVault
				none.Where = model.Predicate{{{Column: "note", Op: model.Eq, Value: model.TextValue("9")}}}
				scan(w, tx, none)
			}, after: func(w *world, tx *txn.Tx) { scan(w, tx, inBranch()) }},
		"two scans, and a read": {page: 1000, row: vaultName, from: []int{1},
			before: func(w *world, tx *txn.Tx) { scan(w, tx, inBranch()); scan(w, tx, inVault) }, after: func(w *world, tx *txn.Tx) { get(w, tx, side) }},
		"two scans the other way round, and a read": {page: 1000, row: vaultName, from: []int{1},
			before: func(w *world, tx *txn.Tx) { scan(w, tx, inVault); scan(w, tx, inBranch()) }, after: func(w *world, tx *txn.Tx) { get(w, tx, side) }},
		"a scan of several pages, and a read": {page: 1, row: accountsName, from: []int{1, 2, 10},
			before: func(w *world, tx *txn.Tx) { scan(w, tx, inBranch()) }, after: func(w *world, tx *txn.Tx) { get(w, tx, side) }},
		"a scan of one page, a read, and rows of its own that make it two": {page: 3, row: accountsName, from: []int{1}, inserts: 3,
			before: func(w *world, tx *txn.Tx) { scan(w, tx, inBranch()) }, after: func(w *world, tx *txn.Tx) { get(w, tx, side) }},
	} {
		t.Run(name, func(t *testing.T) {
			for moment := 0; ; moment++ {
				w := newWorld(t, worldOptions{})
				reader, other := w.open(serializable, func(o *txn.Options) { o.PageSize, o.Parallelism = c.page, 1 }), w.open(synchronous)
				setup := other.begin()
				for _, no := range c.from {
					w.must(setup.Insert(ctx, put(accountsName, no, 1)))
				}
				w.must(setup.Insert(ctx, put(vaultName, 1, 1)))
				w.must(setup.Insert(ctx, txn.Write{Table: accountsName, Key: side, Set: balance(1)}))
				w.must(setup.Commit(ctx))

				tx := reader.begin(func(o *txn.TxOptions) { o.ReadOnly = c.inserts == 0 })
				c.before(w, tx)
				comes := other.begin()
				w.must(comes.Insert(ctx, txn.Write{Table: c.row, Key: at(9), Set: append(balance(9), txn.Set{Column: "note", Value: model.TextValue("9")})}))
				w.must(comes.Put(ctx, txn.Write{Table: accountsName, Key: side, Set: balance(2)}))
				if c.first {
					w.must(comes.Put(ctx, put(accountsName, 1, 2)))
				}
				w.must(comes.Commit(ctx))
				c.after(w, tx)
				for i := range c.inserts {
					w.must(tx.Insert(ctx, put(accountsName, 2+i, 1)))
				}

				looks := 0
				goes := func() {
					if looks++; looks != moment+1 {
						return
					}
					tx := other.begin()
					w.must(tx.Delete(ctx, txn.Write{Table: c.row, Key: at(9)}))
					w.must(tx.Put(ctx, put(accountsName, 1, 3)))
					w.must(tx.Commit(ctx))
				}
				reader.onScan(func(next func() (storage.Page, error)) (storage.Page, error) { goes(); return next() })
				reader.onGet(func(_ []storage.Get, next func() ([]*model.Row, error)) ([]*model.Row, error) { goes(); return next() })
				if err := tx.Commit(ctx); !errors.Is(err, model.ErrConflict) {
					t.Errorf("gone before look %d of the validation: %v", moment+1, err)
				}
				if looks <= moment {
					break
				}
			}
		})
	}
}

func TestRecordsThatALongScanPassedAreStillGuarded(t *testing.T) {
	for _, change := range []func(*txn.Options){serializable, readCommitted, func(*txn.Options) {}} {
		for _, harmed := range []bool{true, false} {
			w := newWorld(t, worldOptions{})
			c, other := w.open(change, func(o *txn.Options) { o.PageSize = 3 }), w.open()
			c.KeepAtMost(2)
			other.fill(9, accountsName)
			tx := c.begin()
			got, err := numbers(tx, inBranch())
			if w.must(err); len(got) != 9 {
				t.Errorf("found %v", got)
			}
			if harmed {
				next := other.begin()
				rmw(w, next, accountsName, 8)
				w.must(next.Commit(ctx))
			}
			w.must(tx.Put(ctx, put(accountsName, 8, 1)))
			err = tx.Commit(ctx)
			if harmed != errors.Is(err, model.ErrConflict) || !harmed && err != nil {
				t.Errorf("changed meanwhile %v: %v", harmed, err)
			}
			w.must(c.Flush(ctx))
		}
	}
}

// TestARecordTakenOffAnIndexCommits: a queue is an index on a state, of which
// workers take the first record by changing its state.
func TestARecordTakenOffAnIndexCommits(t *testing.T) {
	for _, page := range []int{1, 2, 1000} {
		for _, limit := range []int{0, 1, 2} {
			for _, harm := range []bool{false, true} {
				w := newWorld(t, worldOptions{})
				c, other := w.open(serializable, func(o *txn.Options) { o.PageSize = page }), w.open()
				c.fill(4, accountsName)
				tx := c.begin()
				s := byOwner("ann")
				s.Limit = limit
				var taken []model.Key
				for row, err := range tx.Scan(ctx, s) {
					w.must(err)
					if taken = append(taken, row.Key()); len(taken) == 2 {
						break // also if there is no limit
					}
				}
				w.must(tx.Put(ctx, txn.Write{Table: accountsName, Key: taken[0], Set: owner("bob")}))
				if harm {
					next := other.begin()
					w.must(next.Put(ctx, txn.Write{Table: accountsName, Key: taken[len(taken)-1], Set: balance(1)}))
					w.must(next.Commit(ctx))
				}
				err := tx.Commit(ctx)
				if harm != errors.Is(err, model.ErrConflict) || !harm && err != nil {
					t.Errorf("pages of %d, limit %d, changed meanwhile %v: %v", page, limit, harm, err)
				}
				w.must(c.Flush(ctx))
			}
		}
	}
}
