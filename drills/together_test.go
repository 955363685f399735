//go:build java && servers && failpoints

package drills

import (
	"slices"
	"testing"
	"time"

	"github.com/stillpoint-db/stillpoint/backup/manifest"
)

// TestTwentyBackupsOfThreeDatabasesInARow moves money between PostgreSQL, MariaDB
// and SQLite from two Go processes, and from a Java process between the first two,
// while a fourth process takes one backup after the other. Each backup must be
// right, in its files and restored. Naive copies made at the same moments show that
// the oracle can tell.
func TestTwentyBackupsOfThreeDatabasesInARow(t *testing.T) {
	w := allThree(t).open(t)
	folder := t.TempDir()
	java := startJava(t, w.without(t, "lite"), 4)
	ours := []*writer{startWriter(t, w, 3, nil), startWriter(t, w, 3, nil)}
	for _, x := range ours {
		x.committed(t, time.Time{}, 20)
	}

	const backups = 20
	var taken []*manifest.Manifest
	var begun []time.Time
	torn, copies := 0, 0
	for range backups {
		naive := make(chan error, 1)
		var c *copied
		go func() {
			var err error
			c, err = naiveCopy(t.Context(), w)
			naive <- err
		}()
		begun = append(begun, time.Now())
		taken = append(taken, backup(t, w, folder))
		if err := <-naive; err != nil {
			t.Fatal(err)
		}
		copies++
		if judge(t, w, c) != nil {
			torn++
		}
	}
	var moves []move
	for _, x := range ours {
		x.committed(t, time.Now(), 5)
		wantClean(t, x.stop(t))
		moves = append(moves, x.moves(t)...)
	}
	java.stop(t)

	t.Logf("control: %d of %d naive copies are torn", torn, copies)
	if torn*2 < copies {
		t.Errorf("only %d of %d naive copies are torn: the oracle, or the load, is too weak to show anything", torn, copies)
	}
	live := wantRight(t, w)
	t.Logf("live at the end: %s", live)
	for i, m := range taken {
		wantWhole(t, w, folder, m.ID)
		all, onePhase := decisions(t, w, folder, m.ID)
		r := wantRestored(t, w, folder, m.ID)
		t.Logf("backup %2d: longest stall %v seen by a writer (at any time one move in a hundred takes %v), %v by the fence itself, in %d attempts; %d transactions, %d of them one-phase; %s", i+1,
			longest(moves, begun[i], m).Round(time.Millisecond), usual(moves).Round(time.Millisecond), m.Fence.LongestStall.Round(time.Millisecond), m.Fence.Tries, all, onePhase, r)
		if i == len(taken)-1 && (onePhase == 0 || onePhase == all) {
			t.Errorf("%d of %d commits are one-phase ones: one kind is missing", onePhase, all)
		}
	}

	// The last one goes back to where it came from.
	w.wipe(t)
	last := taken[len(taken)-1]
	restore(t, w, folder, last.ID)
	t.Logf("restored in place: %s", wantRight(t, w))
	must(t, nil, "check", "--config", w.config)
}

// longest is the longest move, retries included, that was under way at some time
// between the beginning of a backup and the release of its fence: failed attempts
// and the proof that the locks work are in it.
func longest(moves []move, begun time.Time, m *manifest.Manifest) (d time.Duration) {
	_, released := window(m)
	for _, x := range moves {
		if x.begun().Before(released) && x.ended.After(begun) {
			d = max(d, x.took)
		}
	}
	return d
}

// usual is what the slowest move in a hundred takes: with it, longest is compared.
func usual(moves []move) time.Duration {
	took := make([]time.Duration, len(moves))
	for i, x := range moves {
		took[i] = x.took
	}
	slices.Sort(took)
	return took[len(took)*99/100]
}
