//go:build java && servers && failpoints

package drills

import (
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stillpoint-db/stillpoint/internal/javapeer"
)

// javaWriter is a Java node that moves money, in rounds of two seconds.
type javaWriter struct {
	peer      *javapeer.Peer
	stopping  atomic.Bool
	done      chan struct{}
	committed int64 // these three after done
	conflicts int64
	other     int64
	err       error
}

func startJava(t *testing.T, w *world, threads int) *javaWriter {
	t.Helper()
	j := &javaWriter{peer: javapeer.Start(t, w.properties), done: make(chan struct{})}
	go func() {
		defer close(j.done)
		// At least until something is committed: on SQLite, others may be quicker for
		// a while.
		for end := time.Now().Add(patience); !j.stopping.Load() || j.committed == 0 && time.Now().Before(end); {
			answer, err := j.peer.Try("transfers", strings.Join(w.namespaces, ","), strconv.Itoa(accounts), strconv.Itoa(threads), "2000", "1000000000")
			if err != nil {
				j.err = err
				return
			}
			for i, n := range []*int64{&j.committed, &j.conflicts, &j.other} {
				v, err := strconv.ParseInt(answer[i], 10, 64)
				if err != nil {
					j.err = err
					return
				}
				*n += v
			}
		}
	}()
	return j
}

// stop waits for the round and ends the node, which then uses no database.
func (j *javaWriter) stop(t *testing.T) {
	t.Helper()
	j.stopping.Store(true)
	<-j.done
	j.peer.Kill()
	if j.err != nil {
		t.Fatal(j.err)
	}
	t.Logf("a Java writer: %d committed, %d conflicts, %d other", j.committed, j.conflicts, j.other)
	if j.committed == 0 {
		t.Error("the Java writer committed nothing")
	}
}
