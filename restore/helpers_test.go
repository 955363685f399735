package restore_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/restore"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/memory"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

const t0 = int64(1_700_000_000_000)

var moment = time.UnixMilli(t0 + 1000).UTC()

func name(s string) model.TableName {
	n, err := model.ParseTableName(s)
	if err != nil {
		panic(err)
	}
	return n
}

// fakeBackup is a backup in memory: what restore asks of one.
type fakeBackup struct {
	id      string
	tables  []restore.BackupTable
	rows    map[string][]*model.Row
	damaged string // a table that cannot be read to its end
}

func (b *fakeBackup) ID() string                    { return b.id }
func (b *fakeBackup) Moment() time.Time             { return moment }
func (b *fakeBackup) Tables() []restore.BackupTable { return b.tables }

func (b *fakeBackup) Rows(_ context.Context, t restore.BackupTable) iter.Seq2[*model.Row, error] {
	return func(yield func(*model.Row, error) bool) {
		name := t.Table.Name().String()
		shared := &model.Row{Table: t.Table} // valid until the next one only
		for i, row := range b.rows[name] {
			if name == b.damaged && i == len(b.rows[name])-1 {
				yield(nil, model.Errorf(model.ErrDamaged, "backup %s is damaged: %s", b.id, name))
				return
			}
			shared.Values = append(shared.Values[:0], row.Values...)
			if !yield(shared, nil) {
				return
			}
		}
	}
}

func (b *fakeBackup) add(t testing.TB, storage string, def *model.Table, rows ...map[string]any) {
	t.Helper()
	bt := restore.BackupTable{Storage: storage, Table: def, Rows: int64(len(rows)), Bytes: int64(100 * len(rows)),
		Coordinator: def.Name() == name("coordinator.state"), Transactional: record.IsTransactional(def)}
	b.tables = append(b.tables, bt)
	for _, cs := range rows {
		row := &model.Row{Table: def}
		for _, c := range def.Columns() {
			row.Values = append(row.Values, model.Null(c.Type))
		}
		for c, x := range cs {
			i, err := def.Column(c)
			must(t, err)
			row.Values[i] = value(def.Columns()[i].Type, x)
		}
		b.rows[def.Name().String()] = append(b.rows[def.Name().String()], row)
	}
}

func value(t model.DataType, x any) model.Value {
	switch x := x.(type) {
	case int:
		return model.RawValue(t, int64(x))
	case int64:
		return model.RawValue(t, x)
	case string:
		return model.TextValue(x)
	}
	panic("value")
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func physical(t testing.TB, table string, key model.DataType) *model.Table {
	t.Helper()
	user, err := model.NewTable(model.TableSpec{Name: name(table), PartitionKey: []string{"id"}, Indexes: []string{"note"},
		Columns: []model.Column{{Name: "id", Type: key}, {Name: "balance", Type: model.BigInt}, {Name: "note", Type: model.Text}}})
	must(t, err)
	p, err := record.Physical(user)
	must(t, err)
	return p
}

type cols = map[string]any

func committed(id int, tx string, balance int) cols {
	return cols{"id": id, "balance": balance, "tx_id": tx, "tx_state": 3, "tx_version": 1, "tx_prepared_at": t0, "tx_committed_at": t0 + 1}
}

func prepared(id int, tx string, balance, before int) cols {
	return cols{"id": id, "balance": balance, "tx_id": tx, "tx_state": 1, "tx_version": 2, "tx_prepared_at": t0 + 10, "tx_committed_at": t0 + 1,
		"before_balance": before, "before_tx_id": "base", "before_tx_state": 3, "before_tx_version": 1, "before_tx_prepared_at": t0, "before_tx_committed_at": t0 + 1}
}

func inserted(id int, tx string, balance int) cols {
	return cols{"id": id, "balance": balance, "tx_id": tx, "tx_state": 1, "tx_version": 1, "tx_prepared_at": t0 + 10}
}

const groupID = "0123456789abcdefghijklmn"

// bank is a backup of two storages with every kind of record in doubt.
func bank(t testing.TB) *fakeBackup {
	b := &fakeBackup{id: "20261122T083001Z-7f3a", rows: map[string][]*model.Row{}}
	b.add(t, "pg", physical(t, "bank.accounts", model.Int),
		committed(1, "base", 100), committed(2, "base", 100),
		prepared(3, "done", 70, 100), inserted(4, "done", 30), prepared(5, "gone", 1, 100), inserted(6, "gone", 99),
		prepared(7, groupID+"$a", 60, 100), prepared(8, groupID+"$b", 1, 100))
	b.add(t, "my", physical(t, "vault.accounts", model.BigInt),
		committed(1, "base", 100), prepared(2, "failed", 1, 100), prepared(3, groupID+"$a", 140, 100))
	plain, err := model.NewTable(model.TableSpec{Name: name("vault.log"), PartitionKey: []string{"id"}, Columns: []model.Column{{Name: "id", Type: model.Int}, {Name: "text", Type: model.Text}}})
	must(t, err)
	b.add(t, "my", plain, cols{"id": 1, "text": "as it is"})
	spec := record.CoordinatorTable("").Spec()
	spec.Columns = append(spec.Columns, model.Column{Name: record.ChildIDs, Type: model.Text})
	coordinator, err := model.NewTable(spec)
	must(t, err)
	b.add(t, "pg", coordinator,
		cols{"tx_id": "base", "tx_state": 3, "tx_created_at": t0 + 1}, cols{"tx_id": "done", "tx_state": 3, "tx_created_at": t0 + 20},
		cols{"tx_id": "failed", "tx_state": 4, "tx_created_at": t0 + 20}, cols{"tx_id": groupID, "tx_state": 3, "tx_created_at": t0 + 20, "tx_child_ids": "a,c"})
	return b
}

// wantBank is what the bank must be after its restore: balances by table and id.
var wantBank = map[string]map[int64]int64{
	"bank.accounts":  {1: 100, 2: 100, 3: 70, 4: 30, 5: 100, 7: 60, 8: 100},
	"vault.accounts": {1: 100, 2: 100, 3: 140},
}

// wantStates is what the Coordinator must say.
var wantStates = map[string]int64{"base": 3, "done": 3, "failed": 4, groupID: 3, "gone": 4, groupID + "$b": 4}

// target is a memory database whose calls can be made to fail, and on which
// sessions of others can be shown.
type target struct {
	*memory.Storage
	t *trouble

	mu       sync.Mutex
	sessions []storage.Session
	stubborn bool // they come back
}

// trouble counts calls over all targets and fails one of them.
type trouble struct {
	mu     sync.Mutex
	calls  int
	failAt int  // 0 = never
	after  bool // the call is done, and its answer lost
}

var errTrouble = errors.New("the database went away")

func (t *trouble) do(f func() error) error {
	t.mu.Lock()
	t.calls++
	hit := t.calls == t.failAt
	t.mu.Unlock()
	if hit && !t.after {
		return model.Errorf(model.ErrUnavailable, "%w", errTrouble)
	}
	if err := f(); err != nil {
		return err
	}
	if hit {
		return model.Errorf(model.ErrUnavailable, "%w", errTrouble)
	}
	return nil
}

func (s *target) Mutate(ctx context.Context, b storage.Batch) error {
	return s.t.do(func() error { return s.Storage.Mutate(ctx, b) })
}

func (s *target) Load(ctx context.Context, t *model.Table, rows iter.Seq2[*model.Row, error]) (n int64, err error) {
	err = s.t.do(func() (err error) {
		n, err = s.Storage.Load(ctx, t, func(yield func(*model.Row, error) bool) {
			for row, err := range rows {
				if err == nil {
					err = s.t.do(func() error { return nil }) // breaks off in the middle
				}
				if !yield(row, err) || err != nil {
					return
				}
			}
		})
		return err
	})
	return n, err
}

func (s *target) Sessions(context.Context) ([]storage.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.sessions), nil
}

func (s *target) TerminateSessions(context.Context) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.sessions)
	if !s.stubborn {
		s.sessions = nil
	}
	return n, nil
}

func (s *target) Admin() storage.Admin { return admin{s.Storage.Admin(), s.t} }

type admin struct {
	storage.Admin
	t *trouble
}

func (a admin) CreateNamespace(ctx context.Context, ns string) error {
	return a.t.do(func() error { return a.Admin.CreateNamespace(ctx, ns) })
}
func (a admin) DropNamespace(ctx context.Context, ns string) error {
	return a.t.do(func() error { return a.Admin.DropNamespace(ctx, ns) })
}
func (a admin) CreateTable(ctx context.Context, t *model.Table) error {
	return a.t.do(func() error { return a.Admin.CreateTable(ctx, t) })
}
func (a admin) DropTable(ctx context.Context, n model.TableName) error {
	return a.t.do(func() error { return a.Admin.DropTable(ctx, n) })
}
func (a admin) TruncateTable(ctx context.Context, n model.TableName) error {
	return a.t.do(func() error { return a.Admin.TruncateTable(ctx, n) })
}

// journals keeps journals in memory.
type journals struct {
	t  *trouble
	mu sync.Mutex
	m  map[string][]byte
}

func (j *journals) Load(_ context.Context, name string) ([]byte, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if b, ok := j.m[name]; ok {
		return b, nil
	}
	return nil, model.Errorf(model.ErrNotFound, "no journal")
}

func (j *journals) Save(_ context.Context, name string, data []byte) error {
	return j.t.do(func() error {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.m[name] = slices.Clone(data)
		return nil
	})
}

// world is a backup and the databases that it is restored to.
type world struct {
	t       testing.TB
	trouble *trouble
	targets map[string]*target
	opts    restore.Options
}

func newWorld(t testing.TB, b *fakeBackup) *world {
	w := &world{t: t, trouble: &trouble{}, targets: map[string]*target{}}
	w.opts = restore.Options{Backup: b, Journal: &journals{t: w.trouble, m: map[string][]byte{}}, Scratch: t.TempDir(), Target: restore.Target{Label: "test.properties"}}
	for _, n := range []string{"pg", "my"} {
		w.targets[n] = &target{Storage: memory.New(n), t: w.trouble}
		w.opts.Target.Storages = append(w.opts.Target.Storages, w.targets[n])
	}
	return w
}

// fill puts other data in the way: the same tables, other rows.
func (w *world) fill() {
	w.t.Helper()
	for _, bt := range w.opts.Backup.Tables() {
		st := w.targets[bt.Storage].Storage
		must(w.t, st.Admin().CreateNamespace(w.t.Context(), bt.Table.Name().Namespace))
		def := bt.Table
		if def.Name() == name("vault.accounts") { // defined otherwise
			def = physical(w.t, "vault.accounts", model.Text)
		}
		must(w.t, st.Admin().CreateTable(w.t.Context(), def))
		key := model.RawValue(def.Columns()[0].Type, 77)
		if def.Columns()[0].Type == model.Text {
			key = model.TextValue("old")
		}
		must(w.t, st.Mutate(w.t.Context(), storage.Batch{Mutations: []storage.Mutation{{Table: def, Key: model.Key{Partition: []model.Value{key}}}}}))
	}
}

// state reads a column of every row of a table.
func (w *world) state(st, table, key, column string) map[any]int64 {
	w.t.Helper()
	def, err := w.targets[st].Storage.Admin().Table(w.t.Context(), name(table))
	must(w.t, err)
	page, err := w.targets[st].Storage.Scan(w.t.Context(), storage.Scan{Table: def, Kind: storage.ScanTable})
	must(w.t, err)
	got := map[any]int64{}
	for _, row := range page.Rows {
		k := any(row.Get(key).Int64())
		if row.Get(key).Type() == model.Text {
			k = row.Get(key).Str()
		}
		got[k] = row.Get(column).Int64()
		if record.IsTransactional(def) && row.Get("tx_state").Int64() != 3 {
			w.t.Errorf("%s %v is not committed", table, k)
		}
	}
	return got
}

// whole checks that the databases hold the bank and nothing else.
func (w *world) whole() {
	w.t.Helper()
	for table, want := range wantBank {
		st := map[string]string{"bank.accounts": "pg", "vault.accounts": "my"}[table]
		got := w.state(st, table, "id", "balance")
		if fmt.Sprint(got) != fmt.Sprint(want) {
			w.t.Errorf("%s is %v, want %v", table, got, want)
		}
	}
	states := map[string]int64{}
	for k, v := range w.state("pg", "coordinator.state", "tx_id", "tx_state") {
		states[k.(string)] = v
	}
	if !maps.Equal(states, wantStates) {
		w.t.Errorf("the Coordinator says %v, want %v", states, wantStates)
	}
	if got := w.state("my", "vault.log", "id", "id"); len(got) != 1 {
		w.t.Errorf("vault.log is %v", got)
	}
	for n := range w.targets {
		if w.marked(n) {
			w.t.Errorf("%s still has its mark", n)
		}
	}
}

func (w *world) marked(st string) bool {
	w.t.Helper()
	names, err := w.targets[st].Storage.Admin().Tables(w.t.Context(), "stillpoint_restore")
	must(w.t, err)
	return slices.Contains(names, name("stillpoint_restore.unfinished"))
}
