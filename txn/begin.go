package txn

import (
	"context"
	"time"
	"unicode/utf8"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

// TxOptions are the options of one transaction.
type TxOptions struct {
	// ID, if not empty, is used instead of a made one. It must never have been
	// used before, by any manager: it is what tells versions of records apart.
	ID string
	// Isolation, if not zero, is used instead of the manager's.
	Isolation Isolation
	// ReadOnly refuses writes, and remembers less of what is read: a Scan of a
	// whole table needs no memory.
	ReadOnly bool
}

// Tx is a transaction. It is for one goroutine at a time, and it ends with
// Commit or Rollback. One that is dropped leaves nothing behind.
type Tx struct {
	m        *Manager
	id       string
	iso      Isolation
	readOnly bool
	state    txState
	path     string
	began    time.Time

	tables  []*table // as they were when first used
	entries entries
	writes  int    // entries with a write
	passed  passed // records that scans have passed and that have no entry

	scans []*scanned // for validation and for repeated scans
	open  int        // scans under way
	gets  int        // reads by key that the storage was asked for
	waits []*wait    // records in doubt that are being settled

	met *entry // the insert that failed because it met a row

	one [1]fetched // scratch of a single Get
}

type txState uint8

const (
	active txState = iota
	committed
	failed     // Commit returned an error
	rolledBack // or never to be committed
)

// Begin begins a transaction. It asks no database.
func (m *Manager) Begin(_ context.Context, opts TxOptions) (*Tx, error) {
	tx := &Tx{m: m, id: opts.ID, iso: opts.Isolation, readOnly: opts.ReadOnly}
	if tx.iso == DefaultIsolation {
		tx.iso = m.opts.Isolation
	}
	if tx.iso > ReadCommitted {
		return nil, model.Errorf(model.ErrBadArgument, "isolation level %d is none", tx.iso)
	}
	if tx.id == "" {
		tx.id = m.opts.NewID()
	} else if err := checkID(tx.id); err != nil {
		return nil, err
	}
	tx.began = tx.clock(m.opts.Hooks.Done)
	tx.hook(m.opts.Hooks.Begin, tx.clock(m.opts.Hooks.Begin), 0, nil)
	return tx, nil
}

func checkID(id string) error {
	if len(id) > record.MaxIDLen || !utf8.ValidString(id) {
		return model.Errorf(model.ErrBadArgument, "transaction id %q is not UTF-8 or longer than %d bytes", id, record.MaxIDLen)
	}
	if _, _, grouped := record.SplitID(id); grouped {
		return model.Errorf(model.ErrBadArgument, "transaction id %q has the shape that other managers use for group commits ($ as the 25th character)", id)
	}
	return nil
}

// ID returns the transaction's id, by which Manager.State tells its fate.
func (tx *Tx) ID() string { return tx.id }

// ReadOnly tells whether the transaction refuses writes.
func (tx *Tx) ReadOnly() bool { return tx.readOnly }

// Isolation returns the transaction's isolation level.
func (tx *Tx) Isolation() Isolation { return tx.iso }

// table finds a table's definition; within one transaction it stays the same.
func (tx *Tx) table(ctx context.Context, name model.TableName) (*table, error) {
	for _, t := range tx.tables {
		if t.User.Name() == name {
			return t, nil
		}
	}
	t, err := tx.m.table(ctx, name)
	if err != nil {
		return nil, err
	}
	tx.tables = append(tx.tables, t)
	return t, nil
}

// usable tells whether the transaction takes another operation.
func (tx *Tx) usable(op string) error {
	switch tx.state {
	case active:
		return nil
	case committed:
		return tx.misuse(op, "it is committed already")
	case failed:
		return tx.misuse(op, "its commit has failed; begin a new one")
	}
	return tx.misuse(op, "it is rolled back already; begin a new one")
}

// Rollback ends the transaction without any of its writes. It asks no database,
// because nothing is written before Commit. After a failed Commit, or a second
// time, it does nothing; after a successful Commit it is model.ErrBadArgument.
func (tx *Tx) Rollback(context.Context) error {
	switch tx.state {
	case active:
		tx.path = "rollback"
		tx.hook(tx.m.opts.Hooks.Done, tx.began, tx.writes, nil)
	case committed:
		return tx.usable("roll back")
	}
	tx.state = rolledBack
	return nil
}
