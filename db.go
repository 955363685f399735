package stillpoint

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/stillpoint-db/stillpoint/config"
	"github.com/stillpoint-db/stillpoint/internal/marker"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/schema"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/multi"
	"github.com/stillpoint-db/stillpoint/txn"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

// DB is a set of databases with transactions over them. It is safe for
// concurrent use; a program needs one.
type DB struct {
	cfg       *config.Config
	set       *multi.Set
	txns      atomic.Pointer[txn.Manager]
	txnOpts   txn.Options
	intercept CommitInterceptor // nil = none
	hooks     Hooks
	nesting   nesting
	doubts    doubts
	plain     plainTables

	opening sync.Mutex // held while txns is opened

	mu     sync.Mutex
	closed bool           // guarded by mu
	active sync.WaitGroup // transactions begun and not ended, other calls under way; Add is guarded by mu
	done   chan struct{}  // closed when Close has done its work
}

func openDB(ctx context.Context, cfg *config.Config, set *multi.Set, o openOptions) (*DB, error) {
	if o.wrap != nil {
		wrapped := make([]storage.Storage, len(set.Storages()))
		for i, s := range set.Storages() {
			wrapped[i] = o.wrap(s)
		}
		var err error
		if set, err = multi.New(wrapped, cfg.Routing); err != nil {
			return nil, err
		}
	}
	if err := marker.Refuse(ctx, "open storage", set.Storages()); err != nil {
		return nil, err
	}
	opts, err := txnOptions(cfg, o)
	if err != nil {
		return nil, err
	}
	db := &DB{cfg: cfg, set: set, txnOpts: opts, hooks: o.hooks, intercept: o.intercept, plain: plainTables{ttl: cfg.MetadataExpiration},
		done: make(chan struct{})}
	if _, err := db.manager(ctx); err != nil && !errors.Is(err, ErrNotFound) {
		return nil, err
	}
	openDBs.Add(1)
	return db, nil
}

// manager returns the transaction manager. It is opened as soon as the
// Coordinator's table is there, which may be after Open: CreateTables makes it.
func (db *DB) manager(ctx context.Context) (*txn.Manager, error) {
	if m := db.txns.Load(); m != nil {
		return m, nil
	}
	db.opening.Lock()
	defer db.opening.Unlock()
	if m := db.txns.Load(); m != nil {
		return m, nil
	}
	m, err := txn.Open(ctx, db.set, db.txnOpts)
	if err != nil {
		return nil, err
	}
	db.txns.Store(m)
	return m, nil
}

// txnOptions are the options of the transaction manager.
func txnOptions(cfg *config.Config, o openOptions) (txn.Options, error) {
	opts, err := cfg.TxnOptions(o.logger)
	opts.Hooks = o.hooks.Steps
	if o.isolation != nil {
		opts.Isolation = *o.isolation
	}
	return opts, err
}

// Close refuses new transactions and other calls, waits for those that have begun
// and for the work behind their commits, and closes the databases. A transaction
// of Begin that is never ended keeps Close waiting, and so does a call that Close
// is called from: a scan's loop, a hook. A second Close waits for the first.
func (db *DB) Close() error {
	db.mu.Lock()
	if db.closed {
		db.mu.Unlock()
		<-db.done
		return nil
	}
	db.closed = true
	db.mu.Unlock()
	defer close(db.done)
	db.active.Wait()
	openDBs.Add(-1)
	var err error
	if m := db.txns.Load(); m != nil {
		err = m.Close(context.Background())
	}
	return errors.Join(err, db.set.Close())
}

// enter counts a transaction or another call in; active.Done must follow.
func (db *DB) enter(op string) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.closed {
		return &Error{Class: ErrUnavailable, Op: op, Detail: "the DB is closed"}
	}
	db.active.Add(1)
	return nil
}

// State is what is known of the outcome of a transaction.
type State uint8

// The states that DB.State answers.
const (
	// Undecided: not committed, as far as anybody can tell now. While its
	// writer may still live, it may yet be.
	Undecided State = iota
	// Committed: all of it.
	Committed
	// Aborted: none of it, for good.
	Aborted
)

// String names the state.
func (s State) String() string {
	switch s {
	case Committed:
		return "committed"
	case Aborted:
		return "aborted"
	}
	return "undecided"
}

func stateOf(d record.Decision) State {
	switch d.State {
	case record.Committed:
		return Committed
	case record.Aborted:
		return Aborted
	}
	return Undecided
}

// State asks what became of a transaction whose commit failed with
// ErrUnknownOutcome. For one that was committed in a single write, which leaves
// no trace but in the rows themselves, this DB looks at a row that it wrote; for
// such a transaction of another process the answer is Undecided.
func (db *DB) State(ctx context.Context, txID string) (State, error) {
	if err := db.enter("ask for transaction " + txID); err != nil {
		return Undecided, err
	}
	defer db.active.Done()
	m, err := db.manager(ctx)
	if err != nil {
		return Undecided, err
	}
	if d, ok := db.doubts.find(txID); ok {
		dec, err := m.StateOf(ctx, txID, d.table, d.key)
		return stateOf(dec), err
	}
	dec, err := m.State(ctx, txID)
	return stateOf(dec), err
}

// Flush waits until the records of all transactions that this DB has committed
// are settled, as far as they can be. Nobody has to wait for that: who reads
// them before sees the same.
func (db *DB) Flush(ctx context.Context) error {
	if err := db.enter("flush"); err != nil {
		return err
	}
	defer db.active.Done()
	if m := db.txns.Load(); m != nil {
		return m.Flush(ctx)
	}
	return nil
}

// Recover settles, now, what transactions of dead processes have left in doubt,
// instead of leaving it to whoever meets it. Records of transactions that may
// still be alive are left alone.
func (db *DB) Recover(ctx context.Context) (txn.RecoverReport, error) {
	if err := db.enter("recover"); err != nil {
		return txn.RecoverReport{}, err
	}
	defer db.active.Done()
	m, err := db.manager(ctx)
	if err != nil {
		return txn.RecoverReport{}, err
	}
	return m.RecoverAll(ctx, txn.RecoverOptions{})
}

// CreateTables creates what is missing of the tables, their namespaces and the
// Coordinator's table; a second run changes nothing. Nothing is created if any
// of them would be refused: ErrBadArgument for what the database cannot hold,
// ErrRefused for a table that is there with another definition.
func (db *DB) CreateTables(ctx context.Context, defs ...TableDef) error {
	if err := db.enter("create tables"); err != nil {
		return err
	}
	defer db.active.Done()
	var s schema.Schema
	for _, d := range defs {
		t, err := d.table()
		if err != nil {
			return err
		}
		s.Tables = append(s.Tables, schema.Table{Definition: t, NoTransactions: d.NoTransactions})
	}
	plan, err := schema.PlanCreate(ctx, db.set, &s, schema.Options{Coordinator: true,
		CoordinatorNamespace: db.cfg.Transaction.CoordinatorNamespace, EventualIndexReads: db.cfg.Transaction.EventualIndexReads})
	if err != nil {
		return err
	}
	if err := plan.Apply(ctx, nil); err != nil {
		return err
	}
	_, err = db.manager(ctx)
	return err
}

// Table binds a table, named as "namespace.table", to rows by column name.
func (db *DB) Table(name string) *Table[Row] { return TableOf[Row](db, name) }

// tableName reads a table's name, which may be without its namespace if there is
// a default one.
func (db *DB) tableName(name string) (model.TableName, error) {
	if db.cfg.DefaultNamespace != "" {
		if n, err := model.ParseTableName(name); err == nil {
			return n, nil
		}
		return model.TableName{Namespace: db.cfg.DefaultNamespace, Name: name}, nil
	}
	return model.ParseTableName(name)
}

// missingTable says of a table that is not there where it was looked for, and what
// is there.
func (db *DB) missingTable(ctx context.Context, name model.TableName, err error) error {
	if !errors.Is(err, ErrNotFound) {
		return err
	}
	store := db.set.Route(name)
	e := &Error{Class: ErrNotFound, Hint: "Create it with DB.CreateTables, or with: stillpoint schema create --schema FILE",
		Detail: fmt.Sprintf("table %s is not in storage %q (%s)", name, store.Name(), store.Capabilities(name).Engine)}
	there, err := db.set.Admin().Tables(ctx, name.Namespace)
	if err != nil || len(there) == 0 {
		return e
	}
	names := make([]string, len(there))
	for i, t := range there {
		names[i] = t.String()
	}
	slices.Sort(names)
	if near := model.Nearest(name.String(), slices.Values(names)); near != "" {
		e.Hint = fmt.Sprintf("Did you mean %q? If not: create it with DB.CreateTables, or with: stillpoint schema create --schema FILE", near)
		return e
	}
	if len(names) > 10 {
		names = append(names[:10], "…")
	}
	e.Hint = "Tables there: " + strings.Join(names, ", ") + ". " + e.Hint
	return e
}

// allows refuses a scan over a whole table that the configuration switches off.
func (db *DB) allows(s *storage.Scan) error {
	c := db.cfg.CrossPartitionScan
	off := func(what, key string) error {
		return &Error{Class: ErrBadArgument, Op: "scan", Subject: s.Table.Name().String(), Detail: what + " is switched off by the configuration",
			Hint: "Set scalar.db.cross_partition_scan." + key + "=true, or scan a partition or an index"}
	}
	switch {
	case s.Kind != storage.ScanTable:
		return nil
	case !c.Enabled:
		return off("a scan over all partitions", "enabled")
	case len(s.Where) > 0 && !c.Filtering:
		return off("a filter in a scan over all partitions", "filtering.enabled")
	case len(s.OrderBy) > 0 && !c.Ordering:
		return off("an order in a scan over all partitions", "ordering.enabled")
	}
	return nil
}

// doubts remembers, for transactions of unknown outcome, a row that each wrote.
type doubts struct {
	mu    sync.Mutex
	byID  map[string]doubt // guarded by mu
	order []string         // guarded by mu; the oldest first
}

type doubt struct {
	table model.TableName
	key   model.Key
}

const maxDoubts = 1024

func (d *doubts) add(id string, x doubt) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.byID == nil {
		d.byID = map[string]doubt{}
	}
	if len(d.order) == maxDoubts {
		delete(d.byID, d.order[0])
		d.order = d.order[1:]
	}
	d.byID[id] = x
	d.order = append(d.order, id)
}

func (d *doubts) find(id string) (doubt, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	x, ok := d.byID[id]
	return x, ok
}
