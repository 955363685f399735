package repo_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// TestTheLockOfADeadProcessIsFreeThoughNobodyAskedForIt: in many containers
// nobody waits for the children of a process that was killed.
func TestTheLockOfADeadProcessIsFreeThoughNobodyAskedForIt(t *testing.T) {
	dead := exec.Command("true")
	if err := dead.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = dead.Wait() }()
	const pPID, wNowait, wExited = 1, 0x1000000, 4 // waitid(2): returns when it is dead, and leaves it as it is
	if _, _, errno := syscall.Syscall6(syscall.SYS_WAITID, pPID, uintptr(dead.Process.Pid), 0, wNowait|wExited, 0, 0); errno != 0 {
		t.Fatal(errno)
	}
	root := t.TempDir()
	_, lock := locked(t, root) // makes the repository
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "lock"), fmt.Appendf(nil, `{"host":%q,"pid":%d}`, host, dead.Process.Pid), 0o600); err != nil {
		t.Fatal(err)
	}
	locked(t, root)
}
