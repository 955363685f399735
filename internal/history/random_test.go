package history

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// serial makes a history of transactions that ran one after the other, as their
// clients may have seen it: the i-th one took place at moment 10i, within an
// interval that overlaps those of its neighbours.
func serial(rng *rand.Rand, n int) History {
	db := map[string][]string{}
	keys := []string{"x", "y", "z"}
	var h History
	for i := 1; i <= n; i++ {
		t := &Txn{Name: fmt.Sprintf("T%d", i), Outcome: Committed, Begin: int64(100*i - rng.IntN(240)), End: int64(100*i + 1 + rng.IntN(240))}
		changes := map[string][]string{}
		for range 1 + rng.IntN(4) {
			k := keys[rng.IntN(len(keys))]
			list, own := changes[k]
			if !own {
				list = db[k]
			}
			t.Ops = append(t.Ops, Op{Key: k, List: list})
			switch rng.IntN(4) {
			case 0:
				list = nil
			case 1, 2:
				list = append(slices.Clone(list), fmt.Sprintf("%s.%d", t.Name, len(t.Ops)))
			default:
				continue
			}
			changes[k] = list
			t.Ops = append(t.Ops, Op{Write: true, Key: k, List: list})
		}
		switch rng.IntN(8) {
		case 0:
			t.Outcome = Aborted
		case 1:
			t.Outcome = Unknown
		}
		if t.Outcome == Committed || t.Outcome == Unknown && rng.IntN(2) == 0 {
			for k, list := range changes {
				db[k] = list
			}
		}
		h = append(h, t)
	}
	final := &Txn{Name: "final", Outcome: Committed, Final: true, Begin: int64(100*n + 500), End: int64(100*n + 501)}
	for _, k := range keys {
		final.Ops = append(final.Ops, Op{Key: k, List: db[k]})
	}
	return append(h, final)
}

func TestSerialHistoriesPass(t *testing.T) {
	for seed := range uint64(2000) {
		h := serial(rand.New(rand.NewPCG(seed, 1)), 30)
		if found := Check(h, StrictSerializable); len(found) > 0 {
			t.Fatalf("seed %d: %v\n%s", seed, found[0], h)
		}
	}
}

// spoil makes one read of a committed transaction miss the last token, whose
// writer had ended before the reader began. It tells false if there is none.
func spoil(h History, rng *rand.Rand) bool {
	writer := map[string]*Txn{}
	for _, t := range h {
		for _, o := range t.Ops {
			if n := len(o.List); o.Write && n > 0 {
				writer[o.List[n-1]] = t
			}
		}
	}
	for _, i := range rng.Perm(len(h)) {
		r := h[i]
		for j, o := range r.Ops {
			if o.Write || r.Outcome != Committed || len(o.List) < 2 {
				continue
			}
			w := writer[o.List[len(o.List)-1]]
			if w != r && w.Outcome == Committed && w.End < r.Begin {
				r.Ops[j].List = o.List[:len(o.List)-1]
				return true
			}
		}
	}
	return false
}

func TestStaleReadsInRandomHistoriesAreCaught(t *testing.T) {
	spoiled := 0
	for seed := range uint64(2000) {
		rng := rand.New(rand.NewPCG(seed, 2))
		h := serial(rng, 30)
		if !spoil(h, rng) {
			continue
		}
		spoiled++
		if found := Check(h, StrictSerializable); len(found) == 0 {
			t.Fatalf("seed %d: not caught\n%s", seed, h)
		}
	}
	if spoiled < 500 {
		t.Errorf("only %d histories had a read to spoil", spoiled)
	}
}

func TestAbortsAndLossesInRandomHistoriesAreCaught(t *testing.T) {
	aborted := 0
	for seed := range uint64(2000) {
		rng := rand.New(rand.NewPCG(seed, 3))
		h := serial(rng, 30)
		i := rng.IntN(len(h) - 1)
		if h[i].Outcome != Committed || !seen(h, h[i]) {
			continue
		}
		aborted++
		h[i].Outcome = Aborted
		if found := Check(h, ReadCommitted); !Has(found, G1a) {
			t.Fatalf("seed %d: %s was aborted and read, and %v\n%s", seed, h[i].Name, found, h)
		}
	}
	if aborted < 200 {
		t.Errorf("only %d histories had something to abort", aborted)
	}
}

// seen tells whether another committed transaction read what t wrote.
func seen(h History, t *Txn) bool {
	for _, r := range h {
		if r == t || r.Outcome != Committed {
			continue
		}
		own := map[string]bool{}
		for _, o := range r.Ops {
			for _, w := range t.Ops {
				if w.Write && !o.Write && !own[o.Key] && len(w.List) > 0 && slices.Contains(o.List, w.List[len(w.List)-1]) {
					return true
				}
			}
			own[o.Key] = own[o.Key] || o.Write
		}
	}
	return false
}
