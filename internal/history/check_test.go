package history

import (
	"fmt"
	"strings"
	"testing"
)

// parse reads a history, a transaction a line:
//
//	T1 committed 1-4: r x absent; w x a b; w y absent
//
// with "final" before the outcome for a final read.
func parse(t *testing.T, text string) History {
	t.Helper()
	var h History
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		head, body, ok := strings.Cut(line, ":")
		f := strings.Fields(head)
		txn := &Txn{Name: f[0]}
		if txn.Final = f[1] == "final"; txn.Final {
			f = f[1:]
		}
		switch f[1] {
		case "committed":
			txn.Outcome = Committed
		case "aborted":
			txn.Outcome = Aborted
		case "unknown":
		default:
			ok = false
		}
		if _, err := fmt.Sscanf(f[2], "%d-%d", &txn.Begin, &txn.End); err != nil || !ok {
			t.Fatalf("bad line %q", line)
		}
		for op := range strings.SplitSeq(body, ";") {
			w := strings.Fields(op)
			o := Op{Write: w[0] == "w", Key: w[1]}
			if w[2] != "absent" {
				o.List = w[2:]
			}
			txn.Ops = append(txn.Ops, o)
		}
		h = append(h, txn)
	}
	return h
}

func TestAnomaliesAreCaught(t *testing.T) {
	for _, c := range []struct {
		name    string
		level   Level
		kind    Kind
		history string
	}{
		{"dirty write", ReadCommitted, G0, `
			T1 committed 1-9: w x a; w y d c
			T2 committed 2-8: w x a b; w y d
			T3 committed 10-11: r x a b; r y d c`},
		{"aborted read", ReadCommitted, G1a, `
			T1 aborted 1-3: r x absent; w x a
			T2 committed 4-5: r x a`},
		{"intermediate read", ReadCommitted, G1b, `
			T1 committed 1-9: r x absent; w x a; w x a b
			T2 committed 2-8: r x a`},
		{"circular information flow", ReadCommitted, G1c, `
			T1 committed 1-9: r y b; w x a
			T2 committed 2-8: r x a; w y b`},
		{"information flow against the clock", Snapshot, G1c, `
			T1 committed 1-2: r x a; w y b
			T2 committed 3-4: r x absent; w x a`},
		{"lost update", ReadCommitted, LostUpdate, `
			T0 committed 1-2: r x absent; w x a
			T1 committed 3-9: r x a; w x a b
			T2 committed 4-8: r x a; w x a c`},
		{"deleted twice", ReadCommitted, LostUpdate, `
			T0 committed 1-2: r x absent; w x a
			T1 committed 3-9: r x a; w x absent
			T2 committed 4-8: r x a; w x absent`},
		{"update of what was deleted", ReadCommitted, LostUpdate, `
			T0 committed 1-2: r x absent; w x a
			T1 committed 3-9: r x a; w x absent
			T2 committed 4-8: r x a; w x a b
			T3 committed 10-11: r x a b; w x absent`},
		{"read of what nobody wrote", ReadCommitted, Phantom, `
			T1 committed 1-2: r x a`},
		{"own write not seen", ReadCommitted, Internal, `
			T1 committed 1-2: r x absent; w x a; r x absent`},
		{"read that does not repeat", Snapshot, Internal, `
			T1 committed 1-9: r x absent; r x a
			T2 committed 2-3: r x absent; w x a`},
		{"stale read", Snapshot, StaleRead, `
			T1 committed 1-2: r x absent; w x a
			T2 committed 3-4: r x a; w x a b
			T3 committed 5-6: r x a`},
		{"stale read of no row", Snapshot, StaleRead, `
			T1 committed 1-2: r x absent; w x a
			T2 committed 3-4: r x absent`},
		{"stale read of a deleted row", Snapshot, StaleRead, `
			T1 committed 1-2: r x absent; w x a
			T2 committed 3-4: r x a; w x absent
			T3 committed 5-6: r x a`},
		{"write that vanished", Snapshot, LostWrite, `
			T1 committed 1-2: r x absent; w x a
			T2 committed 3-4: r x a; w x a b
			F final committed 5-6: r x a`},
		{"row that vanished", Snapshot, LostWrite, `
			T1 committed 1-2: r x absent; w x a
			F final committed 5-6: r x absent`},
		{"row replaced by another insert", Snapshot, LostWrite, `
			T1 committed 1-8: r x absent; w x a
			T2 committed 2-9: r x absent; w x b
			F final committed 10-11: r x b`},
		{"delete undone", Snapshot, LostWrite, `
			T1 committed 1-2: r x absent; w x a
			T2 committed 3-4: r x a; w x absent
			F final committed 5-6: r x a`},
		{"half of an unknown transaction", Snapshot, LostUpdate, `
			T0 committed 1-2: r x absent; w x a; r y absent; w y b
			T1 unknown 3-4: r x a; w x a c; r y b; w y b d
			T2 committed 7-8: r x a c; w x a c e; r y b; w y b f
			F final committed 9-10: r x a c e; r y b f`},
		{"half of an unknown transaction in the end", Snapshot, Fractured, `
			T0 committed 1-2: r x absent; w x a; r y absent; w y b
			T1 unknown 3-4: r x a; w x a c; r y b; w y b d
			F final committed 9-10: r x a c; r y b`},
		{"half of an unknown delete", Snapshot, Fractured, `
			T0 committed 1-2: r x absent; w x a; r y absent; w y b
			T1 unknown 3-4: r x a; w x absent; r y b; w y b d
			F final committed 9-10: r x absent; r y b`},
		{"read skew", StrictSerializable, GSingle, `
			T0 committed 1-2: r x absent; w x a; r y absent; w y b
			T1 committed 3-9: r x a; r y b d
			T2 committed 4-5: r x a; w x a c; r y b; w y b d`},
		{"write skew", StrictSerializable, G2, `
			T0 committed 1-2: r x absent; w x a; r y absent; w y b
			T1 committed 3-9: r x a; r y b; w x a c
			T2 committed 4-8: r x a; r y b; w y b d`},
		{"write skew over rows that are not there", StrictSerializable, G2, `
			T1 committed 3-9: r x absent; r y absent; w x a
			T2 committed 4-8: r x absent; r y absent; w y b`},
		{"read-only anomaly", StrictSerializable, G2, `
			T0 committed 1-2: r x absent; w x x0; r y absent; w y y0
			T1 committed 3-6: r y y0; w y y0 y1
			T2 committed 4-11: r x x0; r y y0; w x x0 x1
			T3 committed 7-8: r x x0; r y y0 y1`},
		{"lives against the clock", Snapshot, G0, `
			T1 committed 1-2: r x absent; w x a; r y absent; w y p
			T2 committed 3-4: r x a; w x absent; r y p q; w y p q r
			T3 committed 5-6: r x absent; w x b; r y p; w y p q`},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := parse(t, c.history)
			found := Check(h, c.level)
			if !Has(found, c.kind) {
				t.Fatalf("want %s, found %v", c.kind, found)
			}
		})
	}
}

func TestRightHistoriesPass(t *testing.T) {
	for _, c := range []struct {
		name    string
		level   Level
		history string
	}{
		{"serial", StrictSerializable, `
			T1 committed 1-2: r x absent; w x a; r y absent; w y b
			T2 committed 3-4: r x a; w x a c; r x a c
			T3 aborted 5-6: r x a c; w x a c d
			T4 committed 7-8: r x a c; r y b
			F final committed 9-10: r x a c; r y b`},
		{"lives of a key", StrictSerializable, `
			T1 committed 1-2: r x absent; w x a
			T2 committed 3-4: r x a; w x absent
			T3 committed 5-6: r x absent
			T4 committed 7-8: r x absent; w x b
			T5 committed 9-10: r x b; w x absent
			T6 committed 11-12: r x absent; w x c; w x absent
			F final committed 13-14: r x absent`},
		{"unknown that was committed", StrictSerializable, `
			T1 unknown 1-2: r x absent; w x a; r y absent; w y b
			T2 committed 3-4: r x a; r y b
			F final committed 5-6: r x a; r y b`},
		{"unknown that was not", StrictSerializable, `
			T1 unknown 1-2: r x absent; w x a
			T2 committed 3-4: r x absent
			F final committed 5-6: r x absent`},
		{"unknown delete that was committed", StrictSerializable, `
			T0 committed 1-2: r x absent; w x a; r y absent; w y b
			T1 unknown 3-4: r x a; w x absent; r y b; w y b d
			T2 committed 5-6: r x absent; w x c
			F final committed 9-10: r x c; r y b d`},
		{"concurrent with a commit that comes late", StrictSerializable, `
			T1 committed 1-9: r x absent; w x a
			T2 committed 2-3: r x absent
			T3 committed 4-5: r x a`},
		{"read skew is allowed", Snapshot, `
			T0 committed 1-2: r x absent; w x a; r y absent; w y b
			T1 committed 3-9: r x a; r y b d
			T2 committed 4-5: r x a; w x a c; r y b; w y b d`},
		{"write skew is allowed", Snapshot, `
			T0 committed 1-2: r x absent; w x a; r y absent; w y b
			T1 committed 3-9: r x a; r y b; w x a c
			T2 committed 4-8: r x a; r y b; w y b d`},
		{"stale reads are allowed", ReadCommitted, `
			T1 committed 1-2: r x absent; w x a
			T2 committed 3-4: r x absent`},
		{"against the clock is serializable", Serializable, `
			T1 committed 1-2: r x absent; r y absent; w x a
			T2 committed 3-4: r y absent; w y b
			T3 committed 5-6: r x a; r y b`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if found := Check(parse(t, c.history), c.level); len(found) > 0 {
				t.Fatalf("found %v", found)
			}
		})
	}
}

func TestBank(t *testing.T) {
	good := func() Bank {
		return Bank{
			Initial:   map[string]int64{"a": 10, "b": 10},
			Balances:  map[string]int64{"a": 7, "b": 13},
			Moves:     []Move{{"m1", "a", "b", 5}, {"m2", "b", "a", 2}},
			Committed: []string{"m1"},
			Aborted:   []string{"m3"},
		}
	}
	if found := CheckBank(good()); len(found) > 0 {
		t.Fatalf("a right bank: %v", found)
	}
	for name, c := range map[string]struct {
		kind  Kind
		spoil func(*Bank)
	}{
		"money made":        {WrongTotal, func(b *Bank) { b.Balances["a"]++ }},
		"balance and moves": {WrongLedger, func(b *Bank) { b.Balances["a"]++; b.Balances["b"]-- }},
		"missing account":   {WrongLedger, func(b *Bank) { delete(b.Balances, "a") }},
		"missing move":      {LostWrite, func(b *Bank) { b.Committed = append(b.Committed, "m9") }},
		"aborted move":      {G1a, func(b *Bank) { b.Aborted = append(b.Aborted, "m2") }},
		"move twice":        {WrongLedger, func(b *Bank) { b.Moves = append(b.Moves, b.Moves[0]) }},
	} {
		b := good()
		c.spoil(&b)
		if found := CheckBank(b); !Has(found, c.kind) {
			t.Errorf("%s: want %s, found %v", name, c.kind, found)
		}
	}
}

func TestRecorderOrdersBeginningsAndEnds(t *testing.T) {
	var r Recorder
	a := r.Begin("a")
	a.Read("x", nil)
	a.Write("x", []string{"1"})
	a.Finish(Committed)
	b := r.Begin("b")
	b.Read("x", []string{"1"})
	h := r.History()
	if len(h) != 2 || a.End >= b.Begin || h[1].Outcome != Unknown {
		t.Fatalf("recorded\n%s", h)
	}
	if found := Check(h, StrictSerializable); len(found) > 0 {
		t.Fatal(found)
	}
}
