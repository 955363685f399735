//go:build java && servers && failpoints

package drills

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stillpoint-db/stillpoint"
	"github.com/stillpoint-db/stillpoint/internal/workload"
)

const envWriter = "STILLPOINT_DRILL_WRITER"

// writerSpec is what a writer process does: it moves money until its standard
// input ends, and logs the end of every move.
type writerSpec struct {
	Properties map[string]string
	Namespaces []string
	Workers    int
	Log        string
}

// writerMain runs the writer, if this process is one.
func writerMain() bool {
	text := os.Getenv(envWriter)
	if text == "" {
		return false
	}
	var spec writerSpec
	err := json.Unmarshal([]byte(text), &spec)
	if err == nil {
		err = spec.run(context.Background())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return true
}

func (s writerSpec) run(ctx context.Context) error {
	log, err := os.OpenFile(s.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	db, err := stillpoint.Open(ctx, stillpoint.Properties(s.Properties))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	result := workload.NewBank(db, s.Namespaces, accounts, initial).Run(ctx, workload.RunOptions{Workers: s.Workers,
		Observe: func(took time.Duration, err error) {
			// One write a line: whole even when the process is killed.
			_, _ = log.WriteString(fmt.Sprintf("%d %d %s\n", time.Now().UnixNano(), took, verdict(err)))
		}})
	if err := db.Close(); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(result)
}

func verdict(err error) string {
	switch {
	case err == nil:
		return "committed"
	case errors.Is(err, stillpoint.ErrUnknownOutcome):
		return "unknown"
	case errors.Is(err, stillpoint.ErrConflict):
		return "conflict"
	}
	return "failed"
}

// move is one line of a writer's log: a move of money with all its retries.
type move struct {
	ended   time.Time
	took    time.Duration
	verdict string
}

func (m move) begun() time.Time { return m.ended.Add(-m.took) }

// writer is a process that moves money.
type writer struct {
	cmd    *exec.Cmd
	stdin  io.Closer
	log    string
	stdout bytes.Buffer
	stderr bytes.Buffer
	gone   bool
}

// startWriter starts a writer with properties beyond those of the world.
func startWriter(t *testing.T, w *world, workers int, more map[string]string, env ...string) *writer {
	t.Helper()
	p := maps.Clone(w.properties)
	maps.Copy(p, more)
	x := &writer{log: filepath.Join(t.TempDir(), "moves")}
	text, err := json.Marshal(writerSpec{p, w.namespaces, workers, x.log})
	if err != nil {
		t.Fatal(err)
	}
	x.cmd = exec.Command(os.Args[0])
	x.cmd.Env = append(append(os.Environ(), envWriter+"="+string(text)), env...)
	x.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	x.cmd.Stdout, x.cmd.Stderr = &x.stdout, &x.stderr
	if x.stdin, err = x.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := x.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(x.kill)
	return x
}

// moves reads the log so far.
func (x *writer) moves(t *testing.T) []move {
	t.Helper()
	data, err := os.ReadFile(x.log)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	var out []move
	for sc := bufio.NewScanner(bytes.NewReader(data)); sc.Scan(); {
		var ended int64
		var m move
		if _, err := fmt.Sscan(sc.Text(), &ended, (*int64)(&m.took), &m.verdict); err != nil {
			t.Fatalf("%q: %v", sc.Text(), err)
		}
		m.ended = time.Unix(0, ended)
		out = append(out, m)
	}
	return out
}

// committed waits until n moves that began after a moment have committed.
func (x *writer) committed(t *testing.T, since time.Time, n int) time.Duration {
	t.Helper()
	asked := time.Now()
	for time.Since(asked) < patience {
		got := 0
		for _, m := range x.moves(t) {
			if m.verdict == "committed" && m.begun().After(since) {
				got++
			}
		}
		if got >= n {
			return time.Since(since)
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("a writer commits nothing any more; it printed:\n%s", &x.stderr)
	return 0
}

// signal sends SIGSTOP or SIGCONT.
func (x *writer) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := x.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// stop ends the writer in order.
func (x *writer) stop(t *testing.T) workload.Result {
	t.Helper()
	_ = x.stdin.Close()
	err := x.cmd.Wait()
	x.gone = true
	var r workload.Result
	if err == nil {
		err = json.Unmarshal(x.stdout.Bytes(), &r)
	}
	if err != nil {
		t.Fatalf("a writer ended with %v: %s", err, &x.stderr)
	}
	return r
}

// kill ends the writer wherever it is.
func (x *writer) kill() {
	if !x.gone {
		x.gone = true
		_ = x.cmd.Process.Kill()
		_ = x.cmd.Wait()
	}
}

// wantClean fails the test if a writer got an answer that no writer should.
func wantClean(t *testing.T, r workload.Result) {
	t.Helper()
	t.Logf("a Go writer: %d committed, %d gave up after conflicts, longest stall %v", r.Committed, r.Conflicts, r.LongestStall.Round(time.Millisecond))
	if r.Failed > 0 || r.Unknown > 0 {
		t.Errorf("%d moves failed, %d have an unknown outcome: %s", r.Failed, r.Unknown, strings.Join(r.Errors, "; "))
	}
	if r.Committed == 0 {
		t.Error("a writer committed nothing")
	}
}
