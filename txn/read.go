package txn

import (
	"context"

	"github.com/stillpoint-db/stillpoint/internal/mutant"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// Ref names one record.
type Ref struct {
	Table model.TableName
	Key   model.Key
}

// Get reads one record by its key, with the transaction's own write to it: nil
// if there is none. Under Snapshot and Serializable a record read once is the
// same whenever it is read by key again; under ReadCommitted each Get asks the
// database.
//
// A record that another transaction is writing right now is model.ErrConflict,
// except under ReadCommitted and in read-only Snapshot transactions, which get
// the version before.
func (tx *Tx) Get(ctx context.Context, name model.TableName, key model.Key) (*model.Row, error) {
	e, err := tx.get(ctx, "get", name, key)
	if err != nil {
		return nil, err
	}
	return tx.shown(e), nil
}

// GetAll is Get of several records, which together cost one round trip where
// the storage can do that. Its answer has one element for each reference. The
// records are not read at one moment.
func (tx *Tx) GetAll(ctx context.Context, refs []Ref) ([]*model.Row, error) {
	if err := tx.usable("get"); err != nil {
		return nil, err
	}
	found := make([]*entry, len(refs))
	var missing []fetched
	for i, r := range refs {
		t, err := tx.table(ctx, r.Table)
		if err != nil {
			return nil, tx.readFailed("get", err)
		}
		if err := r.Key.Check(t.User); err != nil {
			return nil, tx.readFailed("get", err)
		}
		e := tx.entries.findOrAdd(t, r.Key)
		found[i] = e
		if tx.mustRead(e) && !e.asked {
			e.asked = true
			missing = append(missing, fetched{table: t, key: e.key, entry: e})
		}
		e.byKey = true
	}
	err := tx.readEntries(ctx, missing)
	for i := range missing {
		missing[i].entry.asked = false
	}
	if err != nil {
		return nil, err
	}
	rows := make([]*model.Row, len(refs))
	for i, e := range found {
		rows[i] = tx.shown(e)
	}
	return rows, nil
}

// get reads one record into its entry.
func (tx *Tx) get(ctx context.Context, op string, name model.TableName, key model.Key) (*entry, error) {
	if err := tx.usable(op); err != nil {
		return nil, err
	}
	t, err := tx.table(ctx, name)
	if err != nil {
		return nil, tx.readFailed(op, err)
	}
	if err := key.Check(t.User); err != nil {
		return nil, tx.readFailed(op, err)
	}
	e := tx.entries.findOrAdd(t, key)
	e.byKey = true
	if !tx.mustRead(e) {
		return e, nil
	}
	tx.one[0] = fetched{table: t, key: e.key, entry: e}
	if err := tx.readEntries(ctx, tx.one[:]); err != nil {
		return nil, err
	}
	return e, nil
}

// mustRead tells whether a read by key has to ask the database: not if the
// answer is known, nor if the transaction's own write hides it entirely.
func (tx *Tx) mustRead(e *entry) bool {
	if e.insert || e.kind == writeDelete {
		return false
	}
	if tx.iso == ReadCommitted && e.kind == writeNone {
		return true
	}
	return !e.known
}

// readEntries reads records from the database into their entries.
func (tx *Tx) readEntries(ctx context.Context, fs []fetched) error {
	if len(fs) == 0 {
		return nil
	}
	start := tx.clock(tx.m.opts.Hooks.Read)
	tx.gets += len(fs)
	err := tx.fetch(ctx, fs)
	if err == nil {
		for i := range fs {
			if err = tx.remember(&fs[i]); err != nil {
				break
			}
		}
	}
	tx.hook(tx.m.opts.Hooks.Read, start, len(fs), err)
	if err != nil {
		return tx.readFailed("get", err)
	}
	return nil
}

// remember enters what was read. Only the first version of a record that a
// transaction sees counts for its writes; a later one is shown and no more.
func (tx *Tx) remember(f *fetched) error {
	e := f.entry
	tx.awaitLater(f.wait)
	if e.known && !mutant.On("txn.last-read-guards") {
		if tx.iso == Serializable && !sameVersion(e.table, e.base, f.row) {
			return tx.conflict("get", "another transaction has changed "+e.String(), nil)
		}
		e.later = f.row
		return nil
	}
	if !tx.passed.holds(f) {
		return tx.conflict("get", "another transaction has changed "+e.String(), nil)
	}
	e.known, e.base, e.clean, e.wait, e.later = true, f.row, f.clean, f.wait, f.row
	e.doubted(tx, f)
	return nil
}

// doubted notes that the version of a record was taken without knowing whether
// its next one is committed.
func (e *entry) doubted(tx *Tx, f *fetched) {
	if tx.iso == ReadCommitted && f.doubt != nil && f.wait == nil {
		e.doubt = f.doubt
	}
}

// awaitLater makes a Serializable commit wait for a record to be settled: its
// validation would stumble over it.
func (tx *Tx) awaitLater(w *wait) {
	if w == nil || tx.iso != Serializable {
		return
	}
	if n := len(tx.waits); n > 0 && tx.waits[n-1] == w {
		return
	}
	tx.waits = append(tx.waits, w)
}

// sameVersion tells whether two reads of a record saw the same version.
func sameVersion(t *table, a, b *model.Row) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return t.Writer(a) == t.Writer(b)
}

// shown makes the row that the user gets.
func (tx *Tx) shown(e *entry) *model.Row {
	if tx.iso == ReadCommitted && e.kind == writeNone {
		return tx.rowOf(e.table, e.later)
	}
	if tx.m.opts.IncludeMetadata {
		return e.stored()
	}
	return e.view()
}

// rowOf makes the row that the user gets of a stored one.
func (tx *Tx) rowOf(t *table, stored *model.Row) *model.Row {
	if tx.m.opts.IncludeMetadata {
		return stored
	}
	return t.UserRow(stored)
}

// fetch reads stored rows and settles, in memory, what they mean.
func (tx *Tx) fetch(ctx context.Context, fs []fetched) error {
	if mutant.On("txn.coordinator-before-record") {
		return tx.fetchReversed(ctx, fs)
	}
	if err := tx.m.fetchRaw(ctx, fs); err != nil {
		return err
	}
	return tx.resolve(ctx, fs)
}

// fetchRaw reads rows as they are stored.
func (m *Manager) fetchRaw(ctx context.Context, fs []fetched) error {
	gets := make([]storage.Get, len(fs))
	for i := range fs {
		gets[i] = storage.Get{Table: fs[i].table.Physical, Key: fs[i].key}
	}
	rows, err := m.store.Get(ctx, gets)
	if err != nil {
		return err
	}
	for i := range fs {
		fs[i].row = rows[i]
	}
	return nil
}
