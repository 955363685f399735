package sqlite

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stillpoint-db/stillpoint/internal/leak"
)

// childKey names the environment variable that makes the test program play
// another process.
const childKey = "STILLPOINT_SQLITE_CHILD"

func TestMain(m *testing.M) {
	if role := os.Getenv(childKey); role != "" {
		os.Exit(child(role))
	}
	leak.Main(m)
}

// process is another process that a test talks to, line by line.
type process struct {
	t    testing.TB
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Scanner
	over bool
}

// start starts a child in a role.
func start(t testing.TB, role string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(os.Args[0], args...)}
	p.cmd.Env = append(os.Environ(), childKey+"="+role)
	p.cmd.Stderr = os.Stderr
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.out = bufio.NewScanner(out)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if !p.over {
			_ = p.cmd.Process.Kill()
			_ = p.cmd.Wait()
		}
	})
	return p
}

// line reads the next line of the child.
func (p *process) line() string {
	p.t.Helper()
	if !p.out.Scan() {
		p.t.Fatalf("the child says no more: %v", p.out.Err())
	}
	return p.out.Text()
}

// expect reads a line that must begin with a word, and returns the rest.
func (p *process) expect(word string) string {
	p.t.Helper()
	line := p.line()
	rest, ok := strings.CutPrefix(line, word)
	if !ok {
		p.t.Fatalf("the child says %q, not %q", line, word)
	}
	return strings.TrimSpace(rest)
}

func (p *process) say(line string) { _, _ = fmt.Fprintln(p.in, line) }

// end waits for the child to end by itself.
func (p *process) end() {
	p.t.Helper()
	_ = p.in.Close()
	for p.out.Scan() {
	}
	p.over = true
	if err := p.cmd.Wait(); err != nil {
		p.t.Errorf("the child failed: %v", err)
	}
}

// kill ends the child at once and returns the lines that it had said.
func (p *process) kill() (lines []string) {
	_ = p.cmd.Process.Kill()
	for p.out.Scan() {
		lines = append(lines, p.out.Text())
	}
	p.over = true
	_ = p.cmd.Wait()
	return lines
}
