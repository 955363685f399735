package txn_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/memory"
	"github.com/stillpoint-db/stillpoint/storage/multi"
	"github.com/stillpoint-db/stillpoint/txn"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

var (
	accountsName = model.TableName{Namespace: "bank", Name: "accounts"}
	vaultName    = model.TableName{Namespace: "vault", Name: "accounts"} // in a second database where there are two
	stateName    = record.CoordinatorName("")
)

// userTable makes a table with a clustering key and indexes.
func userTable(name model.TableName) *model.Table {
	t, err := model.NewTable(model.TableSpec{Name: name,
		Columns: []model.Column{{Name: "branch", Type: model.Text}, {Name: "no", Type: model.Int}, {Name: "sub", Type: model.Int},
			{Name: "balance", Type: model.BigInt}, {Name: "owner", Type: model.Text}, {Name: "note", Type: model.Text}},
		PartitionKey: []string{"branch"}, ClusteringKey: []model.ClusteringColumn{{Name: "no"}, {Name: "sub"}},
		Indexes: []string{"owner"}})
	if err != nil {
		panic(err)
	}
	return t
}

func physical(name model.TableName) *model.Table {
	p, err := record.Physical(userTable(name))
	if err != nil {
		panic(err)
	}
	return p
}

// spy watches and disturbs what goes to a storage.
type spy struct {
	storage.Storage

	mu     sync.Mutex
	counts map[string]int
	log    []storage.Batch
	gated  func(storage.Batch) bool // batches that are counted when they go on
	// mutate, if not nil, is called instead of the storage; next goes on.
	mutate func(batch storage.Batch, next func() error) error
	get    func(gets []storage.Get, next func() ([]*model.Row, error)) ([]*model.Row, error)
	scan   func(next func() (storage.Page, error)) (storage.Page, error)
}

func (s *spy) Get(ctx context.Context, gets []storage.Get) ([]*model.Row, error) {
	s.mu.Lock()
	s.counts["get"]++
	hook := s.get
	s.mu.Unlock()
	next := func() ([]*model.Row, error) { return s.Storage.Get(ctx, gets) }
	if hook != nil {
		return hook(gets, next)
	}
	return next()
}

func (s *spy) Scan(ctx context.Context, scan storage.Scan) (storage.Page, error) {
	s.mu.Lock()
	s.counts["scan"]++
	hook := s.scan
	s.mu.Unlock()
	next := func() (storage.Page, error) { return s.Storage.Scan(ctx, scan) }
	if hook != nil {
		return hook(next)
	}
	return next()
}

func (s *spy) onScan(f func(next func() (storage.Page, error)) (storage.Page, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scan = f
}

func (s *spy) Mutate(ctx context.Context, batch storage.Batch) error {
	s.mu.Lock()
	if s.gated == nil || !s.gated(batch) {
		s.counts["mutate"]++
	}
	s.log = append(s.log, batch)
	hook := s.mutate
	s.mu.Unlock()
	next := func() error { return s.Storage.Mutate(ctx, batch) }
	if hook != nil {
		return hook(batch, next)
	}
	return next()
}

func (s *spy) onMutate(f func(batch storage.Batch, next func() error) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mutate = f
}

func (s *spy) onGet(f func(gets []storage.Get, next func() ([]*model.Row, error)) ([]*model.Row, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.get = f
}

// take returns the counts so far, and begins anew.
func (s *spy) take() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.counts
	s.counts, s.log = map[string]int{}, nil
	return c
}

// touches tells whether a batch writes a table.
func touches(b storage.Batch, name model.TableName) bool {
	for _, m := range b.Mutations {
		if m.Table.Name() == name {
			return true
		}
	}
	return false
}

// world is one or two databases and managers over them, with a clock of its own.
type world struct {
	t     testing.TB
	store storage.Storage // without spies
	two   bool

	mu  sync.Mutex
	now time.Time
	ids int
}

type worldOptions struct {
	two    bool // the vault is in a database of its own
	memory memory.Options
	tables []*model.Table // stored; the usual two if nil
}

func newWorld(t testing.TB, o worldOptions) *world {
	t.Helper()
	a := memory.NewDatabase().Open("a", o.memory)
	w := &world{t: t, store: a, two: o.two, now: time.UnixMilli(1_700_000_000_000)}
	if o.two {
		b := memory.NewDatabase().Open("b", o.memory)
		set, err := multi.New([]storage.Storage{a, b}, multi.Routing{Default: "a", Namespaces: map[string]string{"vault": "b"}})
		if err != nil {
			t.Fatal(err)
		}
		w.store = set
	}
	t.Cleanup(func() {
		if err := w.store.Close(); err != nil {
			t.Error(err)
		}
	})
	if o.tables == nil {
		o.tables = []*model.Table{physical(accountsName), physical(vaultName)}
	}
	for _, table := range append(o.tables, record.CoordinatorTable("")) {
		if err := w.store.Admin().CreateNamespace(t.Context(), table.Name().Namespace); err != nil {
			t.Fatal(err)
		}
		if err := w.store.Admin().CreateTable(t.Context(), table); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// advance moves the clock.
func (w *world) advance(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// client is a manager with a spy below it.
type client struct {
	*txn.Manager
	*spy
	w    *world
	gate chan struct{} // of hold
}

// open makes a manager; change may change its options.
func (w *world) open(change ...func(*txn.Options)) *client {
	w.t.Helper()
	o := txn.Defaults()
	o.Now = func() time.Time {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.now = w.now.Add(time.Millisecond)
		return w.now
	}
	o.Sleep = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	o.NewID = func() string {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.ids++
		return fmt.Sprintf("tx%d", w.ids)
	}
	for _, f := range change {
		f(&o)
	}
	s := &spy{Storage: w.store, counts: map[string]int{}}
	m, err := txn.Open(context.Background(), s, o)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		s.onMutate(nil)
		s.onGet(nil)
		if err := m.Close(context.Background()); err != nil {
			w.t.Error(err)
		}
	})
	return &client{Manager: m, spy: s, w: w}
}

func noOnePhase(o *txn.Options)   { o.OnePhaseCommit = false }
func textbook(o *txn.Options)     { o.Schedule = txn.Textbook }
func synchronous(o *txn.Options)  { o.AsyncCommit = false }
func serializable(o *txn.Options) { o.Isolation = txn.Serializable }
func readCommitted(o *txn.Options) {
	o.Isolation = txn.ReadCommitted
}

var ctx = context.Background()

func at(no int) model.Key {
	return model.Key{Partition: []model.Value{model.TextValue("main")}, Clustering: []model.Value{model.IntValue(int32(no)), model.IntValue(0)}}
}

func balance(n int64) []txn.Set { return []txn.Set{{Column: "balance", Value: model.BigIntValue(n)}} }

func owner(s string) []txn.Set { return []txn.Set{{Column: "owner", Value: model.TextValue(s)}} }

func put(name model.TableName, no int, n int64) txn.Write {
	return txn.Write{Table: name, Key: at(no), Set: balance(n)}
}

func (c *client) begin(change ...func(*txn.TxOptions)) *txn.Tx {
	c.w.t.Helper()
	var o txn.TxOptions
	for _, f := range change {
		f(&o)
	}
	tx, err := c.Begin(ctx, o)
	c.w.must(err)
	return tx
}

func readOnly(o *txn.TxOptions) { o.ReadOnly = true }

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// want fails unless err has the class.
func (w *world) want(err, class error) {
	w.t.Helper()
	if !errors.Is(err, class) {
		w.t.Fatalf("got %v, want %v", err, class)
	}
}

// fill writes accounts 1 … n with a balance of 100 each in one transaction, and
// waits until they are settled.
func (c *client) fill(n int, names ...model.TableName) {
	c.w.t.Helper()
	tx := c.begin()
	for _, name := range names {
		for i := 1; i <= n; i++ {
			c.w.must(tx.Insert(ctx, txn.Write{Table: name, Key: at(i), Set: []txn.Set{
				{Column: "balance", Value: model.BigIntValue(100)}, {Column: "owner", Value: model.TextValue("ann")}, {Column: "note", Value: model.TextValue("n")}}}))
		}
	}
	c.w.must(tx.Commit(ctx))
	c.w.must(c.Flush(ctx))
	c.take()
}

// stored reads a record as it is in the database, NULLs left out; nil if it is
// not there.
func (w *world) stored(name model.TableName, no int) map[string]string {
	w.t.Helper()
	table, err := w.store.Admin().Table(ctx, name)
	w.must(err)
	rows, err := w.store.Get(ctx, []storage.Get{{Table: table, Key: at(no)}})
	w.must(err)
	return show(rows[0])
}

func show(r *model.Row) map[string]string {
	if r == nil {
		return nil
	}
	out := map[string]string{}
	for i, c := range r.Table.Columns() {
		if v := r.Values[i]; v.IsSet() && !v.IsNull() {
			out[c.Name] = v.String()
		}
	}
	return out
}

// raw overwrites columns of a record of accounts as no transaction would.
func (w *world) raw(no int, set map[string]model.Value) {
	w.t.Helper()
	m := storage.Mutation{Kind: storage.Put, Table: physical(accountsName), Key: at(no)}
	for column, v := range set {
		m.Set = append(m.Set, storage.Assignment{Column: column, Value: v})
	}
	w.must(w.store.Mutate(ctx, storage.Batch{Mutations: []storage.Mutation{m}}))
}

// state reads the Coordinator's row of a transaction: "" if there is none.
func (w *world) state(id string) string {
	w.t.Helper()
	rows, err := w.store.Get(ctx, []storage.Get{{Table: record.CoordinatorTable(""), Key: model.Key{Partition: []model.Value{model.TextValue(id)}}}})
	w.must(err)
	if rows[0] == nil {
		return ""
	}
	return rows[0].Get("tx_state").String()
}

// decide writes a row of the Coordinator's table.
func (w *world) decide(id string, state record.State, created int64) {
	w.t.Helper()
	w.must(w.store.Mutate(ctx, storage.Batch{Mutations: []storage.Mutation{{Kind: storage.Put, Table: record.CoordinatorTable(""),
		Key: model.Key{Partition: []model.Value{model.TextValue(id)}}, Guard: storage.Guard{Kind: storage.NotExists},
		Set: []storage.Assignment{{Column: "tx_state", Value: model.IntValue(int32(state))}, {Column: "tx_created_at", Value: model.BigIntValue(created)}}}}}))
}

// balanceOf reads a balance in a transaction of its own; -1 if there is no row.
func (c *client) balanceOf(name model.TableName, no int) int64 {
	c.w.t.Helper()
	tx := c.begin()
	row, err := tx.Get(ctx, name, at(no))
	c.w.must(err)
	c.w.must(tx.Rollback(ctx))
	if row == nil {
		return -1
	}
	return row.Get("balance").Int64()
}

var errStop = errors.New("stopped here")

// crashBefore makes the client's writes fail, without an answer, from the first one
// that matches on, as if the process had ended there. The matching one is not
// applied.
func (c *client) crashBefore(matches func(storage.Batch) bool) {
	dead := false
	var mu sync.Mutex
	c.onMutate(func(b storage.Batch, next func() error) error {
		mu.Lock()
		dead = dead || matches(b)
		stop := dead
		mu.Unlock()
		if stop {
			return storage.UnknownError("a", errStop)
		}
		return next()
	})
}

// decides tells the call that writes a COMMITTED row.
func decides(b storage.Batch) bool { return touches(b, stateName) }
