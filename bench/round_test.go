//go:build bench

package bench

import (
	"cmp"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

var (
	rounds  = flag.Int("bench.rounds", 9, "rounds of each scenario")
	slice   = flag.Duration("bench.slice", 1500*time.Millisecond, "length of one slice")
	warmup  = flag.Duration("bench.warmup", 45*time.Second, "how long each Java node runs before anything counts")
	threads = flag.Int("bench.threads", 8, "concurrent transactions")
)

// figures are what one slice gives.
type figures struct {
	perSecond float64
	p50, p99  time.Duration
	cpu       time.Duration // of the client
	failed    int64
}

// contestant runs slices. The first one of a scenario is its baseline.
type contestant struct {
	name string
	run  func(d time.Duration) (figures, error)
	warm bool // it needs to be warmed up
}

// compete runs all contestants in random order in each round and prints, for
// each, the ratio to the baseline of the same round: median and quartiles.
func compete(t *testing.T, scenario string, cs []contestant) {
	t.Helper()
	competeFor(t, *slice, scenario, cs)
}

// competeFor is compete with slices of a length of its own.
func competeFor(t *testing.T, slice time.Duration, scenario string, cs []contestant) {
	t.Helper()
	for _, c := range cs {
		d := max(slice, 2*time.Second)
		if c.warm {
			d = *warmup
		}
		if _, err := c.run(d); err != nil {
			t.Fatalf("%s: warming up %s: %v", scenario, c.name, err)
		}
	}
	all := make([][]figures, len(cs))
	for range *rounds {
		for _, i := range rand.Perm(len(cs)) {
			f, err := cs[i].run(slice)
			if err != nil {
				t.Fatalf("%s: %s: %v", scenario, cs[i].name, err)
			}
			all[i] = append(all[i], f)
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s: %d threads, %d rounds of %v, load average %s\n", scenario, *threads, *rounds, slice, loadAverage())
	fmt.Fprintf(&b, "%-34s %24s %9s %9s %9s %14s\n", "contestant", "ratio [quartiles]", "tx/s", "p50 ms", "p99 ms", "cpu s/1000 tx")
	for i, c := range cs {
		ratios := make([]float64, *rounds)
		for r := range ratios {
			ratios[r] = all[i][r].perSecond / all[0][r].perSecond
		}
		slices.Sort(ratios)
		q := func(p float64) float64 { return ratios[int(p*float64(len(ratios)-1)+0.5)] }
		fmt.Fprintf(&b, "%-34s %24s %9.0f %9s %9s %14.3f", c.name, fmt.Sprintf("%.2f [%.2f, %.2f]", q(0.5), q(0.25), q(0.75)),
			median(all[i], func(f figures) float64 { return f.perSecond }), latency(all[i], func(f figures) time.Duration { return f.p50 }),
			latency(all[i], func(f figures) time.Duration { return f.p99 }),
			median(all[i], func(f figures) float64 { return f.cpu.Seconds() / (f.perSecond * slice.Seconds()) * 1000 }))
		var failed int64
		for _, f := range all[i] {
			failed += f.failed
		}
		if failed > 0 {
			fmt.Fprintf(&b, "   %d FAILED", failed)
		}
		b.WriteByte('\n')
	}
	base := all[0]
	if lo, hi := slices.MinFunc(base, byRate), slices.MaxFunc(base, byRate); hi.perSecond > 2*lo.perSecond {
		fmt.Fprintf(&b, "unstable: the baseline ran between %.0f and %.0f a second\n", lo.perSecond, hi.perSecond)
	}
	fmt.Print(b.String())
}

func byRate(a, b figures) int { return cmp.Compare(a.perSecond, b.perSecond) }

func median(fs []figures, of func(figures) float64) float64 {
	vs := make([]float64, len(fs))
	for i, f := range fs {
		vs[i] = of(f)
	}
	slices.Sort(vs)
	return vs[len(vs)/2]
}

// latency is a median in milliseconds; "-" where none was taken.
func latency(fs []figures, of func(figures) time.Duration) string {
	d := median(fs, func(f figures) float64 { return float64(of(f)) })
	if d == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", d/float64(time.Millisecond))
}

func loadAverage() string {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(data))[:3], " ")
}

// ownCPU is the processor time of this process.
func ownCPU() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
