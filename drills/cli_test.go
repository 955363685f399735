//go:build java && servers && failpoints

package drills

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stillpoint-db/stillpoint/backup/manifest"
	"github.com/stillpoint-db/stillpoint/internal/failpoint"
	"github.com/stillpoint-db/stillpoint/internal/testenv"
)

// program builds the binary that users get, with fail points in it.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "stillpoint-drills-")
	if err != nil {
		return "", err
	}
	testenv.AtExit(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "stillpoint")
	out, err := exec.Command("go", "build", "-tags", "failpoints", "-o", path, "../cmd/stillpoint").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build of the program: %w\n%s", err, out)
	}
	return path, nil
})

// outcome is how a run of the program ended.
type outcome struct {
	code   int // -1 = killed
	result []byte
	stderr string
}

func (o outcome) String() string { return fmt.Sprintf("exit code %d; %s", o.code, o.stderr) }

// command prepares a run of the program.
func command(t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, append(args, "--output", "json", "--progress", "none")...)
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// run runs the program to its end.
func run(t *testing.T, env []string, args ...string) outcome {
	t.Helper()
	cmd := command(t, env, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	o := outcome{result: stdout.Bytes(), stderr: stderr.String()}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		o.code = exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	return o
}

// must runs the program, which must succeed, and returns its JSON in out.
func must(t *testing.T, out any, args ...string) {
	t.Helper()
	o := run(t, nil, args...)
	if o.code != 0 {
		t.Fatalf("stillpoint %v: %v", args, o)
	}
	decode(t, o, out)
}

func decode(t *testing.T, o outcome, out any) {
	t.Helper()
	if out == nil {
		return
	}
	if err := json.Unmarshal(o.result, out); err != nil {
		t.Fatalf("%v: %q", err, o.result)
	}
}

// killAt is the environment that makes the program kill itself at a step.
func killAt(step string) []string { return []string{failpoint.EnvKill + "=" + step} }

// backup takes a backup.
func backup(t *testing.T, w *world, repo string, more ...string) *manifest.Manifest {
	t.Helper()
	var r struct {
		Manifest *manifest.Manifest
	}
	taken(t, &r, append([]string{"backup", "create", "--config", w.config, "--repo", repo}, more...)...)
	return r.Manifest
}

// taken runs a command that takes a backup, which must succeed in the end: where the
// machine stood still for a moment under the fence, the backup is void and says so.
func taken(t *testing.T, out any, args ...string) {
	t.Helper()
	for end := time.Now().Add(patience); ; {
		o := run(t, nil, args...)
		if o.code == 0 {
			decode(t, o, out)
			return
		}
		const void = 7
		if o.code != void || time.Now().After(end) {
			t.Fatalf("stillpoint %v: %v", args, o)
		}
		t.Logf("once more: %v", o)
	}
}

// restore restores a backup.
func restore(t *testing.T, w *world, repo, id string, more ...string) {
	t.Helper()
	restored(t, nil, append([]string{"restore", "run", "--config", w.config, "--repo", repo, "--backup", id, "--yes"}, more...)...)
}

// restored runs a command that restores, which must succeed in the end: servers take
// a moment to see that a session has ended.
func restored(t *testing.T, out any, args ...string) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		o := run(t, nil, args...)
		if o.code == 0 {
			decode(t, o, out)
			return
		}
		const refused = 5
		if o.code != refused || !strings.Contains(o.stderr+string(o.result), "still connected") || time.Now().After(end) {
			t.Fatalf("stillpoint %v: %v", args, o)
		}
	}
}

// window is the time during which the fence of a backup kept writers waiting.
func window(m *manifest.Manifest) (asked, released time.Time) {
	if m.Fence == nil {
		return m.Moment, m.Moment
	}
	for _, s := range m.Fence.Spans {
		if asked.IsZero() || s.Asked.Before(asked) {
			asked = s.Asked
		}
		if s.Released.After(released) {
			released = s.Released
		}
	}
	return asked, released
}
