//go:build unix

package repo

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// lockFile takes the system's exclusive lock on an open file; false if another
// open file of the same name has it.
func lockFile(f *os.File) (bool, error) {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, syscall.EWOULDBLOCK):
			return false, nil
		case !errors.Is(err, syscall.EINTR):
			return false, err
		}
	}
}

// processExists tells whether a process may still run. One that has died counts
// as gone even if its parent never asks: the first process of a container seldom
// does, and its children keep their numbers for ever.
func processExists(pid int) bool {
	if fields := stat(pid); len(fields) > 0 && (fields[0] == "Z" || fields[0] == "X") {
		return false
	}
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}

// bootID names the current boot of this machine, where it can be told.
func bootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// startOf tells when a process started, where it can be told: two processes
// that had one number one after the other differ in it.
func startOf(pid int) string {
	if fields := stat(pid); len(fields) > 19 {
		return fields[19]
	}
	return ""
}

// stat returns what the system tells of a process, from its state on; nothing
// where that cannot be told.
func stat(pid int) []string {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return nil
	}
	// The command, in parentheses, may hold anything; the state comes third and
	// the start is field 22.
	_, rest, _ := strings.Cut(string(b[max(0, strings.LastIndexByte(string(b), ')')):]), ") ")
	return strings.Fields(rest)
}
