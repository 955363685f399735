// Package stillpointtest opens databases for a program's own tests, with a
// switch that makes commits fail on purpose, so that the handling of conflicts
// and of lost answers can be tested without waiting for bad luck.
package stillpointtest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stillpoint-db/stillpoint"
	_ "github.com/stillpoint-db/stillpoint/storage/memory" // the databases that Open opens
)

// DB is a database in memory that is closed when the test ends.
type DB struct {
	*stillpoint.DB
	// Faults is the switch.
	Faults *Faults
}

// opened counts the databases, for names that nobody else has.
var opened atomic.Int64

// Open opens an empty database in memory, another one each time, and creates
// tables in it. The test fails if that does not work.
func Open(t testing.TB, tables ...stillpoint.TableDef) *DB {
	t.Helper()
	ctx := context.Background()
	f := &Faults{}
	db, err := stillpoint.Open(ctx,
		stillpoint.Properties{"scalar.db.storage": "memory", "scalar.db.contact_points": fmt.Sprintf("memory:stillpointtest-%d", opened.Add(1))},
		stillpoint.WithCommitInterceptor(f.commit))
	if err != nil {
		t.Fatalf("stillpointtest: %v", err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("stillpointtest: closing the database: %v", err)
		}
	})
	if err := db.CreateTables(ctx, tables...); err != nil {
		t.Fatalf("stillpointtest: %v", err)
	}
	return &DB{db, f}
}

// Faults makes the commits of a DB go wrong: of those transactions that have
// written something, in the order in which they commit. Faults asked for one
// after the other happen one after the other. Its methods may be called at any
// time, from any goroutine.
type Faults struct {
	mu      sync.Mutex
	planned []fault // guarded by mu
}

type fault struct {
	commits bool // the commit happens nevertheless
	class   error
	detail  string
}

// ConflictNext lets the next n commits meet a conflict: nothing of them happens,
// and Transact runs its function again.
func (f *Faults) ConflictNext(n int) {
	f.plan(n, fault{false, stillpoint.ErrConflict, "another transaction was in the way, on purpose"})
}

// LoseAnswerNext lets the next n commits happen and loses their answers: they
// fail with ErrUnknownOutcome.
func (f *Faults) LoseAnswerNext(n int) {
	f.plan(n, fault{true, stillpoint.ErrUnknownOutcome, "the answer to the deciding write was lost, on purpose"})
}

// LoseRequestNext loses the next n commits on their way without their senders
// knowing: they fail with ErrUnknownOutcome and have not happened.
func (f *Faults) LoseRequestNext(n int) {
	f.plan(n, fault{false, stillpoint.ErrUnknownOutcome, "the deciding write was lost, on purpose"})
}

// UnavailableNext lets the next n commits find no database.
func (f *Faults) UnavailableNext(n int) {
	f.plan(n, fault{false, stillpoint.ErrUnavailable, "the database does not answer, on purpose"})
}

// Clear forgets all faults that have not happened yet.
func (f *Faults) Clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.planned = nil
}

func (f *Faults) plan(n int, x fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for range n {
		f.planned = append(f.planned, x)
	}
}

func (f *Faults) commit(_ context.Context, txID string, commit func() error) error {
	f.mu.Lock()
	if len(f.planned) == 0 {
		f.mu.Unlock()
		return commit()
	}
	x := f.planned[0]
	f.planned = f.planned[1:]
	f.mu.Unlock()
	if x.commits {
		if err := commit(); err != nil {
			return err
		}
	}
	return &stillpoint.Error{Class: x.class, Op: "commit", Subject: "transaction " + txID, Detail: x.detail, TxID: txID}
}
