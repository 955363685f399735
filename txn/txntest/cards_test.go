package txntest_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/faulty"
	"github.com/stillpoint-db/stillpoint/storage/memory"
	"github.com/stillpoint-db/stillpoint/txn"
	"github.com/stillpoint-db/stillpoint/txn/record"
	"github.com/stillpoint-db/stillpoint/txn/txntest"
)

// cards are dealt over two tables of two databases: some red, some black, each
// with a rank of its own. Transactions exchange colours and ranks between two
// cards of each table, so whoever sees all cards of a table at one moment sees as many red
// ones as were dealt to it, and its highest rank.
type cards struct {
	tables [2]model.TableName
}

const cardsOfTable = 5

func (c cards) create(ctx context.Context, s storage.Storage) error {
	err := s.Admin().CreateNamespace(ctx, record.DefaultCoordinatorNamespace)
	if err == nil {
		err = s.Admin().CreateTable(ctx, record.CoordinatorTable(""))
	}
	for _, name := range c.tables {
		user, e := model.NewTable(model.TableSpec{Name: name, PartitionKey: []string{"id"}, Indexes: []string{"colour"},
			Columns: []model.Column{{Name: "id", Type: model.Int}, {Name: "colour", Type: model.Text}, {Name: "rank", Type: model.Int}}})
		if err = errors.Join(err, e); err != nil {
			return err
		}
		physical, e := record.Physical(user)
		err = errors.Join(err, e, s.Admin().CreateNamespace(ctx, name.Namespace))
		if err == nil {
			err = s.Admin().CreateTable(ctx, physical)
		}
	}
	return err
}

func cardKey(id int) model.Key { return model.Key{Partition: []model.Value{model.IntValue(int32(id))}} }

func card(colour string, rank int64) []txn.Set {
	return []txn.Set{{Column: "colour", Value: model.TextValue(colour)}, {Column: "rank", Value: model.IntValue(int32(rank))}}
}

func (c cards) deal(ctx context.Context, m *txn.Manager) error {
	tx, err := m.Begin(ctx, txn.TxOptions{})
	for i := range 2 * cardsOfTable {
		if err == nil {
			err = tx.Insert(ctx, txn.Write{Table: c.tables[i%2], Key: cardKey(i / 2), Set: card([...]string{"red", "black"}[i/cardsOfTable], int64(i))})
		}
	}
	if err != nil {
		return err
	}
	return tx.Commit(ctx)
}

// exchange exchanges two cards of each table, the first of them found by its colour or
// its rank.
func (c cards) exchange(ctx context.Context, m *txn.Manager, rng *rand.Rand) error {
	tx, err := m.Begin(ctx, txn.TxOptions{})
	if err != nil {
		return err
	}
	for _, table := range c.tables {
		s := txn.Scan{Table: table, Kind: storage.ScanIndex, IndexColumn: "colour", IndexValue: model.TextValue([...]string{"red", "black"}[rng.IntN(2)]), Limit: 1}
		if rng.IntN(2) == 0 {
			s = highest(table, 1+rng.IntN(2))
		}
		var one *model.Row
		for row, err := range tx.Scan(ctx, s) {
			if err != nil {
				return err
			}
			one = row
		}
		other := cardKey(rng.IntN(cardsOfTable))
		if one == nil || one.Key().Compare(other) == 0 {
			continue
		}
		two, err := tx.Get(ctx, table, other)
		if err != nil {
			return err
		}
		err = errors.Join(tx.Put(ctx, txn.Write{Table: table, Key: one.Key(), Set: card(two.Get("colour").Str(), two.Get("rank").Int64())}),
			tx.Put(ctx, txn.Write{Table: table, Key: other, Set: card(one.Get("colour").Str(), one.Get("rank").Int64())}))
		if err != nil {
			return err
		}
	}
	return tx.Commit(ctx)
}

func highest(table model.TableName, limit int) txn.Scan {
	return txn.Scan{Table: table, Kind: storage.ScanTable, OrderBy: []storage.OrderBy{{Column: "rank", Order: model.Desc}}, Limit: limit}
}

// look looks at a table in one way and tells what is wrong with it, if it commits.
func (c cards) look(ctx context.Context, m *txn.Manager, rng *rand.Rand) (wrong string, err error) {
	tx, err := m.Begin(ctx, txn.TxOptions{ReadOnly: rng.IntN(2) == 0})
	if err != nil {
		return "", err
	}
	at := rng.IntN(2)
	s, want := highest(c.tables[at], 1), 1
	if rng.IntN(2) == 0 {
		s, want = txn.Scan{Table: c.tables[at], Kind: storage.ScanIndex, IndexColumn: "colour", IndexValue: model.TextValue("red")}, cardsOfTable/2+1-at
	}
	var ranks []int64
	for row, err := range tx.Scan(ctx, s) {
		if err != nil {
			return "", err
		}
		ranks = append(ranks, row.Get("rank").Int64())
	}
	if len(ranks) != want || s.Limit == 1 && ranks[0] != int64(2*cardsOfTable-2+at) {
		wrong = fmt.Sprintf("table %d, limit %d: the ranks are %v", at, s.Limit, ranks)
	}
	return wrong, tx.Commit(ctx)
}

// TestScansByIndexAndInOrderSeeOneState runs exchanges and looks by several processes
// with faults: what a SERIALIZABLE transaction has seen when it commits was so at
// one moment, however many writes were under way.
func TestScansByIndexAndInOrderSeeOneState(t *testing.T) {
	var mu sync.Mutex
	looked, exchanged := 0, 0
	for _, weak := range []bool{false, true} {
		bed := several(inMemory(memory.Options{}), inMemory(memory.Options{NoCopyColumns: weak}))
		c := cards{tables: [2]model.TableName{{Namespace: "w0", Name: "cards"}, {Namespace: "w1", Name: "cards"}}}
		s, err := bed.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := c.create(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		const lease = 20 * time.Millisecond
		open := func(seed uint64) (*txn.Manager, *faulty.Storage) {
			f := faulty.New(s, seed)
			o := txn.Defaults()
			o.Isolation, o.Lease = txn.Serializable, lease
			o.OnePhaseCommit = seed%2 == 0
			o.Sleep = func(context.Context, time.Duration) error { time.Sleep(time.Millisecond); return nil }
			m, err := txn.Open(t.Context(), f, o)
			if err != nil {
				t.Fatal(err)
			}
			return m, f
		}
		dealer, _ := open(0)
		if err := errors.Join(c.deal(t.Context(), dealer), dealer.Close(t.Context())); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for i := range uint64(4) {
			m, f := open(i)
			f.Add(faulty.LoseEither.On(faulty.Mutate).Chance(0.03), faulty.Late(lease).On(faulty.Mutate).Chance(0.02), faulty.Conflict.On(faulty.Mutate).Chance(0.02),
				faulty.Delay(2*lease).On(faulty.Mutate).Chance(0.02), faulty.Delay(time.Millisecond/4).On(faulty.Any).Chance(0.5))
			wg.Go(func() {
				rng := rand.New(rand.NewPCG(i, 1))
				for range 150 {
					var err error
					if i%2 == 0 {
						var wrong string
						if wrong, err = c.look(t.Context(), m, rng); err == nil {
							mu.Lock()
							looked++
							mu.Unlock()
							if wrong != "" {
								t.Error(wrong)
							}
						}
					} else if err = c.exchange(t.Context(), m, rng); err == nil {
						mu.Lock()
						exchanged++
						mu.Unlock()
					}
					if err != nil && !txntest.Expected(err) {
						t.Error(err)
					}
				}
				if err := m.Close(t.Context()); err != nil {
					t.Error(err)
				}
				f.Wait()
			})
		}
		wg.Wait()
	}
	t.Logf("%d looks, %d exchanges", looked, exchanged)
	if looked < 10 || exchanged < 10 {
		t.Errorf("only %d looks and %d exchanges: that proves little", looked, exchanged)
	}
}
