package history

import (
	"fmt"
	"strings"
)

// Level is the isolation that a history is held to.
type Level uint8

// The levels. Snapshot is that of ScalarDB, not that of the literature: reads
// are repeatable and records that were read are not overwritten unseen, but
// there is no common snapshot, so read skew and write skew are allowed.
const (
	ReadCommitted      Level = iota // no dirty write, no dirty read, no lost update of what was read
	Snapshot                        // and no stale read of an acknowledged commit
	Serializable                    // and no cycle of dependencies
	StrictSerializable              // and none with the order of the clock
)

// Kind names an anomaly.
type Kind string

// The anomalies.
const (
	G0          Kind = "G0"           // writes in a circle
	G1a         Kind = "G1a"          // read of what an aborted transaction wrote
	G1b         Kind = "G1b"          // read of what its writer then replaced itself
	G1c         Kind = "G1c"          // reads-from and overwrites in a circle
	GSingle     Kind = "G-single"     // a circle with one anti-dependency: read skew
	G2          Kind = "G2"           // a circle with several: write skew
	LostUpdate  Kind = "lost update"  // two transactions replaced one version
	LostWrite   Kind = "lost write"   // a committed write vanished
	StaleRead   Kind = "stale read"   // a version that had been replaced before the reader began
	Phantom     Kind = "garbage"      // a version that nobody wrote
	Internal    Kind = "internal"     // a transaction did not see its own writes
	Fractured   Kind = "fractured"    // some writes of a transaction, but not all
	WrongTotal  Kind = "wrong total"  // money made or lost
	WrongLedger Kind = "wrong ledger" // a balance that its account's history does not explain
)

// Anomaly is one thing that must not be.
type Anomaly struct {
	Kind     Kind
	RealTime bool // the circle needs the order of the clock
	Detail   string
	Txns     []*Txn
}

// String renders the anomaly with the transactions that show it.
func (a Anomaly) String() string {
	var b strings.Builder
	b.WriteString(string(a.Kind))
	if a.RealTime {
		b.WriteString(" (real time)")
	}
	if a.Detail != "" {
		b.WriteString(": " + a.Detail)
	}
	for _, t := range a.Txns {
		fmt.Fprintf(&b, "\n  %s", t)
	}
	return b.String()
}

// Has tells whether an anomaly of the kind is among those found.
func Has(as []Anomaly, k Kind) bool {
	for _, a := range as {
		if a.Kind == k {
			return true
		}
	}
	return false
}
