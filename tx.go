package stillpoint

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/txn"
)

// Tx is a transaction. It carries the context of the Transact, View or Begin
// that made it, which governs all that is done in it, and it is for one
// goroutine.
type Tx struct {
	db      *DB
	m       *txn.Manager
	ctx     context.Context
	tx      *txn.Tx
	started time.Time
	ended   bool
	managed bool  // by Transact or View, which commit
	wrote   doubt // a row that it writes, and does not delete if there is such a one
	writes  bool
	deletes bool // wrote is deleted
}

var _ Session = (*Tx)(nil)

// Begin begins a transaction that the caller ends with Commit or Rollback.
// Transact is the better choice where a function will do.
func (db *DB) Begin(ctx context.Context, opts ...TxOption) (*Tx, error) {
	o, err := newTxOptions(opts)
	if err != nil {
		return nil, err
	}
	return db.begin(ctx, o)
}

func (db *DB) begin(ctx context.Context, o txOptions) (tx *Tx, err error) {
	const op = "begin a transaction"
	if ctx.Err() != nil {
		return nil, &Error{Op: op, Err: context.Cause(ctx)}
	}
	if err := db.enter(op); err != nil {
		return nil, err
	}
	defer func() {
		if tx == nil { // a hook that panics included
			db.active.Done()
		}
	}()
	to := txn.TxOptions{ID: o.id, ReadOnly: o.readOnly}
	if o.isolation != nil {
		to.Isolation = *o.isolation
	}
	m, err := db.manager(ctx)
	if err != nil {
		return nil, err
	}
	inner, err := m.Begin(ctx, to)
	if err != nil {
		return nil, err
	}
	if db.hooks.Begin != nil {
		if c := db.hooks.Begin(ctx, inner.ID()); c != nil {
			ctx = c
		}
	}
	tx = &Tx{db: db, m: m, tx: inner, ctx: context.WithValue(ctx, nestingKey{&db.nesting}, true)}
	if db.hooks.End != nil {
		tx.started = time.Now()
	}
	return tx, nil
}

// ID returns the transaction's id, to ask DB.State with.
func (tx *Tx) ID() string { return tx.tx.ID() }

// Context returns the context that governs the transaction.
func (tx *Tx) Context() context.Context { return tx.ctx }

// GetAll makes several reads, of any tables, in one round trip where the
// database can do that: ErrNotFound if a row that Into asked for is not there.
func (tx *Tx) GetAll(reads ...Read) error { return getAll(tx, reads) }

// Commit makes everything that the transaction wrote visible at once, or nothing
// of it. The transaction is over, whatever Commit returns: ErrConflict if it was
// in another one's way and may be run again, ErrUnknownOutcome if the answer to
// the deciding write was lost, ErrUnavailable if nothing could be written. In a
// function of Transact or View it is ErrBadArgument and does nothing: they
// commit when the function returns nil.
func (tx *Tx) Commit() error {
	if tx.managed && !tx.ended {
		return &Error{Class: ErrBadArgument, Op: "commit", Subject: "transaction " + tx.ID(), TxID: tx.ID(),
			Detail: "Transact or View runs it, and commits when the function returns nil", Hint: "Nothing was committed; return nil, or use Begin"}
	}
	return tx.commit()
}

func (tx *Tx) commit() error {
	if tx.ended {
		return tx.over("commit")
	}
	commit := func() error { return tx.tx.Commit(tx.ctx) }
	var err error
	if tx.db.intercept != nil && tx.writes {
		err = tx.db.intercept(tx.ctx, tx.ID(), commit)
	} else {
		err = commit()
	}
	if errors.Is(err, ErrUnknownOutcome) && tx.writes {
		tx.db.doubts.add(tx.ID(), tx.wrote)
	}
	tx.end(err == nil, err)
	return err
}

// Rollback gives the transaction up. Nothing that it wrote is visible to anybody.
func (tx *Tx) Rollback() error {
	if tx.ended {
		return tx.over("roll back")
	}
	err := tx.tx.Rollback(context.WithoutCancel(tx.ctx))
	tx.end(false, err)
	return err
}

// abandon rolls back if the transaction has not ended; nothing has been written
// yet, so this cannot fail in a way that matters.
func (tx *Tx) abandon() {
	if !tx.ended {
		_ = tx.Rollback()
	}
}

func (tx *Tx) end(committed bool, err error) {
	tx.ended = true
	defer tx.db.active.Done() // after the hook, which Close waits for too
	if tx.db.hooks.End != nil {
		tx.db.hooks.End(tx.ctx, tx.ID(), time.Since(tx.started), committed, err)
	}
}

func (tx *Tx) over(op string) error {
	return &Error{Class: ErrBadArgument, Op: op, Subject: "transaction " + tx.ID(), Detail: "it is over already", TxID: tx.ID()}
}

func (tx *Tx) database() *DB { return tx.db }

func (tx *Tx) tableByName(ctx context.Context, name string) (*model.Table, error) {
	n, err := tx.db.tableName(name)
	if err != nil {
		return nil, err
	}
	t, err := tx.m.Table(ctx, n)
	if err != nil {
		return nil, tx.db.missingTable(ctx, n, err)
	}
	return t, nil
}

func (tx *Tx) getRows(ctx context.Context, gets []storage.Get) ([]*model.Row, error) {
	if len(gets) == 1 {
		row, err := tx.tx.Get(ctx, gets[0].Table.Name(), gets[0].Key)
		return []*model.Row{row}, err
	}
	refs := make([]txn.Ref, len(gets))
	for i, g := range gets {
		refs[i] = txn.Ref{Table: g.Table.Name(), Key: g.Key}
	}
	return tx.tx.GetAll(ctx, refs)
}

func (tx *Tx) allows(s *storage.Scan) error { return tx.db.allows(s) }

func (tx *Tx) scanRows(ctx context.Context, r scanRequest) iter.Seq2[*model.Row, error] {
	s := r.scan
	return tx.tx.Scan(ctx, txn.Scan{Table: s.Table.Name(), Kind: s.Kind, Partition: s.Partition, Start: s.Start, End: s.End,
		Reverse: s.Reverse, IndexColumn: s.IndexColumn, IndexValue: s.IndexValue, OrderBy: s.OrderBy, Where: s.Where, Limit: r.limit})
}

func (tx *Tx) write(ctx context.Context, w writeRequest) error {
	if w.kind == deleteKind && tx.writes && tx.wrote.table == w.table.Name() && tx.wrote.key.Compare(w.key) == 0 {
		tx.deletes = true
	} else if !tx.writes || tx.deletes {
		tx.writes, tx.deletes, tx.wrote = true, w.kind == deleteKind, doubt{w.table.Name(), w.key}
	}
	inner := txn.Write{Table: w.table.Name(), Key: w.key, Set: w.set, If: w.guard}
	switch w.kind {
	case insertKind:
		return tx.tx.Insert(ctx, inner)
	case updateKind:
		if inner.If.Kind == storage.Always {
			inner.If.Kind = storage.Exists
			return missing(w, tx.tx.Update(ctx, inner))
		}
		return tx.tx.Update(ctx, inner)
	case deleteKind:
		return tx.tx.Delete(ctx, inner)
	}
	return tx.tx.Put(ctx, inner)
}

// missing says of an update without a condition that its row is not there.
func missing(w writeRequest, err error) error {
	if !errors.Is(err, ErrConditionNotMet) {
		return err
	}
	return &Error{Class: ErrNotFound, Op: "update", Subject: w.table.Name().String(), Detail: "there is no row with key " + w.key.String(),
		Hint: "Put writes a row whether it is there or not"}
}
