package explore

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/txn/record"
	"github.com/stillpoint-db/stillpoint/txn/txntest"
)

// oracle watches what the databases apply and knows what each transaction
// means to write. It finds the commit points: the first applied batch that puts
// a COMMITTED row into the Coordinator's table, or that writes records as
// committed for a transaction that has none. Their order is the serial order of
// the transactions, so the state at any moment is their writes, replayed.
type oracle struct {
	mu     sync.Mutex
	plans  map[string]txntest.Writes // by transaction id
	points []string                  // ids, in the order of their commit points
	at     map[string]int            // position in points
}

func newOracle() *oracle { return &oracle{plans: map[string]txntest.Writes{}, at: map[string]int{}} }

// plan notes what a transaction will write, before it commits.
func (o *oracle) plan(id string, writes txntest.Writes) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.plans[id] = writes
}

// begin notes what is there before the first transaction.
func (o *oracle) begin(id string, writes txntest.Writes) {
	o.plan(id, writes)
	o.at[id] = 0
	o.points = []string{id}
}

type txKey struct{}

// withTx marks the calls that a transaction makes.
func withTx(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, txKey{}, id)
}

// applied is told of each batch right after it was applied.
func (o *oracle) applied(ctx context.Context, b storage.Batch) {
	id := o.decides(ctx, b)
	if id == "" {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, again := o.at[id]; again {
		return
	}
	if _, ours := o.plans[id]; !ours {
		return
	}
	o.at[id] = len(o.points)
	o.points = append(o.points, id)
}

// decides returns the id of the transaction that a batch commits, or "".
func (o *oracle) decides(ctx context.Context, b storage.Batch) string {
	onePhase, removes := "", true // removes: nothing but deletes and checks of one that commits at once
	for _, m := range b.Mutations {
		var id string
		var state record.State
		for _, a := range m.Set {
			switch a.Column {
			case record.TxID:
				id = a.Value.Str()
			case record.TxState:
				state = record.State(a.Value.Int64())
			}
		}
		if m.Table.Name() == coordinatorName {
			if state == record.Committed {
				return m.Key.At(0).Str()
			}
			return ""
		}
		switch {
		case m.Kind == storage.Put && state == record.Committed && id != "":
			onePhase = id // or a rollback to that version, which is not new
		case m.Kind == storage.Put, guardsState(m):
			removes = false
		}
	}
	if onePhase == "" && removes {
		id, _ := ctx.Value(txKey{}).(string)
		return id
	}
	return onePhase
}

// guardsState tells a delete that settles a record from one that commits.
func guardsState(m storage.Mutation) bool {
	for _, c := range m.Guard.Conditions {
		if c.Column == record.TxState {
			return true
		}
	}
	return false
}

// count returns how many commit points there were so far.
func (o *oracle) count() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.points)
}

// committed tells whether a transaction's commit point was applied.
func (o *oracle) committed(id string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, ok := o.at[id]
	return ok
}

// changes tells whether a transaction means to change anything.
func (o *oracle) changes(id string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.plans[id]) > 0
}

// state is what users see: the value of each row by its name.
type state map[string]string

// replay returns the state after the first n commit points.
func (o *oracle) replay(n int) state {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := state{}
	for _, id := range o.points[:n] {
		for key, value := range o.plans[id] {
			if value == "" {
				delete(s, key)
			} else {
				s[key] = value
			}
		}
	}
	return s
}

// differs describes the first difference of two states, or "".
func (s state) differs(want state) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(want)) {
		if s[k] != want[k] {
			out = append(out, fmt.Sprintf("%s is %q, not %q", k, s[k], want[k]))
		}
	}
	for _, k := range slices.Sorted(maps.Keys(s)) {
		if _, ok := want[k]; !ok {
			out = append(out, fmt.Sprintf("%s is %q, and should not be there", k, s[k]))
		}
	}
	return strings.Join(out, "; ")
}
