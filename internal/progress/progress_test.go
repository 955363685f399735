package progress_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stillpoint-db/stillpoint/internal/leak"

	"github.com/stillpoint-db/stillpoint/internal/progress"
)

func TestMain(m *testing.M) { leak.Main(m) }

// run plays the same work in each form: 100 MB at 10 MB a second.
func run(t *testing.T, form progress.Form) string {
	t.Helper()
	var out bytes.Buffer
	synctest.Test(t, func(*testing.T) {
		r := progress.New(&out, form)
		r.Say("fence", "released after %d ms", 9)
		task := r.Task("pg", 100e6, progress.Bytes)
		rows := r.Task("my", -1, progress.Rows)
		time.Sleep(time.Second / 2) // away from the ticks
		for range 8 {
			task.Add(10e6)
			rows.Add(1234)
			time.Sleep(time.Second)
		}
		rows.Fail(errors.New("connection lost"))
		task.Done("")
		task.Done("said once only")
		r.Close()
		r.Close()
	})
	return out.String()
}

func TestPlainPrintsALineEveryFewSeconds(t *testing.T) {
	want := `fence   released after 9 ms
pg      [######--------------]  30 %  30 MB  10 MB/s  7 s left
my      3,702 rows  1,234 rows/s
pg      [############--------]  60 %  60 MB  10 MB/s  4 s left
my      7,404 rows  1,234 rows/s
my      failed: connection lost
pg      80 MB in 8.5 s
`
	if diff := cmp.Diff(want, run(t, progress.Plain)); diff != "" {
		t.Error(diff)
	}
}

func TestTerminalDrawsTheLinesAgain(t *testing.T) {
	// Play the output on a terminal that knows the two sequences in use.
	var lines []string
	for _, l := range strings.SplitAfter(run(t, progress.Terminal), "\n") {
		for strings.HasPrefix(l, "\x1b[1A\x1b[2K") {
			lines, l = lines[:len(lines)-1], l[len("\x1b[1A\x1b[2K"):]
		}
		if strings.ContainsRune(l, '\x1b') {
			t.Fatalf("unknown sequence in %q", l)
		}
		if l != "" {
			lines = append(lines, l)
		}
	}
	want := []string{"fence   released after 9 ms\n", "my      failed: connection lost\n", "pg      80 MB in 8.5 s\n"}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Error(diff)
	}
}

func TestJSONPrintsOneEventALine(t *testing.T) {
	kinds := map[string]int{}
	for line := range strings.Lines(run(t, progress.JSON)) {
		var e struct {
			Event, Task, Unit string
			Done, Total       *int64
			Left              *float64 `json:"left_s"`
			Time              time.Time
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		kinds[e.Event]++
		if e.Time.IsZero() || (e.Task == "my" && e.Total != nil) || (e.Event == "progress" && e.Task == "pg" && (e.Left == nil || *e.Left <= 0)) {
			t.Errorf("%s", line)
		}
	}
	if diff := cmp.Diff(map[string]int{"note": 1, "start": 2, "progress": 4, "done": 1, "failed": 1}, kinds); diff != "" {
		t.Error(diff)
	}
}

func TestOneIsNoPlural(t *testing.T) {
	var out bytes.Buffer
	r := progress.New(&out, progress.Plain)
	task := r.Task("my", 1, progress.Rows)
	task.Add(1)
	task.Done("")
	r.Close()
	if !strings.HasPrefix(out.String(), "my      1 row in ") {
		t.Errorf("%q", &out)
	}
}

func TestSilentAndNobodyPrintNothing(t *testing.T) {
	if out := run(t, progress.Silent); out != "" {
		t.Error(out)
	}
	var nobody *progress.Reporter
	task := nobody.Task("x", 1, progress.Items)
	task.Add(1)
	task.SetTotal(2)
	task.Fail(errors.New("x"))
	task.Done("")
	nobody.Say("x", "y")
	nobody.Close()
}

func TestSizesAndCounts(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 9949: "9.9 kB", 10000: "10 kB", 999_499: "999 kB", 999_500: "1.0 MB", 412e6: "412 MB", 1.3e9: "1.3 GB", math.MaxInt64: "9.2 EB"} {
		if got := progress.Size(n); got != want {
			t.Errorf("Size(%d) = %q, want %q", n, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1000: "-1,000"} {
		if got := progress.Count(n); got != want {
			t.Errorf("Count(%d) = %q, want %q", n, got, want)
		}
	}
}
