package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/stillpoint-db/stillpoint/backup/repo"
	"github.com/stillpoint-db/stillpoint/internal/leak"
)

var update = flag.Bool("update", false, "rewrite the expected output in testdata/*.txtar")

// TestScripts runs testdata/*.txtar, each of which reads like a page of the
// manual: commands and what they answer, and below them the files that they
// find in their folder. The language is a part of testscript's. Commands run in
// this process, so that the race detector sees them and none leaves a goroutine.
func TestScripts(t *testing.T) {
	runScripts(t, "testdata/*.txtar")
}

func runScripts(t *testing.T, pattern string) {
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts: ", err)
	}
	for _, file := range files {
		path, err := filepath.Abs(file)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Setenv("NO_COLOR", "1")
			before := goleak.IgnoreCurrent()
			s := newScript(t, path)
			s.run()
			leak.None(t, before)
			if *update {
				s.save()
			}
		})
	}
}

// script is one file under way.
type script struct {
	t              *testing.T
	path           string
	commands       []string
	files          []scriptFile
	stdout, stderr string
	line           int
	lock           repo.Lock
}

type scriptFile struct{ name, text string }

var fileMark = regexp.MustCompile(`(?m)^-- (\S+) --\n`)

// newScript reads a script and puts its files into a new folder, which becomes
// the current one.
func newScript(t *testing.T, path string) *script {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	s := &script{t: t, path: path}
	marks := fileMark.FindAllStringSubmatchIndex(text, -1)
	end := len(text)
	if len(marks) > 0 {
		end = marks[0][0]
	}
	s.commands = strings.Split(text[:end], "\n")
	t.Chdir(t.TempDir())
	for i, m := range marks {
		end := len(text)
		if i+1 < len(marks) {
			end = marks[i+1][0]
		}
		f := scriptFile{name: text[m[2]:m[3]], text: text[m[1]:end]}
		s.files = append(s.files, f)
		if err := os.WriteFile(f.name, []byte(f.text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func (s *script) fatal(format string, args ...any) {
	s.t.Helper()
	s.t.Logf("stdout:\n%s\nstderr:\n%s", s.stdout, s.stderr)
	s.t.Fatalf("%s:%d: %s: "+format, append([]any{filepath.Base(s.path), s.line, s.commands[s.line-1]}, args...)...)
}

func (s *script) run() {
	for i, command := range s.commands {
		s.line = i + 1
		args := words(command)
		if len(args) == 0 {
			continue
		}
		negate := args[0] == "!"
		if negate {
			args = args[1:]
		}
		s.do(negate, args[0], args[1:])
	}
}

func (s *script) do(negate bool, verb string, args []string) {
	switch verb {
	case "exec", "exits":
		want := 0
		if verb == "exits" {
			want, _ = strconv.Atoi(args[0])
			args = args[1:]
		}
		if len(args) == 0 || args[0] != "stillpoint" || negate {
			s.fatal("only stillpoint can be run")
		}
		var stdout, stderr bytes.Buffer
		got := Run(s.t.Context(), args[1:], strings.NewReader(""), &stdout, &stderr)
		s.stdout, s.stderr = stdout.String(), stderr.String()
		if got != want {
			s.fatal("exit code %d, want %d", got, want)
		}
	case "stdout", "stderr":
		pattern, err := regexp.Compile("(?m)" + args[0])
		if err != nil {
			s.fatal("%v", err)
		}
		if pattern.MatchString(s.read(verb)) == negate {
			s.fatal("the pattern is there: %t", negate)
		}
	case "cmp":
		got, want := s.read(args[0]), s.read(args[1])
		if diff := cmp.Diff(want, got); diff != "" && !s.updated(args[1], got) {
			s.fatal("want(-) got(+):\n%s", diff)
		}
	case "cp":
		if err := os.WriteFile(args[1], []byte(s.read(args[0])), 0o600); err != nil {
			s.fatal("%v", err)
		}
	case "leave":
		s.leave(args)
	case "lock": // the repository, until unlock
		lock, err := repo.InFolder(args[0]).Lock(s.t.Context(), "the script")
		if err != nil {
			s.fatal("%v", err)
		}
		s.lock = lock
	case "unlock":
		if err := s.lock.Release(); err != nil {
			s.fatal("%v", err)
		}
	case "rm":
		for _, name := range args {
			if err := os.RemoveAll(name); err != nil {
				s.fatal("%v", err)
			}
		}
	case "exists":
		for _, name := range args {
			if _, err := os.Stat(name); (err == nil) == negate {
				s.fatal("%s: %v", name, err)
			}
		}
	default:
		s.fatal("unknown command")
	}
}

// read returns the last output, or a file.
func (s *script) read(name string) string {
	switch name {
	case "stdout":
		return s.stdout
	case "stderr":
		return s.stderr
	}
	data, err := os.ReadFile(name)
	if err != nil {
		s.fatal("%v", err)
	}
	return string(data)
}

// updated replaces the text of a file of the script, with -update.
func (s *script) updated(name, text string) bool {
	for i := range s.files {
		if *update && s.files[i].name == name {
			s.files[i].text = text
			return true
		}
	}
	return false
}

func (s *script) save() {
	var b strings.Builder
	b.WriteString(strings.Join(s.commands, "\n"))
	for _, f := range s.files {
		b.WriteString("-- " + f.name + " --\n" + f.text)
	}
	if err := os.WriteFile(s.path, []byte(b.String()), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// words splits a command at blanks; single quotes hold a word together, and two
// in them are one. # begins a comment.
func words(line string) []string {
	var out []string
	var word strings.Builder
	in, quoted := false, false
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case quoted && c == '\'' && i+1 < len(line) && line[i+1] == '\'':
			word.WriteByte(c)
			i++
		case c == '\'':
			quoted, in = !quoted, true
		case quoted:
			word.WriteByte(c)
		case c == '#' && !in:
			return out
		case c == ' ' || c == '\t':
			if in {
				out = append(out, word.String())
				word.Reset()
			}
			in = false
		default:
			word.WriteByte(c)
			in = true
		}
	}
	if in {
		out = append(out, word.String())
	}
	return out
}
