//go:build failpoints

package failpoint

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

// Enabled tells whether this build has fail points.
const Enabled = true

// EnvKill names the environment variable that arms a fail point: its value is
// a step, or step:n for the n-th time that it is reached.
const EnvKill = "STILLPOINT_KILL_AT"

var (
	killAt, killNth = parse(os.Getenv(EnvKill))
	reached         atomic.Int64
)

func parse(s string) (string, int64) {
	name, n, ok := strings.Cut(s, ":")
	if ok {
		if i, err := strconv.ParseInt(n, 10, 64); err == nil {
			return name, i
		}
	}
	return name, 1
}

// Here marks a step: the process kills itself with SIGKILL when it is armed for
// this one.
func Here(name string) {
	if name != killAt || reached.Add(1) != killNth {
		return
	}
	fmt.Fprintln(os.Stderr, "failpoint: killed at", name)
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}
