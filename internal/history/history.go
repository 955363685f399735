package history

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Outcome is what became of a transaction, as its client knows.
type Outcome uint8

// The outcomes.
const (
	Unknown Outcome = iota // also of a client that died
	Committed
	Aborted
)

// String names the outcome.
func (o Outcome) String() string { return [...]string{"unknown", "committed", "aborted"}[o] }

// Op is a read or a write of one key.
type Op struct {
	Write bool
	Key   string
	// List is what was read, or the whole new value; empty = there is no row
	// (a write of it is a delete).
	List []string
}

// String renders the operation.
func (o Op) String() string {
	verb := "r"
	if o.Write {
		verb = "w"
	}
	if len(o.List) == 0 {
		return verb + " " + o.Key + " absent"
	}
	return verb + " " + o.Key + " [" + strings.Join(o.List, " ") + "]"
}

// Txn is one transaction. It is for one goroutine until it has ended.
type Txn struct {
	Name    string
	Ops     []Op
	Outcome Outcome
	Begin   int64 // in ticks of the recorder's clock
	End     int64
	// Final marks a transaction that read when nothing else was at work: it
	// must see one state, at every isolation level.
	Final bool

	rec *Recorder
}

// History is what a check looks at.
type History []*Txn

// Recorder collects transactions. It may be used by several goroutines at once.
type Recorder struct {
	mu    sync.Mutex
	clock int64
	txns  History
}

func (r *Recorder) tick() int64 {
	r.clock++
	return r.clock
}

// Begin records that a transaction begins. Call it before the first thing that
// the transaction does.
func (r *Recorder) Begin(name string) *Txn {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := &Txn{Name: name, Begin: r.tick(), rec: r}
	r.txns = append(r.txns, t)
	return t
}

// History returns the transactions recorded so far. One that has not ended is
// of unknown outcome.
func (r *Recorder) History() History {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.txns)
}

// Read records that the transaction read a list; an empty one means no row.
func (t *Txn) Read(key string, list []string) {
	t.Ops = append(t.Ops, Op{Key: key, List: slices.Clone(list)})
}

// Write records that the transaction wrote a list; an empty one means a delete.
// Call it before the write is sent.
func (t *Txn) Write(key string, list []string) {
	t.Ops = append(t.Ops, Op{Write: true, Key: key, List: slices.Clone(list)})
}

// Finish records the outcome. Call it after the answer has come.
func (t *Txn) Finish(o Outcome) {
	t.rec.mu.Lock()
	defer t.rec.mu.Unlock()
	t.Outcome = o
	t.End = t.rec.tick()
}

// String renders the transaction on one line.
func (t *Txn) String() string {
	ops := make([]string, len(t.Ops))
	for i, o := range t.Ops {
		ops[i] = o.String()
	}
	return fmt.Sprintf("%s (%s, %d-%d): %s", t.Name, t.Outcome, t.Begin, t.End, strings.Join(ops, "; "))
}

// String renders the history, a transaction a line.
func (h History) String() string {
	lines := make([]string, len(h))
	for i, t := range h {
		lines[i] = t.String()
	}
	return strings.Join(lines, "\n")
}

// Join renders a list as the text that a row holds; Split reads it.
func Join(list []string) string { return strings.Join(list, " ") }

// Split is the inverse of Join.
func Split(s string) []string { return strings.Fields(s) }
