package txn

import (
	"sync"

	"github.com/stillpoint-db/stillpoint/txn/record"
)

// fates remembers what became of some transactions. Only decisions are kept,
// never their absence: a decided transaction stays decided, because no id is
// used twice, and an undecided one does not stay undecided.
type fates struct {
	mu   sync.RWMutex
	of   map[string]fate
	ring []string
	next int
}

// fate is a decision, and the work that settles the transaction's records, if
// this manager does that.
type fate struct {
	record.Decision
	settling *wait
}

const rememberedFates = 4096

func newFates() *fates {
	return &fates{of: make(map[string]fate), ring: make([]string, rememberedFates)}
}

func (f *fates) get(id string) (fate, bool) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	d, ok := f.of[id]
	return d, ok
}

func (f *fates) put(id string, d record.Decision, settling *wait) {
	if d.State == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, again := f.of[id]; !again {
		delete(f.of, f.ring[f.next])
		f.ring[f.next] = id
		f.next = (f.next + 1) % len(f.ring)
	}
	f.of[id] = fate{d, settling}
}
