//go:build mutants

package txn_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/stillpoint-db/stillpoint/internal/mutant"
)

// TestTrapsNoticeTheirMutants removes each guarded line in turn and demands that
// its trap's scenario fails.
func TestTrapsNoticeTheirMutants(t *testing.T) {
	for _, trap := range traps {
		for _, name := range trap.mutants {
			t.Run(string(name)+"/"+trap.name, func(t *testing.T) {
				defer mutant.Set(name)()
				failures := fails(t, trap.run)
				if len(failures) == 0 {
					t.Fatal("nothing was noticed")
				}
				t.Logf("noticed: %s", failures[0])
			})
		}
	}
}

// TestEveryMutantHasATrap lists the guarded lines from the source.
func TestEveryMutantHasATrap(t *testing.T) {
	covered := map[string]bool{}
	for _, trap := range traps {
		for _, name := range trap.mutants {
			covered[string(name)] = true
		}
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	on := regexp.MustCompile(`mutant\.On\("([^"]+)"\)`)
	found := 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range on.FindAllStringSubmatch(string(source), -1) {
			found++
			if !covered[m[1]] {
				t.Errorf("%s: no trap notices %s", file, m[1])
			}
		}
	}
	if found < len(covered) {
		t.Errorf("%d guarded lines in the source, %d mutants in the traps", found, len(covered))
	}
}

// recorder is a testing.TB that keeps failures to itself.
type recorder struct {
	testing.TB
	mu       sync.Mutex
	failures []string
	cleanups []func()
}

func (r *recorder) note(s string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, s)
}

func (r *recorder) Helper()                      {}
func (r *recorder) Cleanup(f func())             { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Error(args ...any)            { r.note(fmt.Sprint(args...)) }
func (r *recorder) Errorf(f string, args ...any) { r.note(fmt.Sprintf(f, args...)) }
func (r *recorder) Fatal(args ...any)            { r.note(fmt.Sprint(args...)); runtime.Goexit() }
func (r *recorder) Fatalf(f string, args ...any) { r.note(fmt.Sprintf(f, args...)); runtime.Goexit() }

// fails runs a scenario and returns what it complained about.
func fails(t *testing.T, run func(testing.TB)) []string {
	r := &recorder{TB: t}
	var wg sync.WaitGroup
	wg.Go(func() { run(r) })
	wg.Wait()
	wg.Go(func() {
		for i := len(r.cleanups) - 1; i >= 0; i-- {
			r.cleanups[i]()
		}
	})
	wg.Wait()
	return r.failures
}
