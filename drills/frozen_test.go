//go:build java && servers && failpoints

package drills

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stillpoint-db/stillpoint/backup/fence"
	"github.com/stillpoint-db/stillpoint/internal/failpoint"
)

// frozen tells whether a process is stopped by a signal.
func frozen(pid int) bool {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(data), ") ")
	return strings.HasPrefix(rest, "T")
}

// waitFrozen waits until a process has frozen itself, or tells that it did not.
func waitFrozen(cmd *exec.Cmd, patience time.Duration) bool {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if frozen(cmd.Process.Pid) {
			return true
		}
	}
	return frozen(cmd.Process.Pid)
}

// TestWritersFrozenAtEveryStepOfACommit has one writer frozen at each step of a
// commit while a backup is taken, all at the same time, and lets them go on
// afterwards. Whatever else they have under way reaches PostgreSQL and MariaDB in
// one piece, so that none of them holds a lock, and the backup must be made.
func TestWritersFrozenAtEveryStepOfACommit(t *testing.T) {
	w := together(t, map[string]place{"pg": postgresPlace(t), "my": mariadbPlace(t)}).open(t)
	folder := t.TempDir()
	free := startWriter(t, w, 2, nil)
	free.committed(t, time.Time{}, 10)
	for round, more := range []map[string]string{
		nil,
		{"scalar.db.consensus_commit.one_phase_commit.enabled": "false", "scalar.db.consensus_commit.isolation_level": "SERIALIZABLE"},
	} {
		stopped := map[string]*writer{}
		var started []*writer
		var names []string
		for _, step := range steps(t, "txn.") {
			started = append(started, startWriter(t, w, 1, more, failpoint.EnvStop+"="+step+":3"))
			names = append(names, step)
		}
		deadline := time.Now().Add(patience)
		for i, x := range started {
			for len(x.moves(t)) < 20 && !frozen(x.cmd.Process.Pid) && time.Now().Before(deadline) {
				time.Sleep(10 * time.Millisecond)
			}
			if frozen(x.cmd.Process.Pid) {
				stopped[names[i]] = x
			} else {
				x.kill() // a step that is not on its way
			}
		}
		if len(stopped) < 4 {
			t.Errorf("only %d writers are frozen at a step", len(stopped))
		}
		// Less in all than the servers let a frozen client hold locks, and long waits,
		// in which the writer that is not frozen ends what it has begun.
		m, err := attempt(t, w, folder, fence.Options{Budget: 8 * time.Second, Wait: time.Second}, 0, nil)
		for step, x := range stopped {
			if !frozen(x.cmd.Process.Pid) {
				t.Errorf("the writer at %s was not frozen for the whole backup", step)
			}
			x.signal(t, syscall.SIGCONT)
		}
		what := fmt.Sprintf("round %d, a writer frozen at each of %d steps", round+1, len(stopped))
		if refused(t, what, err) {
			t.Error("a frozen writer holds a lock")
		} else {
			t.Logf("longest stall %v in %d attempts", m.Fence.LongestStall.Round(time.Millisecond), m.Fence.Tries)
		}
		for step, x := range stopped {
			x.committed(t, time.Now(), 1)
			if r := x.stop(t); r.Failed+r.Unknown > 0 { // a server may have given up on a frozen client
				t.Logf("the writer that was frozen at %s: %d unknown outcomes, %d failures: %v", step, r.Unknown, r.Failed, r.Errors)
			}
		}
	}
	wantClean(t, free.stop(t))
	wantRight(t, w)
	everyBackup(t, w, folder)
}

// TestWritersFrozenKilledAndStartedAtAnyMoment freezes a Go writer and a Java writer
// at random moments of a backup, in the middle of their commits; kills others; and
// starts new ones. Each backup is right or refused: a frozen Java writer may hold
// locks of PostgreSQL or MariaDB, a frozen Go writer that of SQLite.
func TestWritersFrozenKilledAndStartedAtAnyMoment(t *testing.T) {
	w := allThree(t).open(t)
	folder := t.TempDir()
	java := startJava(t, w.without(t, "lite"), 2)
	steady := startWriter(t, w, 2, nil)
	x := startWriter(t, w, 2, nil)
	killed := 0
	for round := range 6 {
		x.committed(t, time.Time{}, 5)
		time.Sleep(rand.N(20 * time.Millisecond))
		var what string
		h := &hooks{}
		after := func() {}
		freeze := func(pid int) {
			if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			after = func() {
				if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
					t.Fatal(err)
				}
			}
		}
		switch round % 3 {
		case 0:
			what = "a Go writer frozen"
			freeze(x.cmd.Process.Pid)
		case 1:
			what = "a Java writer frozen"
			freeze(java.peer.PID())
		case 2:
			// The plan is made: the next thing is the fence, in which the new one comes up.
			what = "a Go writer killed and one started"
			h.planned = func() {
				x.kill()
				killed++
				x = startWriter(t, w, 2, nil)
			}
		}
		_, err := attempt(t, w, folder, within(3*time.Second), 0, h)
		refused(t, what, err)
		after()
	}
	// At the end without trouble, so that there is one backup at least.
	backup(t, w, folder)
	for _, x := range []*writer{x, steady} {
		x.committed(t, time.Now(), 1)
		wantClean(t, x.stop(t)) // freezes are shorter than any server's patience
	}
	java.stop(t)
	t.Logf("%d writers were killed", killed)
	wantRight(t, w)
	everyBackup(t, w, folder)
}

// TestABackupFrozenUnderItsFence freezes the backup itself while it holds the fence,
// for longer than the servers let it, and lets it go on. The servers must have let
// the writers go on, and the backup must notice: what it opens then is not of one
// moment. A new writer starts during the fence.
func TestABackupFrozenUnderItsFence(t *testing.T) {
	w := allThree(t).open(t)
	folder := t.TempDir()
	x := startWriter(t, w, 2, nil)
	x.committed(t, time.Time{}, 10)
	looked := 0
	for _, step := range []string{"backup.fence.taken", "backup.coordinator-opened", "backup.fence.used"} {
		cmd := command(t, []string{failpoint.EnvStop + "=" + step}, "backup", "create", "--config", w.config, "--repo", folder)
		var stderr strings.Builder
		cmd.Stderr = &stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if !waitFrozen(cmd, patience) {
			t.Fatalf("the backup does not freeze at %s: %s", step, &stderr)
		}
		at := time.Now()
		late := startWriter(t, w, 1, nil)
		// Nobody moves money in SQLite while a frozen process holds its lock; on the
		// servers, the session that holds the lock is ended.
		eventually(t, "the end of the fence on PostgreSQL", noFence(w.places["pg"].sessions(t)))
		held := time.Since(at)
		// That the fence holds all writers up is what all of this rests on. (Where it
		// was over before we could look, there is nothing to see.)
		if held > time.Second {
			looked++
		}
		for _, m := range x.moves(t) {
			if held <= time.Second {
				break
			}
			if m.verdict == "committed" && m.begun().After(at) && m.ended.Before(at.Add(500*time.Millisecond)) {
				t.Errorf("a move was made within %v under the fence", m.took)
			}
		}
		if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		err := cmd.Wait()
		code := cmd.ProcessState.ExitCode()
		t.Logf("frozen at %s; PostgreSQL let go after %v; exit code %d: %s", step, held.Round(10*time.Millisecond), code, strings.TrimSpace(stderr.String()))
		if err == nil || code != 7 {
			t.Errorf("a backup whose fence was lost ended with %v", err)
		}
		x.committed(t, time.Now(), 3)
		late.committed(t, time.Time{}, 3)
		wantClean(t, late.stop(t))
	}
	if looked == 0 {
		t.Error("no fence was seen to hold writers up")
	}
	backup(t, w, folder)
	wantClean(t, x.stop(t))
	wantRight(t, w)
	if ids, _ := sealed(t, folder); len(ids) != 1 {
		t.Errorf("%d backups are sealed; one was not void", len(ids))
	}
	everyBackup(t, w, folder)
}
