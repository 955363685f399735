package storagetest

import (
	"errors"
	"testing"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// testLostAnswers loses the server's answers to a batch after 0, 1, 2, … bytes.
// What the storage says about the batch must be true.
func (x *suite) testLostAnswers(t *testing.T) {
	if x.opts.Through == nil {
		return // no network in between
	}
	proxy := NewProxy(t, x.opts.Server)
	s := x.opts.Through(t, x.s, proxy.Addr())
	table := x.table(t, things())
	type attempt struct {
		k       model.Key
		outcome storage.Outcome
	}
	var attempts []attempt
	count := map[storage.Outcome]int{}
	const enough = 4 // batches in a row that came through whole
	for n, whole := int64(0), 0; whole < enough && n < 4096; n += 1 + n/24 {
		// One that certainly goes through, so that a connection is there and
		// the answers of connecting are not what is lost.
		for try := 0; ; try++ {
			err := mutate(t.Context(), s, upsert(table, key("warm", 0), set("i", model.IntValue(int32(n)))))
			if err == nil {
				break
			}
			if try == 10 {
				t.Fatalf("no connection through the proxy: %v", err)
			}
		}
		a := attempt{k: key("a", int32(n))}
		proxy.LoseAnswersAfter(n)
		err := mutate(t.Context(), s,
			storage.Mutation{Kind: storage.Put, Table: table, Key: a.k, Guard: storage.Guard{Kind: storage.NotExists}, Set: []storage.Assignment{set("i", model.IntValue(1))}},
			upsert(table, key("b", int32(n)), set("i", model.IntValue(1))))
		if proxy.Disarm() {
			whole++
		} else {
			whole = 0
		}
		a.outcome = storage.OutcomeOf(err)
		if a.outcome == storage.ConditionFailed || a.outcome == storage.Refused {
			// Should the first answer be lost and the batch sent again, its own
			// row would be in its way.
			t.Errorf("answers lost after %d bytes: %v", n, err)
		}
		count[a.outcome]++
		attempts = append(attempts, a)
	}
	t.Logf("outcomes: %v", count)
	if count[storage.Unknown] == 0 {
		t.Error("no batch had an unknown outcome; the answers were not lost where it matters")
	}
	for _, a := range attempts {
		row, twin := read(t, x.s, table, a.k), read(t, x.s, table, key("b", int32(a.k.Clustering[0].Int64())))
		if (row == nil) != (twin == nil) {
			t.Errorf("%s: half of a batch is there", a.k)
		}
		if a.outcome == storage.Applied && row == nil || a.outcome == storage.NotApplied && row != nil {
			t.Errorf("%s: outcome %s, row %s", a.k, a.outcome, show(row))
		}
	}
	_, err := s.Get(t.Context(), []storage.Get{{Table: table, Key: key("warm", 0)}})
	if err != nil && !errors.Is(err, model.ErrUnavailable) {
		t.Errorf("reading afterwards: %v", err)
	}
}
