// Package testenv starts real database servers for tests, and puts faults
// between a client and them. Nothing of it ends up in a program that users run.
//
// A server that is not installed fails the test with what to install; it never
// skips it. Servers listen on 127.0.0.1 and a free port, keep their data in
// temporary folders, and die with the test binary, even when that is killed.
package testenv

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// FreePort returns a TCP port of 127.0.0.1 that is free for as long as the test
// binary runs: nobody is given it by chance, while a server that starts on it is
// not there yet, or is down. A socket holds it that does not listen, which keeps
// the kernel from handing it out and lets in a server that asks for it by number
// (with SO_REUSEADDR, as they all do); connections to it are refused meanwhile.
func FreePort() (int, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("hold a port: %w", err)
	}
	if err = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err == nil {
		err = syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	}
	var at syscall.Sockaddr
	if err == nil {
		at, err = syscall.Getsockname(fd)
	}
	if err != nil {
		_ = syscall.Close(fd)
		return 0, fmt.Errorf("hold a port: %w", err)
	}
	return at.(*syscall.SockaddrInet4).Port, nil // fd stays open
}

// patience is how long a server may take to start, to answer or to end: the
// machine may be busy with other things for a long time, and only a test that
// fails waits so long.
const patience = 5 * time.Minute

// TempDir makes a folder for a server that runs as the given system account
// ("" = the account of the test).
func TempDir(pattern, account string) (string, error) {
	dir, err := os.MkdirTemp("", pattern)
	if err != nil {
		return "", err
	}
	return dir, give(dir, account)
}

// give makes a system account the owner of a folder.
func give(dir, account string) error {
	cred, err := credential(account)
	if err != nil || cred == nil {
		return err
	}
	return os.Chown(dir, int(cred.Uid), int(cred.Gid))
}

// Binary finds a program by name in the folders (glob patterns, the last match
// of each first) and then in the PATH. The error says which Debian package has it.
func Binary(name, debianPackage string, folders ...string) (string, error) {
	for _, pattern := range folders {
		found, _ := filepath.Glob(filepath.Join(pattern, name))
		if len(found) > 0 {
			return found[len(found)-1], nil
		}
	}
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	return "", fmt.Errorf("%s is not installed; these tests need it: apt-get install %s", name, debianPackage)
}

// credential returns what makes a child run as a system account; nil if the
// tests do not run as root or no account is given.
func credential(account string) (*syscall.Credential, error) {
	if account == "" || os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup(account)
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// Process is a server under the test's control.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // of Wait; valid after done
}

// StartProcess starts a program as a system account, with standard output and
// error in the file log. The program gets the signal die when the test binary
// ends in whatever way.
func StartProcess(account, log string, die syscall.Signal, path string, args ...string) (*Process, error) {
	cred, err := credential(account)
	if err != nil {
		return nil, err
	}
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	p := &Process{cmd: exec.Command(path, args...), done: make(chan struct{})}
	p.cmd.Dir = filepath.Dir(log)
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: cred, Pdeathsig: die, Setpgid: true}
	started := make(chan error, 1)
	go func() {
		// The death signal comes when the thread that started the child
		// ends, so that this goroutine keeps its thread until the child ends.
		runtime.LockOSThread()
		defer close(p.done)
		err := p.cmd.Start()
		started <- err
		if err == nil {
			p.err = p.cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", path, err)
	}
	return p, nil
}

// Signal sends a signal to the process.
func (p *Process) Signal(s syscall.Signal) error { return p.cmd.Process.Signal(s) }

// SignalGroup sends a signal to the process and its children that did not
// leave its group.
func (p *Process) SignalGroup(s syscall.Signal) error { return syscall.Kill(-p.cmd.Process.Pid, s) }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Stop sends a signal and waits for the end; it kills after the given time.
func (p *Process) Stop(s syscall.Signal, limit time.Duration) {
	_ = p.Signal(s)
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// WaitFor tries until f succeeds, the process ends or the time is over.
func (p *Process) WaitFor(f func() error, limit time.Duration) error {
	deadline := time.Now().Add(limit)
	for {
		err := f()
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return errors.Join(errors.New("the server ended while starting"), p.err, err)
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the server does not answer after %s: %w", limit, err)
		}
	}
}

// must fails the test on an error.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
