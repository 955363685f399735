package stillpoint

import (
	"context"
	"errors"
	"iter"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

// Direct works on tables without transactions (TableDef.NoTransactions, or
// "transaction": false in a schema file): each call happens by itself, at once,
// and conditions are judged by the database. It refuses tables that belong to
// transactions, whose records it would break. It is for one goroutine.
type Direct struct {
	db  *DB
	ctx context.Context
}

var _ Session = (*Direct)(nil)

// Direct begins to work without transactions, governed by ctx.
func (db *DB) Direct(ctx context.Context) *Direct { return &Direct{db, ctx} }

// Context returns the context that governs the calls.
func (d *Direct) Context() context.Context { return d.ctx }

// GetAll makes several reads in one round trip where the database can do that.
func (d *Direct) GetAll(reads ...Read) error { return getAll(d, reads) }

func (d *Direct) database() *DB { return d.db }

func (d *Direct) tableByName(ctx context.Context, name string) (*model.Table, error) {
	if err := d.db.enter("use " + name); err != nil {
		return nil, err
	}
	defer d.db.active.Done()
	n, err := d.db.tableName(name)
	if err != nil {
		return nil, err
	}
	t, err := d.db.plain.get(ctx, d.db.set.Admin(), n)
	if err != nil {
		return nil, d.db.missingTable(ctx, n, err)
	}
	if record.IsTransactional(t) || n == record.CoordinatorName(d.db.cfg.Transaction.CoordinatorNamespace) {
		return nil, &Error{Class: ErrBadArgument, Op: "use", Subject: n.String(), Detail: "it belongs to transactions",
			Hint: "Use it with a *Tx, from Transact, View or Begin"}
	}
	return t, nil
}

func (d *Direct) getRows(ctx context.Context, gets []storage.Get) ([]*model.Row, error) {
	if err := d.db.enter("get"); err != nil {
		return nil, err
	}
	defer d.db.active.Done()
	return d.db.set.Get(ctx, gets)
}

func (d *Direct) allows(s *storage.Scan) error { return d.db.allows(s) }

func (d *Direct) scanRows(ctx context.Context, r scanRequest) iter.Seq2[*model.Row, error] {
	return func(yield func(*model.Row, error) bool) {
		if err := d.db.enter("scan " + r.scan.Table.Name().String()); err != nil {
			yield(nil, err)
			return
		}
		defer d.db.active.Done()
		scan, left := r.scan, r.limit
		for {
			scan.Limit = left // 0: the storage's page size
			page, err := d.db.set.Scan(ctx, scan)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, row := range page.Rows {
				if !yield(row, nil) {
					return
				}
			}
			if r.limit > 0 {
				if left -= len(page.Rows); left <= 0 {
					return
				}
			}
			if page.Next == "" {
				return
			}
			scan.Token = page.Next
		}
	}
}

func (d *Direct) write(ctx context.Context, w writeRequest) error {
	if err := d.db.enter("write to " + w.table.Name().String()); err != nil {
		return err
	}
	defer d.db.active.Done()
	if w.guard.Kind == storage.NotExists && (w.kind == updateKind || w.kind == deleteKind) {
		return model.Errorf(ErrBadArgument, "an update or a delete cannot require that there is no row")
	}
	m := storage.Mutation{Kind: storage.Put, Table: w.table, Key: w.key, Guard: w.guard}
	for _, s := range w.set {
		m.Set = append(m.Set, storage.Assignment{Column: s.Column, Value: s.Value})
	}
	plain := w.guard.Kind == storage.Always
	switch w.kind {
	case insertKind:
		if !plain {
			return model.Errorf(ErrBadArgument, "an insert takes no condition but its own, that the row is not there")
		}
		m.Guard.Kind = storage.NotExists
	case updateKind:
		if plain {
			m.Guard.Kind = storage.Exists
		}
	case deleteKind:
		m.Kind = storage.Delete
	}
	err := d.db.set.Mutate(ctx, storage.Batch{Mutations: []storage.Mutation{m}})
	if plain && errors.Is(err, ErrConditionNotMet) {
		switch w.kind {
		case insertKind:
			return &Error{Class: ErrExists, Op: "insert into", Subject: w.table.Name().String(), Detail: "there is a row with key " + w.key.String() + " already"}
		case updateKind:
			return missing(w, err)
		}
	}
	return err
}
