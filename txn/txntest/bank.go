package txntest

import (
	"context"
	"errors"
	"fmt"

	"github.com/stillpoint-db/stillpoint/internal/history"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/txn"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

// Bank is accounts in several databases, and a table of moves in each: every
// transfer changes two balances or more and leaves a move for each receiver, so
// that the total and every balance can be checked against the moves.
type Bank struct {
	Namespaces []string // one for each database
	Accounts   int      // in each
	Opening    int64    // balance of each in the beginning
}

// Account names an account: the number of its namespace, and its own, from 1.
type Account struct{ DB, ID int }

// String renders the account's name.
func (a Account) String() string { return fmt.Sprintf("%d/%d", a.DB, a.ID) }

func accountsTable(ns string) model.TableName {
	return model.TableName{Namespace: ns, Name: "accounts"}
}
func movesTable(ns string) model.TableName { return model.TableName{Namespace: ns, Name: "moves"} }

func (b Bank) key(a Account) (model.TableName, model.Key) {
	return accountsTable(b.Namespaces[a.DB]), model.Key{Partition: []model.Value{model.IntValue(int32(a.ID))}}
}

// Create creates the tables, and the Coordinator's if it is not there.
func (b Bank) Create(ctx context.Context, s storage.Storage) error {
	if err := create(ctx, s, record.CoordinatorTable("")); err != nil && !errors.Is(err, model.ErrExists) {
		return err
	}
	for _, ns := range b.Namespaces {
		for _, spec := range []model.TableSpec{
			{Name: accountsTable(ns), PartitionKey: []string{"id"},
				Columns: []model.Column{{Name: "id", Type: model.Int}, {Name: "balance", Type: model.BigInt}}},
			{Name: movesTable(ns), PartitionKey: []string{"id"},
				Columns: []model.Column{{Name: "id", Type: model.Text}, {Name: "payer", Type: model.Text}, {Name: "payee", Type: model.Text}, {Name: "amount", Type: model.BigInt}}},
		} {
			user, err := model.NewTable(spec)
			if err != nil {
				return err
			}
			physical, err := record.Physical(user)
			if err != nil {
				return err
			}
			if err := create(ctx, s, physical); err != nil {
				return err
			}
		}
	}
	return nil
}

// Open gives every account its opening balance.
func (b Bank) Open(ctx context.Context, m *txn.Manager) error {
	tx, err := m.Begin(ctx, txn.TxOptions{})
	if err != nil {
		return err
	}
	for a := range b.all {
		table, key := b.key(a)
		if err := tx.Insert(ctx, txn.Write{Table: table, Key: key, Set: []txn.Set{{Column: "balance", Value: model.BigIntValue(b.Opening)}}}); err != nil {
			return err
		}
	}
	return tx.Commit(ctx)
}

func (b Bank) all(yield func(Account) bool) {
	for db := range b.Namespaces {
		for id := range b.Accounts {
			if !yield(Account{db, id + 1}) {
				return
			}
		}
	}
}

// Transfer moves an amount from the first account to each of the others, in one
// transaction whose id is given.
func (b Bank) Transfer(ctx context.Context, m *txn.Manager, id string, amount int64, accounts ...Account) error {
	tx, err := m.Begin(ctx, txn.TxOptions{ID: id})
	if err != nil {
		return err
	}
	payer := accounts[0]
	if err := b.add(ctx, tx, payer, -amount*int64(len(accounts)-1)); err != nil {
		return err
	}
	for i, to := range accounts[1:] {
		if err := b.add(ctx, tx, to, amount); err != nil {
			return err
		}
		if err := tx.Insert(ctx, txn.Write{
			Table: movesTable(b.Namespaces[payer.DB]), Key: model.Key{Partition: []model.Value{model.TextValue(fmt.Sprintf("%s#%d", id, i))}},
			Set: []txn.Set{{Column: "payer", Value: model.TextValue(payer.String())}, {Column: "payee", Value: model.TextValue(to.String())},
				{Column: "amount", Value: model.BigIntValue(amount)}},
		}); err != nil {
			return err
		}
	}
	return tx.Commit(ctx)
}

func (b Bank) add(ctx context.Context, tx *txn.Tx, a Account, amount int64) error {
	table, key := b.key(a)
	row, err := tx.Get(ctx, table, key)
	if err != nil {
		return err
	}
	if row == nil {
		return model.Errorf(model.ErrNotFound, "account %s", a)
	}
	return tx.Update(ctx, txn.Write{Table: table, Key: key, Set: []txn.Set{{Column: "balance", Value: model.BigIntValue(row.Get("balance").Int64() + amount)}}})
}

// State reads everything in one serializable transaction.
func (b Bank) State(ctx context.Context, m *txn.Manager) (history.Bank, error) {
	st := history.Bank{Initial: map[string]int64{}, Balances: map[string]int64{}}
	for a := range b.all {
		st.Initial[a.String()] = b.Opening
	}
	tx, err := m.Begin(ctx, txn.TxOptions{Isolation: txn.Serializable, ReadOnly: true})
	if err != nil {
		return st, err
	}
	for db, ns := range b.Namespaces {
		for row, err := range tx.Scan(ctx, txn.Scan{Table: accountsTable(ns), Kind: storage.ScanTable}) {
			if err != nil {
				return st, err
			}
			st.Balances[Account{db, int(row.Get("id").Int64())}.String()] = row.Get("balance").Int64()
		}
		for row, err := range tx.Scan(ctx, txn.Scan{Table: movesTable(ns), Kind: storage.ScanTable}) {
			if err != nil {
				return st, err
			}
			st.Moves = append(st.Moves, history.Move{ID: row.Get("id").Str(), From: row.Get("payer").Str(), To: row.Get("payee").Str(), Amount: row.Get("amount").Int64()})
		}
	}
	return st, tx.Commit(ctx)
}
