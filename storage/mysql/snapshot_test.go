//go:build servers

package mysql

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stillpoint-db/stillpoint/internal/testenv"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

func snapshotOf(t *testing.T, s *Store, readers int, tables ...*model.Table) *snapshot {
	t.Helper()
	o := storage.SnapshotOptions{Readers: readers}
	for _, tbl := range tables {
		o.Tables = append(o.Tables, tbl.Name())
	}
	n, err := s.PrepareSnapshot(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n.(*snapshot)
}

func readAll(t *testing.T, n storage.Snapshot, table *model.Table, parts []storage.Part) map[string]model.Value {
	t.Helper()
	out := map[string]model.Value{}
	for _, p := range parts {
		err := n.Read(context.Background(), table, p, func(r *model.Row) error {
			k := r.Get("k").Str()
			if _, twice := out[k]; twice {
				return fmt.Errorf("row %s comes twice", k)
			}
			out[k] = r.Get("v")
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func TestEveryReaderOfASnapshotSeesTheSameMomentUnderWrites(t *testing.T) {
	s := open(t)
	ns := testenv.MariaDB(t).Namespace(t)
	left, right := newTable(t, s, ns, "l"), newTable(t, s, ns, "r")
	ctx := context.Background()
	mustMutate(t, s, put(left, "x", 0, notExists), put(right, "x", 0, notExists))
	stop, stopped := make(chan struct{}), make(chan error, 1)
	go func() { // both rows always hold the same number
		for i := int32(0); ; i++ {
			select {
			case <-stop:
				stopped <- nil
				return
			default:
			}
			if err := s.Mutate(ctx, batch(put(left, "x", i+1, vIs(i)), put(right, "x", i+1, vIs(i)))); err != nil {
				stopped <- err
				return
			}
		}
	}()
	for range 20 {
		n := snapshotOf(t, s, 4, left, right)
		if err := n.Open(ctx); err != nil {
			t.Fatal(err)
		}
		if err := n.Detach(ctx); err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		seen := map[model.Value]int{}
		var wg sync.WaitGroup
		for i := range 8 {
			table := left
			if i%2 == 1 {
				table = right
			}
			wg.Go(func() {
				err := n.Read(ctx, table, storage.Part{Where: keyRange{}}, func(r *model.Row) error {
					mu.Lock()
					defer mu.Unlock()
					seen[r.Get("v")]++
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if len(seen) != 1 {
			t.Fatalf("%d sessions see different moments: %v", len(n.sessions), seen)
		}
		if err := n.Verify(ctx); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
}

func TestASnapshotOpensUnderAFence(t *testing.T) {
	s := open(t)
	ns := testenv.MariaDB(t).Namespace(t)
	table, beside := newTable(t, s, ns, "t"), newTable(t, s, ns, "u") // the fence is not over all of them
	ctx := context.Background()
	mustMutate(t, s, put(table, "a", 1, notExists))
	n := snapshotOf(t, s, 3, table, beside)
	f, err := s.Fence(ctx, fenceOf(table))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Mutate(ctx, batch(put(table, "a", 2, exists))) }()
	waitFor(t, "Waiting for table metadata lock", "%UPDATE%")
	if err := n.Open(ctx); err != nil {
		t.Fatal(err)
	}
	if len(n.sessions) != 3 {
		t.Fatalf("%d sessions", len(n.sessions))
	}
	if err := f.Release(ctx); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, n, table, []storage.Part{{Where: keyRange{}}}); got["a"] != model.IntValue(1) {
		t.Fatalf("%v", got)
	}
	def, err := n.Table(ctx, table.Name())
	if err != nil || !def.Equal(table) {
		t.Fatalf("%v %v", def, err)
	}
}

func TestChangesOfTheSchemaMakeASnapshotFailLoudly(t *testing.T) {
	s := open(t)
	server := testenv.MariaDB(t)
	ctx := context.Background()
	for name, ddl := range map[string]string{
		"truncate": "TRUNCATE TABLE %s", "rebuild": "ALTER TABLE %s FORCE, ALGORITHM=COPY", "drop": "DROP TABLE %s", "drop column": "ALTER TABLE %s DROP COLUMN v, ALGORITHM=COPY",
		"rename": "RENAME TABLE %[1]s TO %[1]s_x",
	} {
		t.Run(name, func(t *testing.T) {
			ns := server.Namespace(t)
			if err := s.Admin().CreateNamespace(ctx, ns); err != nil {
				t.Fatal(err)
			}
			table := newTable(t, s, ns, "t")
			mustMutate(t, s, put(table, "a", 1, notExists))
			n := snapshotOf(t, s, 2, table)
			if err := n.Open(ctx); err != nil {
				t.Fatal(err)
			}
			server.Exec(t, fmt.Sprintf(ddl, ns+".t"))
			err := n.Read(ctx, table, storage.Part{Where: keyRange{}}, func(*model.Row) error { return nil })
			if !errors.Is(err, model.ErrInconsistent) {
				t.Fatalf("read: %v", err)
			}
			if err := n.Verify(ctx); !errors.Is(err, model.ErrInconsistent) {
				t.Fatalf("verify: %v", err)
			}
		})
	}
}

func TestAReadSnapshotDoesNotHoldUpDDL(t *testing.T) {
	s := open(t)
	table := newTable(t, s, testenv.MariaDB(t).Namespace(t), "t")
	ctx := context.Background()
	mustMutate(t, s, put(table, "a", 1, notExists))
	n := snapshotOf(t, s, 1, table)
	if err := n.Open(ctx); err != nil {
		t.Fatal(err)
	}
	readAll(t, n, table, []storage.Part{{Where: keyRange{}}})
	testenv.MariaDB(t).Exec(t, "SET STATEMENT lock_wait_timeout=30 FOR ALTER TABLE "+s.dialect.Table(table.Name())+" ADD COLUMN extra INT")
}

func TestPartsOfATableCoverEachRowOnce(t *testing.T) {
	s := open(t)
	ns := testenv.MariaDB(t).Namespace(t)
	ctx := context.Background()
	kinds := map[string]func(i int) model.Value{
		"int":   func(i int) model.Value { return model.IntValue(int32(i*7919 - 1<<30)) },
		"text":  func(i int) model.Value { return model.TextValue(fmt.Sprintf("user%c%d", rune('a'+i%50), i)) },
		"blob":  func(i int) model.Value { return model.BlobStringValue(fmt.Sprintf("%c\x00%d", byte(i), i)) },
		"day":   func(i int) model.Value { return model.RawValue(model.Date, int64(i)) },
		"clock": func(i int) model.Value { return model.RawValue(model.Time, int64(i)*1000) },
	}
	for kind, value := range kinds {
		t.Run(kind, func(t *testing.T) {
			table, err := model.NewTable(model.TableSpec{Name: model.TableName{Namespace: ns, Name: kind},
				Columns: []model.Column{{Name: "k", Type: value(0).Type()}, {Name: "t", Type: model.Text}}, PartitionKey: []string{"k"}})
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Admin().CreateNamespace(ctx, ns); err != nil {
				t.Fatal(err)
			}
			if err := s.Admin().CreateTable(ctx, table); err != nil {
				t.Fatal(err)
			}
			const rows = 6000
			big := model.TextValue(string(make([]byte, 6000)))
			n, err := s.Load(ctx, table, func(yield func(*model.Row, error) bool) {
				for i := range rows {
					if !yield(&model.Row{Table: table, Values: []model.Value{value(i), big}}, nil) {
						return
					}
				}
			})
			if err != nil || n != rows {
				t.Fatal(n, err)
			}
			testenv.MariaDB(t).Exec(t, "ANALYZE TABLE "+s.dialect.Table(table.Name()))
			snap := snapshotOf(t, s, 2, table)
			if err := snap.Open(ctx); err != nil {
				t.Fatal(err)
			}
			parts, err := snap.Split(ctx, table, 4)
			if err != nil {
				t.Fatal(err)
			}
			if len(parts) != 4 {
				t.Fatalf("%d parts", len(parts))
			}
			seen := map[model.Value]bool{}
			for i, p := range parts {
				count := 0
				err := snap.Read(ctx, table, p, func(r *model.Row) error {
					count++
					if seen[r.Values[0]] {
						return fmt.Errorf("%v comes twice", r.Values[0])
					}
					seen[r.Values[0]] = true
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
				if count > rows*3/4 {
					t.Errorf("part %d of 4 has %d of %d rows", i, count, rows)
				}
			}
			if len(seen) != rows {
				t.Fatalf("%d rows of %d", len(seen), rows)
			}
		})
	}
}

func TestAReaderThatStopsGetsItsErrorBack(t *testing.T) {
	s := open(t)
	table := newTable(t, s, testenv.MariaDB(t).Namespace(t), "t")
	ctx := context.Background()
	mustMutate(t, s, put(table, "a", 1, notExists), put(table, "b", 1, notExists))
	n := snapshotOf(t, s, 1, table)
	if err := n.Open(ctx); err != nil {
		t.Fatal(err)
	}
	mine := errors.New("enough")
	if err := n.Read(ctx, table, storage.Part{Where: keyRange{}}, func(*model.Row) error { return mine }); err != mine {
		t.Fatal(err)
	}
	if err := n.Read(ctx, table, storage.Part{Where: keyRange{}}, func(*model.Row) error { return nil }); !errors.Is(err, model.ErrUnavailable) {
		t.Fatal(err)
	}
}

// TestATableThatIsSwappedForAnotherIsLoud renames two tables that were there before
// the snapshot, as tools do that change a table beside its use. The server reads
// the other one without a word.
func TestATableThatIsSwappedForAnotherIsLoud(t *testing.T) {
	server := testenv.MariaDB(t)
	for _, process := range []bool{true, false} { // the right to see the numbers of tables
		admin := open(t)
		ns := server.Namespace(t)
		table, beside := newTable(t, admin, ns, "t"), newTable(t, admin, ns, "u")
		ctx := t.Context()
		mustMutate(t, admin, put(table, "a", 1, notExists), put(table, "b", 1, notExists))
		mustMutate(t, admin, put(beside, "a", 1, notExists))
		s := admin
		if !process {
			name, password := server.User(t, "SELECT, LOCK TABLES ON `"+ns+"`.*", "SELECT ON `scalardb`.*")
			s = openURL(t, server.URL(), func(c *storage.Config) { c.User, c.Password = name, storage.Secret(password) })
		}
		n := snapshotOf(t, s, 2, table)
		if err := n.Open(ctx); err != nil {
			t.Fatal(err)
		}
		if got := readAll(t, n, table, []storage.Part{{Where: keyRange{}}}); len(got) != 2 {
			t.Fatalf("%v", got)
		}
		if err := n.Verify(ctx); err != nil {
			t.Fatal(err)
		}
		if numbered := strings.HasPrefix(n.noted[table.Name()], "number "); numbered != process {
			t.Errorf("the right is there: %v; noted: %q", process, n.noted)
		}
		if !process {
			time.Sleep(1100 * time.Millisecond) // what is left to tell them apart has whole seconds
		}
		server.Exec(t, fmt.Sprintf("RENAME TABLE `%[1]s`.t TO `%[1]s`.old, `%[1]s`.u TO `%[1]s`.t", ns))
		rows := 0
		err := n.Read(ctx, table, storage.Part{Where: keyRange{}}, func(*model.Row) error { rows++; return nil })
		if !errors.Is(err, model.ErrInconsistent) {
			t.Errorf("%d rows of 2, %v", rows, err)
		}
		if err := n.Verify(ctx); !errors.Is(err, model.ErrInconsistent) {
			t.Errorf("verified: %v", err)
		}
	}
}
