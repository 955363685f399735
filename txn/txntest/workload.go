package txntest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/stillpoint-db/stillpoint/internal/history"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/txn"
)

// Workload says what the random transactions are like. It may be used by
// several goroutines at once.
type Workload struct {
	Tables     []model.TableName
	Partitions int // of each table
	Rows       int // of each partition
	MaxOps     int // most operations of a transaction; 0 = 4
	NoScans    bool
	Isolation  txn.Isolation
	History    *history.Recorder
}

// Writes is what a transaction means to change: the value of each row by its
// name, as Show renders them; "" for a delete. A row that was not there and is
// not to be is not among them.
type Writes map[string]string

// Run runs one random transaction and records it. planned, if not nil, is told
// what it will write right before it commits. The error is the transaction's,
// for diagnosis; the outcome is recorded.
func (w *Workload) Run(ctx context.Context, m *txn.Manager, rng *rand.Rand, id string, planned func(Writes)) (history.Outcome, error) {
	t := &transaction{w: w, rng: rng, rec: w.History.Begin(id), rows: map[row]*seen{}}
	outcome, err := t.run(ctx, m, id, planned)
	t.rec.Finish(outcome)
	return outcome, err
}

// Import puts some rows into the tables past every transaction, as rows of
// imported tables are, and records that as a transaction.
func (w *Workload) Import(ctx context.Context, s storage.Storage, rng *rand.Rand, id string) (Writes, error) {
	rec, out := w.History.Begin(id), Writes{}
	tables := map[model.TableName]*model.Table{}
	for _, name := range w.Tables {
		tables[name] = PhysicalTable(name)
	}
	for r := range w.all {
		if rng.IntN(3) > 0 {
			continue
		}
		token := fmt.Sprintf("%s.%d", id, len(out))
		rec.Read(r.String(), nil)
		rec.Write(r.String(), []string{token})
		out[r.String()] = show(token, token)
		put := storage.Mutation{Kind: storage.Put, Table: tables[r.table], Key: r.key(), Guard: storage.Guard{Kind: storage.NotExists},
			Set: []storage.Assignment{{Column: listColumn, Value: model.TextValue(token)}, {Column: tagColumn, Value: model.TextValue(token)}}}
		if err := s.Mutate(ctx, storage.Batch{Mutations: []storage.Mutation{put}}); err != nil {
			return nil, fmt.Errorf("import %s: %w", r, err)
		}
	}
	rec.Finish(history.Committed)
	return out, nil
}

// all yields every row of the workload, there or not.
func (w *Workload) all(yield func(row) bool) {
	for _, table := range w.Tables {
		for p := range w.Partitions {
			for c := range w.Rows {
				if !yield(row{table, int32(p), int32(c)}) {
					return
				}
			}
		}
	}
}

// transaction is one run.
type transaction struct {
	w      *Workload
	rng    *rand.Rand
	rec    *history.Txn
	tx     *txn.Tx
	rows   map[row]*seen
	tokens int
	wrote  bool
}

// seen is what the transaction knows of a row.
type seen struct {
	list     []string
	absent   bool // it was not there at first
	scanned  bool // seen by a scan first
	inserted bool // by this transaction, over no row
	deleted  bool // by this transaction, and not written since
	write    bool
}

func (t *transaction) run(ctx context.Context, m *txn.Manager, id string, planned func(Writes)) (history.Outcome, error) {
	readOnly := t.rng.IntN(6) == 0
	tx, err := m.Begin(ctx, txn.TxOptions{ID: id, Isolation: t.w.Isolation, ReadOnly: readOnly})
	if err != nil {
		return history.Aborted, err
	}
	t.tx = tx
	most := t.w.MaxOps
	if most == 0 {
		most = 4
	}
	for range 1 + t.rng.IntN(most) {
		if err := t.operate(ctx, readOnly); err != nil {
			return history.Aborted, errors.Join(err, tx.Rollback(ctx))
		}
	}
	if planned != nil {
		planned(t.writes())
	}
	switch err := tx.Commit(ctx); {
	case err == nil:
		return history.Committed, nil
	case errors.Is(err, model.ErrUnknownOutcome):
		return history.Unknown, err
	default:
		return history.Aborted, err
	}
}

func (t *transaction) pick() row {
	return row{t.w.Tables[t.rng.IntN(len(t.w.Tables))], int32(t.rng.IntN(t.w.Partitions)), int32(t.rng.IntN(t.w.Rows))}
}

func (t *transaction) operate(ctx context.Context, readOnly bool) error {
	n := t.rng.IntN(10)
	switch {
	case n < 2 && !t.wrote && !t.w.NoScans:
		return t.scan(ctx, t.pick())
	case n < 3:
		return t.readAll(ctx, []row{t.pick(), t.pick()})
	case n < 5 || readOnly:
		return t.readAll(ctx, []row{t.pick()})
	}
	return t.write(ctx, t.pick())
}

// saw records what was read, where the isolation level promises something about
// it: under SNAPSHOT another kind of operation may see another version.
func (t *transaction) saw(r row, list []string, scanned bool) {
	s := t.rows[r]
	if s == nil {
		t.rows[r] = &seen{list: list, absent: len(list) == 0, scanned: scanned}
		t.rec.Read(r.String(), list)
		return
	}
	switch t.w.Isolation {
	case txn.Serializable:
		t.rec.Read(r.String(), list)
	case txn.ReadCommitted:
		if s.write {
			t.rec.Read(r.String(), list)
		}
	default:
		if s.scanned == scanned || s.write {
			t.rec.Read(r.String(), list)
		}
	}
}

func (t *transaction) readAll(ctx context.Context, rows []row) error {
	if len(rows) == 2 && rows[0] == rows[1] {
		rows = rows[:1]
	}
	refs := make([]txn.Ref, len(rows))
	for i, r := range rows {
		refs[i] = txn.Ref{Table: r.table, Key: r.key()}
	}
	got, err := t.tx.GetAll(ctx, refs)
	if err != nil {
		return fmt.Errorf("read %v: %w", rows, err)
	}
	for i, r := range rows {
		t.saw(r, listOf(got[i]), false)
	}
	return nil
}

// scan reads a partition.
func (t *transaction) scan(ctx context.Context, r row) error {
	lists := make([][]string, t.w.Rows)
	for got, err := range t.tx.Scan(ctx, txn.Scan{Table: r.table, Partition: []model.Value{model.IntValue(r.p)}}) {
		if err != nil {
			return fmt.Errorf("scan %s: %w", r, err)
		}
		if c := int(got.Key().At(1).Int64()); c < len(lists) {
			lists[c] = listOf(got)
		}
	}
	for c, list := range lists {
		t.saw(row{r.table, r.p, int32(c)}, list, true)
	}
	return nil
}

// readForWrite reads a row that is going to be written. That a scan has not
// found it guards nothing by itself below SERIALIZABLE, so it is then read again.
func (t *transaction) readForWrite(ctx context.Context, r row) error {
	s := t.rows[r]
	if s == nil {
		return t.readAll(ctx, []row{r})
	}
	if t.w.Isolation == txn.Serializable || !s.scanned || s.write || len(s.list) > 0 {
		return nil
	}
	got, err := t.tx.Get(ctx, r.table, r.key())
	if err != nil {
		return fmt.Errorf("read %s: %w", r, err)
	}
	if got != nil {
		return model.Errorf(model.ErrConflict, "read %s: a scan has not found it, and there it is", r)
	}
	*s = seen{absent: true}
	return nil
}

// insert inserts a row without having looked whether it is there.
func (t *transaction) insert(ctx context.Context, r row) error {
	t.wrote = true
	s := &seen{absent: true, inserted: true, write: true, list: []string{t.token()}}
	t.rows[r] = s
	t.rec.Write(r.String(), s.list)
	if err := t.tx.Insert(ctx, txn.Write{Table: r.table, Key: r.key(), Set: set(s.list, true)}); err != nil {
		return fmt.Errorf("insert %s: %w", r, err)
	}
	return nil
}

// token makes a token that no other transaction makes.
func (t *transaction) token() string {
	t.tokens++
	return fmt.Sprintf("%s.%d", t.rec.Name, t.tokens-1)
}

// set gives a row a list, and its tag.
func set(list []string, tag bool) []txn.Set {
	out := []txn.Set{{Column: listColumn, Value: model.TextValue(history.Join(list))}}
	if tag {
		out = append(out, txn.Set{Column: tagColumn, Value: model.TextValue(list[0])})
	}
	return out
}

// write appends to a row, inserts it or deletes it, as a rule having read it.
func (t *transaction) write(ctx context.Context, r row) error {
	if t.rows[r] == nil && t.rng.IntN(6) == 0 {
		return t.insert(ctx, r)
	}
	if err := t.readForWrite(ctx, r); err != nil {
		return err
	}
	s := t.rows[r]
	t.wrote = true
	token := t.token()
	w := txn.Write{Table: r.table, Key: r.key()}
	var err error
	switch n := t.rng.IntN(4); {
	case len(s.list) == 0:
		s.list = []string{token}
		w.Set = set(s.list, true)
		s.inserted = !s.deleted
		if n == 0 && !s.deleted {
			err = t.tx.Put(ctx, w)
			s.inserted = false
		} else {
			err = t.tx.Insert(ctx, w)
		}
		s.deleted = false
	case n == 0 && !s.inserted:
		s.list, s.deleted = nil, true
		err = t.tx.Delete(ctx, w)
	case n == 1:
		s.list = append(slices.Clone(s.list), token)
		w.Set = set(s.list, true)
		err = t.tx.Put(ctx, w)
	default:
		s.list = append(slices.Clone(s.list), token)
		w.Set = set(s.list, false)
		err = t.tx.Update(ctx, w)
	}
	s.write = true
	t.rec.Write(r.String(), s.list)
	if err != nil {
		return fmt.Errorf("write %s: %w", r, err)
	}
	return nil
}

// writes returns what the transaction means to write.
func (t *transaction) writes() Writes {
	out := Writes{}
	for r, s := range t.rows {
		switch {
		case !s.write, s.absent && len(s.list) == 0:
		case len(s.list) == 0:
			out[r.String()] = ""
		default:
			out[r.String()] = show(history.Join(s.list), s.list[0])
		}
	}
	return out
}

// Final reads every row in one transaction when nothing else is at work, and
// records that.
func (w *Workload) Final(ctx context.Context, m *txn.Manager, id string) error {
	rec := w.History.Begin(id)
	rec.Final = true
	tx, err := m.Begin(ctx, txn.TxOptions{ID: id})
	if err != nil {
		return err
	}
	var refs []txn.Ref
	var names []string
	for r := range w.all {
		refs = append(refs, txn.Ref{Table: r.table, Key: r.key()})
		names = append(names, r.String())
	}
	got, err := tx.GetAll(ctx, refs)
	if err != nil {
		return fmt.Errorf("read everything in the end: %w", err)
	}
	for i, name := range names {
		rec.Read(name, listOf(got[i]))
	}
	if err := tx.Commit(ctx); err != nil {
		return fmt.Errorf("commit the last read: %w", err)
	}
	rec.Finish(history.Committed)
	return nil
}
