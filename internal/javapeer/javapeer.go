// Package javapeer runs a Java ScalarDB node (interop/java) as a child process
// that a test drives: the other implementation, on the same tables.
//
// It needs a JDK and Maven; a test that uses it carries the build tag "java" and
// fails, rather than skips, without them.
package javapeer

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// Peer is a running Java node. Its methods are for one goroutine.
type Peer struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	stderr *os.File
	waited bool
}

var build = sync.OnceValues(func() (classpath string, err error) {
	_, self, _, _ := runtime.Caller(0)
	dir := filepath.Join(filepath.Dir(self), "..", "..", "interop", "java")
	jar, list := filepath.Join(dir, "target", "peer-1.jar"), filepath.Join(dir, "target", "classpath.txt")
	if !newer(jar, filepath.Join(dir, "src")) {
		cmd := exec.Command("mvn", "-q", "-B", "-ntp", "package")
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("build of the Java peer with mvn in %s: %w\n%s", dir, err, out)
		}
	}
	deps, err := os.ReadFile(list)
	return jar + ":" + strings.TrimSpace(string(deps)), err
})

// newer tells whether the file is there and newer than all files of a folder.
func newer(file, folder string) bool {
	built, err := os.Stat(file)
	if err != nil {
		return false
	}
	fresh := true
	_ = filepath.WalkDir(folder, func(_ string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if info, err := d.Info(); err == nil && info.ModTime().After(built.ModTime()) {
			fresh = false
		}
		return nil
	})
	return fresh
}

// Start starts a node with the given scalar.db.* properties and stops it at the
// end of the test. Storage "stepping-jdbc" instead of "jdbc" makes Arm work.
func Start(t testing.TB, properties map[string]string) *Peer {
	t.Helper()
	classpath, err := build()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "peer.properties")
	var lines []string
	for k, v := range properties {
		lines = append(lines, k+"="+strings.ReplaceAll(v, `\`, `\\`))
	}
	slices.Sort(lines)
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := &Peer{}
	if p.stderr, err = os.Create(filepath.Join(dir, "stderr")); err != nil {
		t.Fatal(err)
	}
	p.cmd = exec.Command("java", "-Xmx512m", "-XX:-UsePerfData", "-Djava.io.tmpdir="+dir, "-cp", classpath, "dev.stillpoint.peer.Main", file)
	p.cmd.Stderr = p.stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.out = bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start of the Java peer: %v", err)
	}
	t.Cleanup(func() {
		p.Kill()
		_ = p.stderr.Close()
		if t.Failed() {
			if log, err := os.ReadFile(p.stderr.Name()); err == nil {
				t.Logf("the Java peer printed:\n%s", tail(log, 4000))
			}
		}
	})
	if _, err := p.answer(); err != nil {
		log, _ := os.ReadFile(p.stderr.Name())
		t.Fatalf("the Java peer did not get ready: %v\n%s", err, tail(log, 4000))
	}
	return p
}

func tail(b []byte, n int) []byte { return b[max(0, len(b)-n):] }

// Do runs a command and returns its answer; the test fails if the peer reports
// an error.
func (p *Peer) Do(t testing.TB, command ...string) []string {
	t.Helper()
	answer, err := p.Try(command...)
	if err != nil {
		t.Fatalf("Java peer, %v: %v", command, err)
	}
	return answer
}

// Try runs a command and returns its answer, an error of class *Failure, or
// io.EOF if the node died.
func (p *Peer) Try(command ...string) ([]string, error) {
	if err := p.Begin(command...); err != nil {
		return nil, err
	}
	return p.answer()
}

// Begin sends a command without waiting for its answer; End waits for it.
func (p *Peer) Begin(command ...string) error {
	_, err := io.WriteString(p.in, strings.Join(command, "\t")+"\n")
	return err
}

// End waits for the answer to Begin.
func (p *Peer) End() ([]string, error) { return p.answer() }

// Failure is an error that the node reported.
type Failure struct{ Class, Message string }

// Error implements error.
func (f *Failure) Error() string { return f.Class + ": " + f.Message }

func (p *Peer) answer() ([]string, error) {
	line, err := p.out.ReadString('\n')
	if err != nil {
		return nil, err
	}
	fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
	if fields[0] == "ok" {
		return fields[1:], nil
	}
	f := &Failure{Class: "unknown"}
	if len(fields) > 2 {
		f.Class, f.Message = fields[1], fields[2]
	}
	return nil, f
}

// Arm makes the node die at its n-th storage write from now (1-based), before
// or after the write happens.
func (p *Peer) Arm(t testing.TB, n int, after bool) {
	t.Helper()
	when := "before"
	if after {
		when = "after"
	}
	p.Do(t, "arm", when, fmt.Sprint(n))
}

// PID returns the node's process id, for signals.
func (p *Peer) PID() int { return p.cmd.Process.Pid }

// Kill ends the node at once and waits until it is gone.
func (p *Peer) Kill() {
	if p.waited {
		return
	}
	p.waited = true
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// WaitDead waits until the node has died by itself (see Arm).
func (p *Peer) WaitDead() {
	if !p.waited {
		p.waited = true
		_ = p.cmd.Wait()
	}
}
