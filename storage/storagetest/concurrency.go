package storagetest

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// testConcurrency lets several goroutines, over two Storages if there can be
// two, change the same rows.
func (x *suite) testConcurrency(t *testing.T) {
	storages := []storage.Storage{x.s}
	if two := x.second(t); two != nil {
		storages = append(storages, two)
	}
	t.Run("NoUpdateIsLost", func(t *testing.T) { x.testCounter(t, storages) })
	t.Run("ChecksAndWritesAreSerializable", func(t *testing.T) { x.testWriteSkew(t, storages) })
	t.Run("OneOfManyInserts", func(t *testing.T) {
		table := x.table(t, things())
		var wg sync.WaitGroup
		won := make(chan int, 8)
		for n := range 8 {
			wg.Go(func() {
				for {
					err := mutate(t.Context(), storages[n%len(storages)], storage.Mutation{Kind: storage.Put, Table: table, Key: key("a", 1),
						Set: []storage.Assignment{set("i", model.IntValue(int32(n)))}, Guard: storage.Guard{Kind: storage.NotExists}})
					switch storage.OutcomeOf(err) {
					case storage.Applied:
						won <- n
					case storage.NotApplied:
						continue
					case storage.ConditionFailed:
					default:
						t.Error(err)
					}
					return
				}
			})
		}
		wg.Wait()
		close(won)
		if len(won) != 1 {
			t.Fatalf("%d inserts of one row succeeded", len(won))
		}
		wantRow(t, read(t, x.s, table, key("a", 1)), map[string]model.Value{"i": model.IntValue(int32(<-won))})
	})
}

// testCounter increments a number with a guard on its old value, and writes a
// row for each increment in the same batch.
func (x *suite) testCounter(t *testing.T, storages []storage.Storage) {
	const workers, each = 6, 20
	table := x.table(t, things())
	write(t, x.s, upsert(table, key("counter", 0), set("i", model.IntValue(0))))
	one := table
	many := x.canBatch(one, one, 2)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			s := storages[w%len(storages)]
			for done := int32(0); done < each; {
				rows, err := s.Get(t.Context(), []storage.Get{{Table: table, Key: key("counter", 0)}})
				if err != nil {
					t.Error(err)
					return
				}
				v := rows[0].Get("i")
				ms := []storage.Mutation{{Kind: storage.Put, Table: table, Key: key("counter", 0), Set: []storage.Assignment{set("i", model.IntValue(int32(v.Int64())+1))},
					Guard: storage.Guard{Kind: storage.If, Conditions: []model.Condition{{Column: "i", Op: model.Eq, Value: v}}}}}
				if many {
					ms = append(ms, upsert(table, key("log", int32(v.Int64())), set("s", model.TextValue("x"))))
				}
				switch err := mutate(t.Context(), s, ms...); storage.OutcomeOf(err) {
				case storage.Applied:
					done++
				case storage.ConditionFailed, storage.NotApplied:
				default:
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	wantRow(t, read(t, x.s, table, key("counter", 0)), map[string]model.Value{"i": model.IntValue(workers * each)})
	if many {
		if log := scanAll(t, x.s, storage.Scan{Table: table, Partition: []model.Value{model.TextValue("log")}}, 0); len(log) != workers*each {
			t.Errorf("%d rows in the log, want %d", len(log), workers*each)
		}
	}
}

// testWriteSkew lets pairs of batches each check the row that the other one
// changes. Where checks lock, at most one of a pair applies.
func (x *suite) testWriteSkew(t *testing.T, storages []storage.Storage) {
	table := x.table(t, things())
	if !x.s.Capabilities(table.Name()).LockedChecks || !x.canBatch(table, table, 2) {
		t.Skip("checks do not lock here")
	}
	free := storage.Guard{Kind: storage.If, Conditions: []model.Condition{{Column: "i", Op: model.Eq, Value: model.IntValue(0)}}}
	for round := range int32(15) {
		ks := [2]model.Key{key("a", round), key("b", round)}
		write(t, x.s, upsert(table, ks[0], set("i", model.IntValue(0))), upsert(table, ks[1], set("i", model.IntValue(0))))
		var errs [2]error
		var wg sync.WaitGroup
		for n := range 2 {
			wg.Go(func() {
				for {
					errs[n] = mutate(t.Context(), storages[n%len(storages)],
						storage.Mutation{Kind: storage.Check, Table: table, Key: ks[1-n], Guard: free},
						storage.Mutation{Kind: storage.Put, Table: table, Key: ks[n], Guard: free, Set: []storage.Assignment{set("i", model.IntValue(1))}})
					if storage.OutcomeOf(errs[n]) != storage.NotApplied {
						return
					}
				}
			})
		}
		wg.Wait()
		applied := 0
		for _, err := range errs {
			var cond *storage.ConditionError
			if err == nil {
				applied++
			} else if !errors.As(err, &cond) {
				t.Fatal(err)
			}
		}
		if applied != 1 {
			t.Fatalf("round %d: %d of two batches applied that exclude each other", round, applied)
		}
	}
}

// testLife closes a Storage of its own.
func (x *suite) testLife(t *testing.T) {
	s := x.open(t)
	if s.Name() == "" || s.Capabilities(model.TableName{Namespace: "a", Name: "b"}).Engine == "" {
		t.Error("a storage needs a name and an engine")
	}
	spec := things()
	spec.Name = model.TableName{Namespace: "life", Name: "things"}
	table, err := model.NewTable(spec)
	if err != nil {
		t.Fatal(err)
	}
	create(t, s, table)
	write(t, s, upsert(table, key("a", 0)))
	var wg sync.WaitGroup
	for n := range int32(4) {
		wg.Go(func() { // calls beside Close succeed or say that nothing was done
			for i := int32(0); ; i++ {
				err := mutate(context.Background(), s, upsert(table, key("a", 1000*n+i)))
				if err != nil {
					if storage.OutcomeOf(err) != storage.NotApplied {
						t.Errorf("writing beside Close: %v", err)
					}
					return
				}
			}
		})
	}
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	wg.Wait()
	if err := s.Close(); err != nil {
		t.Errorf("closing again: %v", err)
	}
	if _, err := s.Get(t.Context(), []storage.Get{{Table: table, Key: key("a", 0)}}); !errors.Is(err, model.ErrUnavailable) {
		t.Errorf("a get after Close: %v", err)
	}
	if _, err := s.Scan(t.Context(), storage.Scan{Table: table, Kind: storage.ScanTable}); !errors.Is(err, model.ErrUnavailable) {
		t.Errorf("a scan after Close: %v", err)
	}
	if err := mutate(t.Context(), s, upsert(table, key("a", 0))); !errors.Is(err, model.ErrUnavailable) {
		t.Errorf("a batch after Close: %v", err)
	}
	if _, err := s.Admin().Tables(t.Context(), "life"); !errors.Is(err, model.ErrUnavailable) {
		t.Errorf("a listing after Close: %v", err)
	}
}
