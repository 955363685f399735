package txn

import (
	"errors"
	"slices"
	"sync"

	"github.com/stillpoint-db/stillpoint/internal/mutant"
	"github.com/stillpoint-db/stillpoint/storage"
)

// group is written records that one storage call can hold: one atomic unit.
type group struct {
	unit    storage.Unit
	entries []*entry
	most    int // mutations in one call; 0 = no limit
	outcome storage.Outcome
	err     error
}

// room tells whether n more mutations fit into the group's call.
func (g *group) room(n int) bool { return g.most == 0 || len(g.entries)+n <= g.most }

// written lists the entries with a write, in the order in which all writers
// touch records.
func (tx *Tx) written() []*entry {
	out := make([]*entry, 0, tx.writes)
	for _, e := range tx.entries.list {
		if e.kind != writeNone {
			out = append(out, e)
		}
	}
	if len(out) > 1 {
		slices.SortFunc(out, compareEntries)
	}
	return out
}

func compareEntries(a, b *entry) int {
	if c := a.table.User.Name().Compare(b.table.User.Name()); c != 0 {
		return c
	}
	return a.key.Compare(b.key)
}

// groups divides entries into atomic units, each no larger than its storage
// takes, keeping their order.
func (m *Manager) groups(written []*entry) []*group {
	var out []*group
	var last map[storage.Unit]*group // of each unit, where a search would take long
	for _, e := range written {
		unit := m.store.Unit(e.table.Physical.Name(), e.key)
		g := findGroup(out, last, unit)
		if g == nil {
			g = &group{unit: unit, most: e.table.caps.MaxMutations}
			out = append(out, g)
			if len(out) > 16 && last == nil {
				last = make(map[storage.Unit]*group, 64)
				for _, g := range out {
					last[g.unit] = g
				}
			}
			if last != nil {
				last[unit] = g
			}
		}
		g.entries = append(g.entries, e)
	}
	return out
}

// findGroup finds a group of a unit that has room.
func findGroup(groups []*group, last map[storage.Unit]*group, unit storage.Unit) *group {
	if last != nil {
		if g := last[unit]; g != nil && g.room(1) {
			return g
		}
		return nil
	}
	for _, g := range groups {
		if g.unit == unit && g.room(1) {
			return g
		}
	}
	return nil
}

// batch makes the mutations of a group.
func (g *group) batch(make func(*entry) storage.Mutation) []storage.Mutation {
	out := mutations(len(g.entries))
	for _, e := range g.entries {
		out = append(out, make(e))
	}
	return out
}

func mutations(n int) []storage.Mutation { return make([]storage.Mutation, 0, n+1) }

// ordered puts the mutations of one call in the order in which all writers touch
// records.
func ordered(batch []storage.Mutation) []storage.Mutation {
	slices.SortFunc(batch, compareMutations)
	return batch
}

// withDecision adds the Coordinator's row to a batch, at its place in that order,
// and tells which that is.
func withDecision(batch []storage.Mutation, row storage.Mutation) ([]storage.Mutation, int) {
	at, _ := slices.BinarySearchFunc(batch, row, compareMutations)
	return slices.Insert(batch, at, row), at
}

// failedAt tells which mutation's guard an error says did not hold; -1 if it
// does not say.
func failedAt(err error) int {
	if c, ok := errors.AsType[*storage.ConditionError](err); ok {
		return c.Index
	}
	return -1
}

// parallel calls f for 0 … n-1, some at once, and waits for all.
func (m *Manager) parallel(n int, f func(int)) {
	if n == 1 {
		f(0)
		return
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, m.opts.Parallelism)
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			f(i)
		})
	}
	wg.Wait()
}

// lockedChecks makes the mutations by which a Serializable transaction's
// deciding call holds every record that was read and not written still, so that
// nothing else has to be validated. It tells false if that cannot be done: for
// scans, for records that are not there, and for records of other units. Lower
// levels need none.
func (tx *Tx) lockedChecks(unit storage.Unit) ([]storage.Mutation, bool) {
	if tx.iso != Serializable || mutant.On("txn.fuse-unvalidated") {
		return nil, true
	}
	if len(tx.scans) > 0 {
		return nil, false
	}
	var checks []storage.Mutation
	for _, e := range tx.entries.list {
		switch {
		case e.kind == writeDelete && e.base == nil:
			return nil, false // nothing to lock
		case e.kind != writeNone || !e.known:
			continue
		case e.base == nil || !e.table.caps.LockedChecks || tx.m.store.Unit(e.table.Physical.Name(), e.key) != unit:
			return nil, false
		}
		if len(checks) == mostChecks {
			return nil, false
		}
		checks = append(checks, e.check())
	}
	return checks, true
}

// mostChecks is how many records a deciding call holds still at most: one that
// holds more would keep others waiting longer than validation takes.
const mostChecks = 256

// withChecks adds checks to a batch.
func withChecks(batch, checks []storage.Mutation) []storage.Mutation {
	if len(checks) == 0 {
		return batch
	}
	return ordered(append(batch, checks...))
}
