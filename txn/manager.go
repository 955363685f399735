package txn

import (
	"context"
	"fmt"
	"sync"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

// Manager runs transactions over one storage. It is safe for concurrent use.
type Manager struct {
	store  storage.Storage
	opts   Options
	tables *tables
	coord  *coordinator
	fates  *fates
	back   *background
	keep   int // mostEntries, less in tests

	asked sync.Map // of fetchReversed only
}

// Open makes a manager over a storage, which stays the caller's to close, after
// the manager. The Coordinator's table must be there: model.ErrNotFound if it
// is not, model.ErrRefused if it is something else.
func Open(ctx context.Context, store storage.Storage, opts Options) (*Manager, error) {
	opts = opts.filled()
	if opts.Isolation > ReadCommitted || opts.Schedule > Textbook {
		return nil, model.Errorf(model.ErrBadArgument, "isolation level %d or schedule %d is none", opts.Isolation, opts.Schedule)
	}
	name := record.CoordinatorName(opts.CoordinatorNamespace)
	ct, err := store.Admin().Table(ctx, name)
	if err != nil {
		return nil, &model.Error{Op: "open", Subject: "the Coordinator's table " + name.String(), Err: err,
			Hint: "Create it with: stillpoint schema create --coordinator"}
	}
	if err := record.CheckCoordinatorTable(ct); err != nil {
		return nil, err
	}
	m := &Manager{store: store, opts: opts, fates: newFates(), keep: mostEntries,
		tables: &tables{store: store, ttl: opts.MetadataTTL, now: opts.Now, known: map[model.TableName]*known{}},
		coord:  &coordinator{store: store, table: ct, caps: store.Capabilities(name), now: opts.Now, sleep: opts.Sleep},
	}
	m.back = newBackground(m)
	return m, nil
}

// Table returns the definition of a transactional table as its users see it:
// without the transaction's own columns, unless Options.IncludeMetadata. It is
// remembered for Options.MetadataTTL. model.ErrNotFound if it is not there,
// model.ErrRefused if it is not transactional.
func (m *Manager) Table(ctx context.Context, name model.TableName) (*model.Table, error) {
	t, err := m.table(ctx, name)
	if err != nil {
		return nil, err
	}
	if m.opts.IncludeMetadata {
		return t.Physical, nil
	}
	return t.User, nil
}

// Forget drops what is remembered of a table's definition, for those who change
// it.
func (m *Manager) Forget(name model.TableName) { m.tables.forget(name) }

func (m *Manager) table(ctx context.Context, name model.TableName) (*table, error) {
	if name.Namespace == m.coord.table.Name().Namespace {
		return nil, model.Errorf(model.ErrBadArgument, "namespace %q belongs to the Coordinator; no transaction may touch it", name.Namespace)
	}
	return m.tables.get(ctx, name)
}

// State asks the Coordinator what became of a transaction: Committed or Aborted
// is final; an undecided answer (State 0) is not: the transaction may still be
// under way, may be aborted by the next one that meets its records, may have
// written nothing, or may have been committed in one step, which leaves no row.
// StateOf tells the last case.
func (m *Manager) State(ctx context.Context, id string) (record.Decision, error) {
	return m.coord.read(ctx, id)
}

// StateOf asks what became of a transaction by a record that it wrote, which
// also works for one that was committed in one step. Committed if the record
// holds the transaction's write; undecided if it does not: then it may never
// have been written, or been overwritten since.
func (m *Manager) StateOf(ctx context.Context, id string, name model.TableName, key model.Key) (record.Decision, error) {
	if d, err := m.coord.read(ctx, id); err != nil || d.State != 0 {
		return d, err
	}
	t, err := m.table(ctx, name)
	if err != nil {
		return record.Decision{}, err
	}
	if err := key.Check(t.User); err != nil {
		return record.Decision{}, err
	}
	rows, err := m.store.Get(ctx, []storage.Get{{Table: t.Physical, Key: key}})
	if err != nil {
		return record.Decision{}, err
	}
	if r := rows[0]; r != nil && id != "" && t.holds(r, id) {
		if !t.IsCommitted(r) {
			r = t.Before(r)
		}
		return record.Decision{State: record.Committed, At: t.CommittedAt(r)}, nil
	}
	return record.Decision{}, nil
}

// holds tells whether the committed version of a record, which may be behind a
// write under way, was written by a transaction.
func (t *table) holds(r *model.Row, id string) bool {
	if t.IsCommitted(r) {
		return t.WriterID(r) == id
	}
	return r.Values[t.BeforeMeta.TxID].Str() == id
}

// Abort decides that a transaction is aborted unless it is decided already, and
// returns what holds now. It does not touch the transaction's records; whoever
// meets them next rolls them back. It cannot reach a transaction that commits in
// one step.
func (m *Manager) Abort(ctx context.Context, id string) (record.Decision, error) {
	if id == "" {
		return record.Decision{}, model.Errorf(model.ErrBadArgument, "a transaction's id must not be empty")
	}
	d, err := m.coord.abort(ctx, id)
	if err != nil {
		return record.Decision{}, fmt.Errorf("abort transaction %s: %w", id, err)
	}
	return d, nil
}

// Flush waits until the records of all decided transactions are settled, as far
// as they can be.
func (m *Manager) Flush(ctx context.Context) error { return m.back.flush(ctx) }

// Close waits for the work that goes on behind the answers: records of decided
// transactions being settled. Transactions that are not over by then may still
// commit, and settle their records themselves. If ctx ends first, what is left
// is settled by whoever meets it.
func (m *Manager) Close(ctx context.Context) error { return m.back.close(ctx) }
