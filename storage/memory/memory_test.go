package memory_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/memory"
)

var accounts = mustTable(model.TableSpec{
	Name: model.TableName{Namespace: "bank", Name: "accounts"},
	Columns: []model.Column{{Name: "branch", Type: model.Text}, {Name: "no", Type: model.Int},
		{Name: "balance", Type: model.BigInt}, {Name: "before", Type: model.BigInt}, {Name: "owner", Type: model.Text}},
	PartitionKey:  []string{"branch"},
	ClusteringKey: []model.ClusteringColumn{{Name: "no", Order: model.Desc}},
	Indexes:       []string{"owner"},
})

func mustTable(spec model.TableSpec) *model.Table {
	t, err := model.NewTable(spec)
	if err != nil {
		panic(err)
	}
	return t
}

func open(t *testing.T, opts memory.Options) *memory.Storage {
	t.Helper()
	s := memory.NewDatabase().Open("main", opts)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	ctx := context.Background()
	if err := s.Admin().CreateNamespace(ctx, "bank"); err != nil {
		t.Fatal(err)
	}
	if err := s.Admin().CreateTable(ctx, accounts); err != nil {
		t.Fatal(err)
	}
	return s
}

func key(branch string, no int32) model.Key {
	return model.Key{Partition: []model.Value{model.TextValue(branch)}, Clustering: []model.Value{model.IntValue(no)}}
}

func put(branch string, no int32, balance int64, guard storage.Guard) storage.Mutation {
	return storage.Mutation{Kind: storage.Put, Table: accounts, Key: key(branch, no), Guard: guard,
		Set: []storage.Assignment{{Column: "balance", Value: model.BigIntValue(balance)}}}
}

func mutate(s storage.Storage, ms ...storage.Mutation) error {
	return s.Mutate(context.Background(), storage.Batch{Mutations: ms})
}

func balance(t *testing.T, s storage.Storage, branch string, no int32) int64 {
	t.Helper()
	rows, err := s.Get(context.Background(), []storage.Get{{Table: accounts, Key: key(branch, no)}})
	if err != nil {
		t.Fatal(err)
	}
	if rows[0] == nil {
		return -1
	}
	return rows[0].Get("balance").Int64()
}

func TestBatchIsAppliedWhollyOrNotAtAll(t *testing.T) {
	s := open(t, memory.Options{})
	if err := mutate(s, put("a", 1, 10, storage.Guard{Kind: storage.NotExists})); err != nil {
		t.Fatal(err)
	}
	err := mutate(s, put("a", 2, 20, storage.Guard{}), put("a", 1, 11, storage.Guard{Kind: storage.NotExists}))
	ce, ok := errors.AsType[*storage.ConditionError](err)
	if !ok || ce.Index != 1 {
		t.Fatalf("got %v, want the condition of mutation 1 to fail", err)
	}
	if b := balance(t, s, "a", 2); b != -1 {
		t.Fatalf("half of the batch was applied: balance %d", b)
	}
}

func TestConditionOnMissingRowIsFalse(t *testing.T) {
	s := open(t, memory.Options{})
	guard := storage.Guard{Kind: storage.If, Conditions: []model.Condition{{Column: "balance", Op: model.IsNull}}}
	if got := storage.OutcomeOf(mutate(s, put("a", 1, 1, guard))); got != storage.ConditionFailed {
		t.Fatalf("outcome %v", got)
	}
}

func TestCopiedColumnHoldsTheValueBeforeTheMutation(t *testing.T) {
	s := open(t, memory.Options{})
	if err := mutate(s, put("a", 1, 10, storage.Guard{})); err != nil {
		t.Fatal(err)
	}
	m := put("a", 1, 11, storage.Guard{Kind: storage.Exists})
	m.Set = append(m.Set, storage.Assignment{Column: "before", From: "balance"})
	if err := mutate(s, m); err != nil {
		t.Fatal(err)
	}
	rows, err := s.Get(context.Background(), []storage.Get{{Table: accounts, Key: key("a", 1)}})
	if err != nil {
		t.Fatal(err)
	}
	if b := rows[0].Get("before").Int64(); b != 10 {
		t.Fatalf("before = %d, want 10", b)
	}
	if got := storage.OutcomeOf(mutate(open(t, memory.Options{NoCopyColumns: true}), m)); got != storage.Refused {
		t.Fatalf("without the power: %v", got)
	}
}

func TestBatchBeyondTheUnitIsRefused(t *testing.T) {
	two := []storage.Mutation{put("a", 1, 1, storage.Guard{}), put("b", 1, 1, storage.Guard{})}
	for name, opts := range map[string]memory.Options{
		"partition": {Unit: memory.Partition},
		"length":    {MaxMutations: 1},
	} {
		if got := storage.OutcomeOf(mutate(open(t, opts), two...)); got != storage.Refused {
			t.Errorf("%s: %v", name, got)
		}
	}
	s := open(t, memory.Options{Unit: memory.Partition})
	if err := mutate(s, put("a", 1, 1, storage.Guard{}), put("a", 2, 1, storage.Guard{})); err != nil {
		t.Errorf("within one partition: %v", err)
	}
}

func TestPagesShowEachRowOnceInOrder(t *testing.T) {
	for name, opts := range map[string]memory.Options{"atomic": {PageSize: 3}, "row by row": {PageSize: 3, NoAtomicScan: true}} {
		t.Run(name, func(t *testing.T) {
			s := open(t, opts)
			for i := int32(1); i <= 10; i++ {
				if err := mutate(s, put("a", i, int64(i%3), storage.Guard{}), put("b", i, 0, storage.Guard{})); err != nil {
					t.Fatal(err)
				}
			}
			partition := storage.Scan{Table: accounts, Partition: []model.Value{model.TextValue("a")},
				Start: storage.Bound{Values: []model.Value{model.IntValue(2)}}, End: storage.Bound{Values: []model.Value{model.IntValue(9)}, Exclusive: true}}
			expect(t, s, partition, 8, 7, 6, 5, 4, 3, 2)
			partition.Reverse = true
			expect(t, s, partition, 2, 3, 4, 5, 6, 7, 8)
			whole := storage.Scan{Table: accounts, Kind: storage.ScanTable, OrderBy: []storage.OrderBy{{Column: "balance", Order: model.Desc}},
				Where: model.Predicate{{{Column: "branch", Op: model.Eq, Value: model.TextValue("a")}}}}
			expect(t, s, whole, 2, 5, 8, 1, 4, 7, 10, 3, 6, 9)
		})
	}
}

func expect(t *testing.T, s storage.Storage, scan storage.Scan, want ...int64) {
	t.Helper()
	var got []int64
	for {
		page, err := s.Scan(context.Background(), scan)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.Rows {
			got = append(got, r.Get("no").Int64())
		}
		if page.Next == "" {
			break
		}
		scan.Token = page.Next
	}
	if len(got) != len(want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
}

func TestFenceWaitsForWritersAndHoldsThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		locked, goOn := make(chan struct{}), make(chan struct{})
		db := memory.NewDatabase()
		s := db.Open("main", memory.Options{})
		slow := db.Open("main", memory.Options{Locked: func(context.Context, storage.Batch) { close(locked); <-goOn }})
		ctx := t.Context()
		if err := s.Admin().CreateNamespace(ctx, "bank"); err != nil {
			t.Fatal(err)
		}
		if err := s.Admin().CreateTable(ctx, accounts); err != nil {
			t.Fatal(err)
		}
		written := make(chan error)
		go func() { written <- mutate(slow, put("a", 1, 1, storage.Guard{})) }()
		<-locked
		tables := storage.FenceOptions{Tables: []model.TableName{accounts.Name()}, Wait: time.Second}
		_, err := s.Fence(ctx, tables)
		if _, ok := errors.AsType[*storage.FenceBusyError](err); !ok {
			t.Fatalf("fence beside a writer: %v", err)
		}
		close(goOn)
		if err := <-written; err != nil {
			t.Fatal(err)
		}
		f, err := s.Fence(ctx, tables)
		if err != nil {
			t.Fatal(err)
		}
		go func() { written <- mutate(s, put("a", 1, 2, storage.Guard{})) }()
		synctest.Wait()
		if b := balance(t, s, "a", 1); b != 1 {
			t.Fatalf("a write went past the fence: %d", b)
		}
		if err := f.Alive(ctx); err != nil {
			t.Fatal(err)
		}
		if err := f.Release(ctx); err != nil {
			t.Fatal(err)
		}
		if err := <-written; err != nil {
			t.Fatal(err)
		}
		if err := s.ProveFence(ctx, tables); err != nil {
			t.Fatal(err)
		}
	})
}

func TestFenceHeldTooLongIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, memory.Options{FenceLimit: time.Second})
		f, err := s.Fence(t.Context(), storage.FenceOptions{Tables: []model.TableName{accounts.Name()}})
		if err != nil {
			t.Fatal(err)
		}
		if err := mutate(s, put("a", 1, 1, storage.Guard{})); err != nil {
			t.Fatal(err)
		}
		if err := f.Alive(t.Context()); !errors.Is(err, model.ErrUnavailable) {
			t.Fatalf("a lost fence says %v", err)
		}
	})
}

func TestDeadlineEndsAWaitForAFenceWithNothingApplied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, memory.Options{})
		f, err := s.Fence(t.Context(), storage.FenceOptions{Tables: []model.TableName{accounts.Name()}})
		if err != nil {
			t.Fatal(err)
		}
		err = s.Mutate(t.Context(), storage.Batch{Mutations: []storage.Mutation{put("a", 1, 1, storage.Guard{})}, Deadline: time.Now().Add(time.Second)})
		if got := storage.OutcomeOf(err); got != storage.NotApplied {
			t.Fatalf("outcome %v (%v)", got, err)
		}
		if err := f.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		if b := balance(t, s, "a", 1); b != -1 {
			t.Fatalf("balance %d", b)
		}
	})
}

func TestSnapshotStaysAsItWasOpened(t *testing.T) {
	s := open(t, memory.Options{})
	ctx := t.Context()
	if err := mutate(s, put("a", 1, 1, storage.Guard{}), put("a", 2, 1, storage.Guard{})); err != nil {
		t.Fatal(err)
	}
	snap, err := s.PrepareSnapshot(ctx, storage.SnapshotOptions{Tables: []model.TableName{accounts.Name()}})
	if err != nil {
		t.Fatal(err)
	}
	if err := snap.Open(ctx); err != nil {
		t.Fatal(err)
	}
	if err := mutate(s, put("a", 1, 2, storage.Guard{}), put("a", 3, 2, storage.Guard{})); err != nil {
		t.Fatal(err)
	}
	parts, err := snap.Split(ctx, accounts, 2)
	if err != nil {
		t.Fatal(err)
	}
	var sum, rows int64
	for _, p := range parts {
		if err := snap.Read(ctx, accounts, p, func(r *model.Row) error {
			rows++
			sum += r.Get("balance").Int64()
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	if rows != 2 || sum != 2 || len(parts) != 2 {
		t.Fatalf("%d rows of %d in %d parts, want 2 of 2 in 2", rows, sum, len(parts))
	}
	if err := snap.Verify(ctx); err != nil {
		t.Fatal(err)
	}
	if err := snap.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestLoadRefusesARowThatIsThere(t *testing.T) {
	s := open(t, memory.Options{})
	row := &model.Row{Table: accounts, Values: []model.Value{model.TextValue("a"), model.IntValue(1), model.BigIntValue(5), model.Null(model.BigInt), model.Null(model.Text)}}
	rows := func(yield func(*model.Row, error) bool) { _ = yield(row, nil) }
	if n, err := s.Load(t.Context(), accounts, rows); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if _, err := s.Load(t.Context(), accounts, rows); !errors.Is(err, model.ErrExists) {
		t.Fatalf("second load: %v", err)
	}
}

func TestStoragesOfOneURLShareTheirData(t *testing.T) {
	ctx := t.Context()
	var handles []storage.Storage
	for range 2 {
		s, err := storage.Open(ctx, storage.Config{Name: "m", Driver: memory.DriverName, URL: t.Name()})
		if err != nil {
			t.Fatal(err)
		}
		handles = append(handles, s)
	}
	if err := handles[0].Admin().CreateNamespace(ctx, "bank"); err != nil {
		t.Fatal(err)
	}
	if err := handles[0].Admin().CreateTable(ctx, accounts); err != nil {
		t.Fatal(err)
	}
	if err := mutate(handles[0], put("a", 1, 7, storage.Guard{})); err != nil {
		t.Fatal(err)
	}
	if b := balance(t, handles[1], "a", 1); b != 7 {
		t.Fatalf("balance %d", b)
	}
}

func TestCallsAfterCloseAreUnavailable(t *testing.T) {
	s := memory.New("m")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Admin().CreateNamespace(t.Context(), "x"); !errors.Is(err, model.ErrUnavailable) {
		t.Fatal(err)
	}
}
