//go:build bench

package bench

import (
	"os"
	"runtime/pprof"
	"testing"
	"time"

	"github.com/stillpoint-db/stillpoint/internal/workload"
)

// TestProfileOfReads writes a CPU profile of the client in YCSB-C, one read after
// the other, to the file that STILLPOINT_CPU_PROFILE names.
func TestProfileOfReads(t *testing.T) {
	path := os.Getenv("STILLPOINT_CPU_PROFILE")
	if path == "" {
		t.Skip("STILLPOINT_CPU_PROFILE names no file")
	}
	s := server(t)
	props := single(s, s.Database(t))
	load(t, props, []string{"ycsb"})
	c := ours(t, "Stillpoint", props, []string{"ycsb"}, workload.YCSBOptions{Workload: "C", Ops: 2})
	if _, err := c.run(2 * time.Second); err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if err := pprof.StartCPUProfile(out); err != nil {
		t.Fatal(err)
	}
	f, err := c.run(8 * time.Second)
	pprof.StopCPUProfile()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%.0f transactions a second, %v of the client's processor time in 8 s", f.perSecond, f.cpu)
}
