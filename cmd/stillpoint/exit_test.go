package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stillpoint-db/stillpoint/model"
)

func TestEveryClassHasItsNameAndExitCode(t *testing.T) {
	for _, c := range []struct {
		class error
		code  int
		name  string
	}{
		{nil, 1, "failed"},
		{model.ErrConflict, 1, "conflict"},
		{model.ErrUnknownOutcome, 1, "unknown-outcome"},
		{model.ErrConditionNotMet, 1, "condition-not-met"},
		{model.ErrBadArgument, 64, "bad-argument"},
		{model.ErrNotFound, 1, "not-found"},
		{model.ErrExists, 1, "exists"},
		{model.ErrUnavailable, 1, "unavailable"},
		{model.ErrRefused, 5, "refused"},
		{model.ErrDamaged, 6, "damaged"},
		{model.ErrInconsistent, 2, "inconsistent"},
		{model.ErrLocked, 4, "locked"},
		{errPending, 3, "pending"},
		{model.ErrVoid, 7, "window-void"},
		{errUsage, 64, "usage"},
		{context.Canceled, 1, "interrupted"},
	} {
		err := fmt.Errorf("outside: %w", &model.Error{Class: c.class, Detail: "inside"})
		if got := exitCode(err); got != c.code {
			t.Errorf("%v: exit code %d, want %d", c.class, got, c.code)
		}
		if got := classOf(err).name; got != c.name {
			t.Errorf("%v: name %q, want %q", c.class, got, c.name)
		}
	}
	if exitCode(nil) != 0 {
		t.Error("no error is a failure")
	}
}

func TestWhatTheCommandLineNamesAndIsNotThereIsAMisuse(t *testing.T) {
	missing := &model.Error{Class: model.ErrNotFound, Detail: "there is no backup x"}
	for err, want := range map[error]int{missing: 64, &model.Error{Class: model.ErrDamaged, Err: missing}: 6, model.ErrConflict: 1, nil: 0} {
		named := misnamed(err)
		if got := exitCode(named); got != want || classOf(named).name != classOf(err).name || !errors.Is(named, err) {
			t.Errorf("%v: exit code %d, want %d; %v", err, got, want, named)
		}
	}
}

// TestTheDocumentationKnowsAllCodesAndCommands holds docs/command-line.md to the
// code.
func TestTheDocumentationKnowsAllCodesAndCommands(t *testing.T) {
	data, err := os.ReadFile("../../docs/command-line.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(data)
	for _, e := range exitCodes {
		if row := fmt.Sprintf("| %d | %s", e.code, e.meaning); !strings.Contains(page, row) {
			t.Errorf("the page does not have %q", row)
		}
	}
	for _, c := range classNames {
		if !strings.Contains(page, "`"+c.name+"`") {
			t.Errorf("the page does not name class %s", c.name)
		}
	}
	for _, c := range rootCommand(&app{}).Commands() {
		if c.Name() == "help" || c.Hidden {
			continue
		}
		_, line, _ := strings.Cut(page, "| `stillpoint "+c.Name())
		line, _, _ = strings.Cut(line, "\n")
		if line == "" {
			t.Errorf("the page does not have stillpoint %s", c.Name())
		}
		for _, sub := range c.Commands() {
			if !strings.Contains(line, " "+sub.Name()) {
				t.Errorf("the page does not have stillpoint %s %s", c.Name(), sub.Name())
			}
		}
	}
}

// full is a file on a full disk.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

func TestAResultThatCannotBeWrittenIsAFailure(t *testing.T) {
	for _, args := range [][]string{{"version"}, {"version", "--output", "json"}, {"--version"}, {"--help"}} {
		var stderr bytes.Buffer
		if code := Run(t.Context(), args, strings.NewReader(""), full{}, &stderr); code != 1 || !strings.Contains(stderr.String(), "error: write the result: no space left") {
			t.Errorf("%v: exit code %d, %s", args, code, &stderr)
		}
	}
}

func TestTheOutermostClassCounts(t *testing.T) {
	err := &model.Error{Class: model.ErrRefused, Err: &model.Error{Class: model.ErrDamaged}}
	if exitCode(err) != 5 {
		t.Error(exitCode(err))
	}
}

func TestJSONIsOneObjectWithResultAndFailure(t *testing.T) {
	for name, c := range map[string]struct {
		result any
		err    error
		want   string
	}{
		"both":          {map[string]int{"n": 1}, &model.Error{Class: model.ErrRefused, Detail: "no", Hint: "do", TxID: "t"}, `{"n":1,"error":{"class":"refused","message":"no. do","hint":"do","tx_id":"t"}}`},
		"result":        {struct{ A []string }{[]string{"<&>"}}, nil, `{"A":["\u003c\u0026\u003e"]}`},
		"failure":       {nil, errors.New("x"), `{"error":{"class":"failed","message":"x"}}`},
		"empty result":  {struct{}{}, errors.New("x"), `{"error":{"class":"failed","message":"x"}}`},
		"neither":       {nil, nil, `{}`},
		"not an object": {[]int{1}, nil, `{"error":{"class":"failed","message":"the result is not a JSON object: \u003cnil\u003e"}}`},
	} {
		var out bytes.Buffer
		a := &app{stdout: &resultWriter{w: &out}, stderr: io.Discard, output: "json", started: true, result: c.result}
		a.finish(t.Context(), c.err)
		var got bytes.Buffer
		if err := json.Compact(&got, out.Bytes()); err != nil || got.String() != c.want {
			t.Errorf("%s: %v\n got %s\nwant %s", name, err, &got, c.want)
		}
	}
}

func TestAnInterruptedRunSaysSo(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "db.properties")
	if err := os.WriteFile(file, []byte("scalar.db.storage=jdbc\nscalar.db.contact_points=jdbc:sqlite:"+filepath.Join(dir, "x.db")), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "x.db"), nil, 0o600); err != nil { // an empty database
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stdout, stderr bytes.Buffer
	code := Run(ctx, []string{"schema", "show", "--config", file}, strings.NewReader(""), &stdout, &stderr)
	if code != 1 || stdout.Len() != 0 || !strings.HasPrefix(stderr.String(), "error: interrupted: ") {
		t.Errorf("%d %q %q", code, &stdout, &stderr)
	}
}

func TestAnAgeIsNeverNegative(t *testing.T) {
	for d, want := range map[time.Duration]string{-2 * time.Second: "0 s", -time.Hour: "in the future", 3 * time.Second: "3 s", 3 * time.Minute: "3 min"} {
		if got := age(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

func TestLogsAreReadableLines(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(newLogHandler(&out, slog.LevelInfo)).With("storage", "pg")
	log.Debug("hidden")
	log.Info("opened")
	log.Warn("slow", "took", "3s")
	slog.New(newLogHandler(&out, slog.LevelInfo)).Error("gone")
	want := "info: opened (storage=pg)\nwarning: slow (storage=pg, took=3s)\nerror: gone\n"
	if out.String() != want {
		t.Errorf("got %q", &out)
	}
}

// TestEveryCommandExplainsItself demands a short help of all commands, and
// examples and exit codes of those that do something.
func TestEveryCommandExplainsItself(t *testing.T) {
	root := rootCommand(&app{})
	for _, c := range root.Commands() {
		all := append(c.Commands(), c)
		for _, c := range all {
			if c.Name() == "help" || c.Name() == "completion" || c.Parent().Name() == "completion" || c.Name() == "version" {
				continue
			}
			if c.Short == "" {
				t.Errorf("%s has no short help", c.CommandPath())
			}
			if !c.HasSubCommands() && (c.Example == "" || !strings.Contains(c.Long, "Exit codes:")) {
				t.Errorf("%s has no example, or does not tell its exit codes", c.CommandPath())
			}
		}
	}
}

func FuzzParseRate(f *testing.F) {
	for _, s := range []string{"20MB", "1.5 GB/s", "7", "-1kB", "NaN", "1e400", "0x1p3B"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if n, err := parseRate(s); s != "" && (err != nil) == (n > 0) {
			t.Errorf("%q: %d, %v", s, n, err)
		}
	})
}
