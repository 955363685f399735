package house

import (
	"bufio"
	"go/build/constraint"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// stages reads the sets of build tags that the test script runs tests with; the
// one without any runs under the race detector.
func stages(t *testing.T) [][]string {
	t.Helper()
	script, err := os.ReadFile("../../scripts/test")
	if err != nil {
		t.Fatal(err)
	}
	all := regexp.MustCompile(`(?m)^tags=([a-z,]+)$`).FindStringSubmatch(string(script))
	if all == nil {
		t.Fatal("the test script does not set tags=")
	}
	text := strings.ReplaceAll(string(script), `"$tags"`, all[1])
	sets := [][]string{{"race"}}
	for _, m := range regexp.MustCompile(`go test (?:-p \d+ )?-tags ([a-z,]+)`).FindAllStringSubmatch(text, -1) {
		sets = append(sets, strings.Split(m[1], ","))
	}
	return sets
}

// buildLine returns the //go:build line of a file; nil if it has none.
func buildLine(t *testing.T, path string) constraint.Expr {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan() && !strings.HasPrefix(s.Text(), "package "); {
		if constraint.IsGoBuild(s.Text()) {
			expr, err := constraint.Parse(s.Text())
			if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			return expr
		}
	}
	return nil
}

// TestEveryTestIsInSomeStage looks that no file of tests has build tags that no
// stage of the test script gives: its tests would never run, and nothing would say
// so. Benchmarks are run by hand.
func TestEveryTestIsInSomeStage(t *testing.T) {
	sets := stages(t)
	if len(sets) < 4 {
		t.Fatalf("only %d stages in the test script", len(sets))
	}
	files := 0
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		expr := buildLine(t, path)
		if expr == nil {
			return nil
		}
		files++
		byHand := false
		run := func(tags []string) bool {
			return expr.Eval(func(tag string) bool {
				byHand = byHand || tag == "bench"
				return tag == "linux" || tag == "unix" || slices.Contains(tags, tag)
			})
		}
		if !slices.ContainsFunc(sets, run) && !byHand {
			t.Errorf("%s is built for %q, which no stage of scripts/test is", strings.TrimPrefix(path, "../../"), expr)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 20 {
		t.Errorf("only %d files with build tags were looked at", files)
	}
}
