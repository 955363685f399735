package stillpointtest_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stillpoint-db/stillpoint"
	"github.com/stillpoint-db/stillpoint/stillpointtest"
)

type Counter struct {
	Name  string `stillpoint:"name,partition"`
	Value int64  `stillpoint:"value"`
}

// increment is the program under test: it reports whether its change happened,
// asking when the answer to the commit was lost.
func increment(ctx context.Context, db *stillpoint.DB, name string) (done bool, err error) {
	counters := stillpoint.TableOf[Counter](db, "app.counters")
	var before, after int64
	err = db.Transact(ctx, func(tx *stillpoint.Tx) error {
		c, _, err := counters.Find(tx, name)
		if err != nil {
			return err
		}
		before, after = c.Value, c.Value+1
		return counters.Put(tx, Counter{Name: name, Value: after})
	})
	if !errors.Is(err, stillpoint.ErrUnknownOutcome) {
		return err == nil, err
	}
	now := before
	err = db.View(ctx, func(tx *stillpoint.Tx) error {
		c, _, err := counters.Find(tx, name)
		now = c.Value
		return err
	})
	return now == after, err
}

// How a program tests its own handling of conflicts and lost answers.
func TestIncrementSurvivesConflictsAndLostAnswers(t *testing.T) {
	for _, tc := range []struct {
		name  string
		fault func(*stillpointtest.Faults)
		done  bool
	}{
		{"no fault", func(*stillpointtest.Faults) {}, true},
		{"three conflicts", func(f *stillpointtest.Faults) { f.ConflictNext(3) }, true},
		{"the answer is lost", func(f *stillpointtest.Faults) { f.LoseAnswerNext(1) }, true},
		{"the request is lost", func(f *stillpointtest.Faults) { f.LoseRequestNext(1) }, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			db := stillpointtest.Open(t, stillpoint.Define[Counter]("app.counters"))
			tc.fault(db.Faults)
			done, err := increment(t.Context(), db.DB, "visits")
			if err != nil || done != tc.done {
				t.Errorf("increment: done = %v, %v; want %v", done, err, tc.done)
			}
		})
	}
}
