//go:build java && servers && failpoints

package drills

import (
	"flag"
	"strconv"
	"testing"
	"time"
)

var dumpTime = flag.Duration("dump", 12*time.Second, "how long the throttled dump takes; the full drill is 60s")

// TestWritersCommitWhileADumpIsSlow throttles the dump of three databases and counts
// what writers committed, from the moment that the first lock was asked for until
// the last row was read. A backup that kept its fence while it reads fails this.
func TestWritersCommitWhileADumpIsSlow(t *testing.T) {
	w := allThree(t)
	w.open(t)
	w.fill(t, 8<<10)
	ours := []*writer{startWriter(t, w, 2, nil), startWriter(t, w, 2, nil)}
	for _, x := range ours {
		x.committed(t, time.Time{}, 20)
	}
	folder := t.TempDir()
	quick := backup(t, w, folder)
	rate := int64(float64(quick.Totals.Raw) / (1.15 * dumpTime.Seconds())) // what is read last is not waited for
	m := backup(t, w, folder, "--no-verify", "--throttle", strconv.FormatInt(rate, 10))
	var all, after int
	for _, x := range ours {
		x.committed(t, time.Now(), 1)
		wantClean(t, x.stop(t)) // none was refused
		asked, released := window(m)
		for _, mv := range x.moves(t) {
			if mv.ended.Before(asked) || mv.ended.After(m.Ended) {
				continue
			}
			if mv.verdict == "committed" {
				all++
				if mv.ended.After(released) {
					after++
				}
			}
		}
	}
	asked, released := window(m)
	t.Logf("the fence took %v of %v; %d of %d commits of that time (%.1f %%) came after its release", released.Sub(asked).Round(time.Millisecond),
		m.Ended.Sub(asked).Round(time.Millisecond), after, all, 100*float64(after)/float64(max(all, 1)))
	if m.Ended.Sub(asked) < *dumpTime*9/10 {
		t.Errorf("the dump took %v only", m.Ended.Sub(asked))
	}
	if all < 50 || after*100 < all*95 {
		t.Errorf("%d of %d commits came after the release", after, all)
	}
	wantRight(t, w)
	everyBackup(t, w, folder)
}
