package txn

import "time"

// Hooks are called as transactions run, for metrics and tracing. Each may be
// nil. They are called on the goroutine of the transaction and must be quick.
type Hooks struct {
	Begin       func(Event) // a transaction has begun
	Read        func(Event) // a Get, GetAll or page of a Scan is done
	Prepare     func(Event) // its records are prepared, or failed to be
	CommitPoint func(Event) // the step that decides it is over
	Done        func(Event) // Commit or Rollback returns
}

// Event is what a hook is told.
type Event struct {
	TxID     string
	ReadOnly bool
	// Path tells how it was committed: "one-phase", "fused", "merged",
	// "textbook", "read-only"; "rollback" if it was rolled back. CommitPoint
	// and Done only.
	Path     string
	Records  int // read, prepared or written
	Duration time.Duration
	Err      error
}

// hook calls f, if there is one, with the time since start.
func (tx *Tx) hook(f func(Event), start time.Time, records int, err error) {
	if f == nil {
		return
	}
	f(Event{TxID: tx.id, ReadOnly: tx.readOnly, Path: tx.path, Records: records, Duration: tx.m.opts.Now().Sub(start), Err: err})
}

// clock returns the time if f will want it.
func (tx *Tx) clock(f func(Event)) time.Time {
	if f == nil {
		return time.Time{}
	}
	return tx.m.opts.Now()
}
