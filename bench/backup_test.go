//go:build bench

package bench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/stillpoint-db/stillpoint"
	"github.com/stillpoint-db/stillpoint/internal/javapeer"
	"github.com/stillpoint-db/stillpoint/internal/testenv"
	"github.com/stillpoint-db/stillpoint/internal/workload"
)

// TestTransactionsWhileABackupRuns: YCSB-F over two PostgreSQL servers alone, beside
// backups of both one after the other, and beside pg_dump of both. A backup is
// a process of its own, as the dumps are.
func TestTransactionsWhileABackupRuns(t *testing.T) {
	s, s2 := server(t), server(t)
	a, b := s.Database(t), s2.Database(t)
	props := twoServers(s, a, s2, b)
	namespaces := []string{"ycsb_primary", "ycsb_secondary"}
	load(t, props, namespaces)

	var commits gaps
	db := open(t, props, stillpoint.WithHooks(stillpoint.Hooks{End: commits.end}))
	y := workload.NewYCSB(db, namespaces, records, payload)
	foreground := func(d time.Duration) (figures, error) {
		commits.reset()
		cpu := ownCPU()
		r, err := y.Run(context.Background(), workload.YCSBOptions{Workload: "F", Ops: 1, Workers: *threads, Duration: d})
		return figures{r.PerSecond, r.P50, r.P99, ownCPU() - cpu, r.Failed}, err
	}

	binary, config, folder := program(t), propertiesFile(t, props), t.TempDir()
	backup := func(ctx context.Context) error {
		target := filepath.Join(folder, "repo")
		defer os.RemoveAll(target)
		return command(ctx, nil, binary, "backup", "create", "--config", config, "--repo", target, "--no-verify")
	}
	dump := func(ctx context.Context) error {
		var g errgroup.Group
		for name, server := range map[string]*testenv.PostgresServer{a: s, b: s2} {
			file := filepath.Join(folder, server.Addr()+".zst")
			script := fmt.Sprintf("set -o pipefail; pg_dump -Z0 -h %s -p %d -U %s %s | zstd -1 -q -f -o %s && sync %s", server.Host, server.Port, server.User, name, file, file)
			g.Go(func() error { return command(ctx, []string{"PGPASSWORD=" + server.Password}, "bash", "-c", script) })
		}
		return g.Wait()
	}

	longest := map[string][]time.Duration{}
	beside := func(name string, work func(context.Context) error) contestant {
		return contestant{name: name, run: func(d time.Duration) (figures, error) {
			ctx, cancel := context.WithTimeout(context.Background(), d)
			defer cancel()
			ended := make(chan error, 1)
			go func() { ended <- again(ctx, work) }()
			f, err := foreground(d)
			longest[name] = append(longest[name], commits.longest())
			if werr := <-ended; err == nil {
				err = werr
			}
			return f, err
		}}
	}
	competeFor(t, besideSlice, "YCSB-F, 1 record in each of two PostgreSQL servers, beside others", []contestant{
		beside("nothing", nil), beside("backups", backup), beside("pg_dump -Z0 | zstd -1 of both", dump),
	})
	for _, name := range []string{"nothing", "backups", "pg_dump -Z0 | zstd -1 of both"} {
		ds := longest[name][1:] // the first is the warm-up
		slices.Sort(ds)
		fmt.Printf("longest time without a commit, beside %s: median %v, highest %v\n", name, ds[len(ds)/2].Round(time.Millisecond), ds[len(ds)-1].Round(time.Millisecond))
	}
}

// besideSlice is long enough for more than one whole backup.
const besideSlice = 12 * time.Second

// again does the work again and again until ctx ends; what that interrupts is no
// error.
func again(ctx context.Context, work func(context.Context) error) error {
	for n := 0; work != nil && ctx.Err() == nil; n++ {
		if err := work(ctx); err != nil && ctx.Err() == nil {
			return err
		}
		if n == 0 && ctx.Err() != nil {
			return fmt.Errorf("not even one was done in %v", besideSlice)
		}
	}
	return nil
}

// gaps measures the longest time in which nobody has committed.
type gaps struct {
	mu   sync.Mutex
	last time.Time
	max  time.Duration
}

func (g *gaps) end(_ context.Context, _ string, _ time.Duration, committed bool, _ error) {
	if !committed {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	g.max, g.last = max(g.max, now.Sub(g.last)), now
}

func (g *gaps) reset() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.max, g.last = 0, time.Now()
}

func (g *gaps) longest() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.max
}

// program builds the binary.
func program(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "stillpoint")
	if out, err := exec.Command("go", "build", "-o", path, "../cmd/stillpoint").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return path
}

func propertiesFile(t *testing.T, props settings) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bench.properties")
	var b strings.Builder
	for k, v := range props {
		fmt.Fprintf(&b, "%s=%s\n", k, v)
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// command runs a program to its end, or until ctx ends.
func command(ctx context.Context, env []string, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) } // with all that it has started
	cmd.WaitDelay = 10 * time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return nil
}

// TestMemoryOfTheClient prints what a client needs at most: the binary, and a Java
// node, each running YCSB-F with one record for ten seconds.
func TestMemoryOfTheClient(t *testing.T) {
	s := server(t)
	props := single(s, s.Database(t))
	load(t, props, []string{"bench"})
	cmd := exec.Command(program(t), "bench", "ycsb", "--config", propertiesFile(t, props), "--workload", "F", "--records", strconv.Itoa(records),
		"--duration", "10s", "--workers", strconv.Itoa(*threads))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		t.Fatal("no usage of resources is known here")
	}
	p := javapeer.Start(t, props)
	p.Do(t, "ycsb", "bench", "F", "1", strconv.Itoa(records), strconv.Itoa(payload), strconv.Itoa(*threads), "10000")
	fmt.Printf("resident memory at most, YCSB-F, 1 record, %d threads, 10 s: Stillpoint %d MB, Java (-Xmx512m) %d MB\n",
		*threads, usage.Maxrss/1024, peak(t, p.PID())/1024)
}

// peak reads the most memory that a process has had, in kB.
func peak(t *testing.T, pid int) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kb
}
