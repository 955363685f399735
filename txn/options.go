package txn

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"time"

	"github.com/stillpoint-db/stillpoint/model"
)

// Isolation is an isolation level. The zero value means the default of whoever
// is asked: a transaction takes its manager's, a manager takes Snapshot.
type Isolation uint8

// The levels; what each promises is told in DESIGN.md.
const (
	DefaultIsolation Isolation = iota
	Snapshot
	Serializable
	ReadCommitted
)

// String returns the name that configuration files use.
func (i Isolation) String() string {
	return [...]string{"DEFAULT", "SNAPSHOT", "SERIALIZABLE", "READ_COMMITTED"}[i]
}

// ParseIsolation reads the name of a level.
func ParseIsolation(s string) (Isolation, error) {
	for i := Snapshot; i <= ReadCommitted; i++ {
		if i.String() == s {
			return i, nil
		}
	}
	return 0, model.Errorf(model.ErrBadArgument, "%q is not an isolation level; the levels are SNAPSHOT, SERIALIZABLE and READ_COMMITTED", s)
}

// Schedule says in which steps a transaction is written.
type Schedule uint8

// The schedules. Readers and other managers cannot tell which one was used.
const (
	// Fast uses the fewest dependent steps that are legal in each case.
	Fast Schedule = iota
	// Textbook always takes every step apart: prepare, validate, Coordinator
	// row, records. It is there to measure the others against.
	Textbook
)

// Options configure a Manager. Numbers and functions left zero get the default
// that their comment tells; booleans are taken as they are, so begin with
// Defaults.
type Options struct {
	// Isolation of transactions that do not ask for one; Snapshot if zero.
	Isolation Isolation
	// CoordinatorNamespace holds the Coordinator's table; "coordinator" if empty.
	CoordinatorNamespace string
	// OnePhaseCommit writes a transaction whose records are one atomic unit in
	// one step and without a row in the Coordinator's table.
	OnePhaseCommit bool
	// AsyncCommit answers once the transaction is decided, and settles its
	// records afterwards.
	AsyncCommit bool
	// Backlog is the most records that wait to be settled; a commit that finds
	// it full settles its own before it answers. 1024 if zero.
	Backlog int
	// Schedule of commits.
	Schedule Schedule
	// Lease is how long a silent writer is left alone, counted from its
	// tx_prepared_at on the clock of the reader. 15 s if zero, as every other
	// manager has it.
	Lease time.Duration
	// MetadataTTL is how long a table's definition is trusted; 60 s if zero,
	// for ever if negative.
	MetadataTTL time.Duration
	// IncludeMetadata returns rows with the transaction's own columns.
	IncludeMetadata bool
	// Parallelism is the most storage calls of one step under way at once; 16
	// if zero.
	Parallelism int
	// PageSize is the most rows that a scan asks for at once; 1000 if zero.
	PageSize int

	Logger *slog.Logger // silent if nil
	Hooks  Hooks
	// Now is the clock; time.Now if nil.
	Now func() time.Time
	// Sleep waits between attempts; a timer if nil. It returns the context's
	// error if that ends first.
	Sleep func(context.Context, time.Duration) error
	// NewID makes transaction ids; random UUIDs if nil. An id must never be
	// made twice, by any manager.
	NewID func() string
}

// Defaults returns the options that a program should begin with.
func Defaults() Options {
	return Options{Isolation: Snapshot, OnePhaseCommit: true, AsyncCommit: true}
}

func (o Options) filled() Options {
	or := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	orInt := func(n *int, v int) {
		if *n <= 0 {
			*n = v
		}
	}
	if o.Isolation == DefaultIsolation {
		o.Isolation = Snapshot
	}
	or(&o.Lease, 15*time.Second)
	or(&o.MetadataTTL, time.Minute)
	orInt(&o.Backlog, 1024)
	orInt(&o.Parallelism, 16)
	orInt(&o.PageSize, 1000)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Sleep == nil {
		o.Sleep = sleep
	}
	if o.NewID == nil {
		o.NewID = newID
	}
	return o
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// newID makes a random (version 4) UUID.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	var s [36]byte
	hex.Encode(s[0:8], b[0:4])
	hex.Encode(s[9:13], b[4:6])
	hex.Encode(s[14:18], b[6:8])
	hex.Encode(s[19:23], b[8:10])
	hex.Encode(s[24:36], b[10:16])
	s[8], s[13], s[18], s[23] = '-', '-', '-', '-'
	return string(s[:])
}
