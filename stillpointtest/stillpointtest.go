// Package stillpointtest opens databases for a program's own tests, with a
// switch that makes commits fail on purpose, so that the handling of conflicts
// and of lost answers can be tested without waiting for bad luck.
package stillpointtest

import (
	"context"
	"testing"

	"github.com/stillpoint-db/stillpoint"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/faulty"
	_ "github.com/stillpoint-db/stillpoint/storage/memory" // the databases that Open opens
)

// DB is a database in memory that is closed when the test ends.
type DB struct {
	*stillpoint.DB
	// Faults is the switch.
	Faults *Faults
}

// Open opens an empty database in memory and creates tables in it. The test
// fails if that does not work.
func Open(t testing.TB, tables ...stillpoint.TableDef) *DB {
	t.Helper()
	ctx := context.Background()
	f := &Faults{}
	db, err := stillpoint.Open(ctx,
		stillpoint.Properties{"scalar.db.storage": "memory", "scalar.db.contact_points": "memory:" + t.Name()},
		stillpoint.WithStorageWrapper(f.wrap))
	if err != nil {
		t.Fatalf("stillpointtest: %v", err)
	}
	t.Cleanup(func() {
		f.Clear()
		if err := db.Close(); err != nil {
			t.Errorf("stillpointtest: closing the database: %v", err)
		}
	})
	if err := db.CreateTables(ctx, tables...); err != nil {
		t.Fatalf("stillpointtest: %v", err)
	}
	return &DB{db, f}
}

// Faults makes the writes of the databases behind a DB go wrong. Its methods may
// be called at any time, from any goroutine.
type Faults struct {
	storages []*faulty.Storage // filled before Open returns
}

func (f *Faults) wrap(s storage.Storage) storage.Storage {
	w := faulty.New(s, 1)
	f.storages = append(f.storages, w)
	return w
}

func (f *Faults) add(e faulty.Effect, n int) {
	for _, s := range f.storages {
		s.Add(e.On(faulty.Mutate).Times(n))
	}
}

// ConflictNext lets the next n writes meet a conflict: the transactions that
// make them fail with ErrConflict, and Transact runs them again.
func (f *Faults) ConflictNext(n int) { f.add(faulty.Conflict, n) }

// LoseAnswerNext lets the next n writes happen, but loses their answers: a
// transaction whose deciding write that is fails with ErrUnknownOutcome although
// it has committed.
func (f *Faults) LoseAnswerNext(n int) { f.add(faulty.LoseAnswer, n) }

// LoseRequestNext lets the next n writes get lost on their way, and their
// senders not know: a transaction whose deciding write that is fails with
// ErrUnknownOutcome and has not committed.
func (f *Faults) LoseRequestNext(n int) { f.add(faulty.LoseRequest, n) }

// UnavailableNext lets the next n writes find no database.
func (f *Faults) UnavailableNext(n int) { f.add(faulty.Unavailable, n) }

// Clear ends all faults that have not happened yet.
func (f *Faults) Clear() {
	for _, s := range f.storages {
		s.Clear()
	}
}
