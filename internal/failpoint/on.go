//go:build failpoints

package failpoint

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// Enabled tells whether this build has fail points.
const Enabled = true

// EnvKill names the environment variable that arms a fail point: its value is
// a step, or step:n for the n-th time that it is reached.
const EnvKill = "STILLPOINT_KILL_AT"

// EnvStop is like EnvKill, but the process freezes itself with SIGSTOP and goes
// on from there when somebody sends it SIGCONT.
const EnvStop = "STILLPOINT_STOP_AT"

// point is an armed step.
type point struct {
	name    string
	nth     int64
	signal  syscall.Signal
	verb    string
	reached atomic.Int64
}

var armed = []*point{arm(EnvKill, syscall.SIGKILL, "killed"), arm(EnvStop, syscall.SIGSTOP, "stopped")}

func arm(env string, signal syscall.Signal, verb string) *point {
	name, nth := parse(os.Getenv(env))
	return &point{name: name, nth: nth, signal: signal, verb: verb}
}

func parse(s string) (string, int64) {
	name, n, ok := strings.Cut(s, ":")
	if ok {
		if i, err := strconv.ParseInt(n, 10, 64); err == nil {
			return name, i
		}
	}
	return name, 1
}

// Here marks a step: the process sends itself the signal that is armed for this
// one.
func Here(name string) {
	for _, p := range armed {
		if name != p.name || p.reached.Add(1) != p.nth {
			continue
		}
		fmt.Fprintln(os.Stderr, "failpoint:", p.verb, "at", name)
		_ = syscall.Kill(os.Getpid(), p.signal)
		if p.signal == syscall.SIGKILL {
			select {}
		}
		// The signal may go to another thread first; this one must not get ahead.
		time.Sleep(20 * time.Millisecond)
	}
}
