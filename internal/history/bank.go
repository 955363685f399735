package history

import (
	"fmt"
	"maps"
	"slices"
)

// Move is one transfer of money between two accounts, as its row in the table
// of moves tells.
type Move struct {
	ID       string
	From, To string
	Amount   int64
}

// Bank is the state of a bank, and what its clients know.
type Bank struct {
	Initial   map[string]int64 // balance of each account at the beginning
	Balances  map[string]int64 // found in the end
	Moves     []Move           // found in the end
	Committed []string         // moves whose transactions were reported committed
	Aborted   []string         // and aborted
}

// CheckBank tells whether the total is what it was, whether the moves explain
// every balance, and whether exactly the right moves are there.
func CheckBank(b Bank) []Anomaly {
	var found []Anomaly
	report := func(k Kind, format string, args ...any) {
		found = append(found, Anomaly{Kind: k, Detail: fmt.Sprintf(format, args...)})
	}
	want, total := maps.Clone(b.Initial), int64(0)
	there := map[string]bool{}
	for _, m := range b.Moves {
		want[m.From] -= m.Amount
		want[m.To] += m.Amount
		if there[m.ID] {
			report(WrongLedger, "move %s is there twice", m.ID)
		}
		there[m.ID] = true
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		total += b.Balances[name] - b.Initial[name]
		if got, ok := b.Balances[name]; !ok || got != want[name] {
			report(WrongLedger, "account %s has %d; its moves make %d", name, got, want[name])
		}
	}
	if total != 0 {
		report(WrongTotal, "off by %d", total)
	}
	for _, id := range b.Committed {
		if !there[id] {
			report(LostWrite, "move %s was committed and is not there", id)
		}
	}
	for _, id := range b.Aborted {
		if there[id] {
			report(G1a, "move %s was aborted and is there", id)
		}
	}
	return found
}
