package testenv

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
)

// MariaDBOptions say how a MariaDB server of its own is made.
type MariaDBOptions struct {
	// Collation is the server's default; "" = utf8mb4_bin. The character set
	// is what stands before its first underscore.
	Collation string
	// Flags are further options of mariadbd, as in "--innodb-flush-log-at-trx-commit=0".
	Flags []string
}

// MariaDBServer is a real MariaDB server on 127.0.0.1. A namespace is a
// database of the server, so tests that share one must use unique namespaces
// (Namespace) or ask for a server of their own (NewMariaDB).
type MariaDBServer struct {
	opts MariaDBOptions
	dir  string
	port int
	root *sql.DB

	mu   sync.Mutex
	proc *os.Process
	done chan struct{} // closed when proc has ended
}

// The root account of every test server.
const (
	MariaDBUser     = "root"
	MariaDBPassword = "root-secret-9f2"
)

var sharedMariaDB = struct {
	sync.Mutex
	s *MariaDBServer
}{}

// MariaDB returns the MariaDB server that all tests of this binary share. It is
// started by the first call and stopped by Main.
func MariaDB(t testing.TB) *MariaDBServer {
	t.Helper()
	sharedMariaDB.Lock()
	defer sharedMariaDB.Unlock()
	if sharedMariaDB.s == nil {
		s, err := startMariaDB(MariaDBOptions{})
		if err != nil {
			t.Fatalf("MariaDB: %v", err)
		}
		sharedMariaDB.s = s
		AtExit(s.destroy)
	}
	return sharedMariaDB.s
}

// NewMariaDB starts a server for one test.
func NewMariaDB(t testing.TB, opts MariaDBOptions) *MariaDBServer {
	t.Helper()
	s, err := startMariaDB(opts)
	if err != nil {
		t.Fatalf("MariaDB: %v", err)
	}
	t.Cleanup(s.destroy)
	return s
}

// Addr returns host:port.
func (s *MariaDBServer) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// URL returns the JDBC URL of the server, as ScalarDB's users write it.
func (s *MariaDBServer) URL() string { return "jdbc:mariadb://" + s.Addr() + "/" }

// MySQLURL is URL with the scheme of MySQL.
func (s *MariaDBServer) MySQLURL() string { return "jdbc:mysql://" + s.Addr() + "/" }

// DB returns a pool of root sessions.
func (s *MariaDBServer) DB() *sql.DB { return s.root }

// Exec runs statements as root and fails the test on an error.
func (s *MariaDBServer) Exec(t testing.TB, statements ...string) {
	t.Helper()
	for _, q := range statements {
		if _, err := s.root.Exec(q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
}

var mariaDBNames atomic.Int64

// Namespace returns a name that no other test of this server uses, and drops
// the database of that name when the test ends.
func (s *MariaDBServer) Namespace(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("ns%d_%d", os.Getpid(), mariaDBNames.Add(1))
	s.DropAfter(t, name)
	return name
}

// DropAfter drops databases when the test ends.
func (s *MariaDBServer) DropAfter(t testing.TB, names ...string) {
	t.Cleanup(func() {
		for _, n := range names {
			if _, err := s.root.Exec("DROP DATABASE IF EXISTS `" + n + "`"); err != nil && s.Running() {
				t.Errorf("drop database %s: %v", n, err)
			}
		}
	})
}

// User creates an account with the given grants, as in "SELECT ON `bank`.*", and
// drops it when the test ends.
func (s *MariaDBServer) User(t testing.TB, grants ...string) (name, password string) {
	t.Helper()
	name, password = fmt.Sprintf("u%d", mariaDBNames.Add(1)), "pw-7c1-secret"
	s.Exec(t, fmt.Sprintf("CREATE USER '%s'@'%%' IDENTIFIED BY '%s'", name, password))
	for _, g := range grants {
		s.Exec(t, fmt.Sprintf("GRANT %s TO '%s'@'%%'", g, name))
	}
	t.Cleanup(func() { _, _ = s.root.Exec("DROP USER IF EXISTS '" + name + "'@'%'") })
	return name, password
}

// Running tells whether the server process lives.
func (s *MariaDBServer) Running() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.proc != nil
}

// Stop ends the server in an orderly way and waits for it.
func (s *MariaDBServer) Stop(t testing.TB) {
	t.Helper()
	if err := s.end(syscall.SIGTERM); err != nil {
		t.Fatalf("stop MariaDB: %v", err)
	}
}

// Kill ends the server with SIGKILL and waits for it.
func (s *MariaDBServer) Kill(t testing.TB) {
	t.Helper()
	if err := s.end(syscall.SIGKILL); err != nil {
		t.Fatalf("kill MariaDB: %v", err)
	}
}

// Start starts a stopped or killed server again, on the same port and data.
func (s *MariaDBServer) Start(t testing.TB) {
	t.Helper()
	if err := s.start(); err != nil {
		t.Fatalf("start MariaDB: %v", err)
	}
}

// Restart is Stop and Start.
func (s *MariaDBServer) Restart(t testing.TB) {
	t.Helper()
	s.Stop(t)
	s.Start(t)
}

// Signal sends a signal (SIGSTOP, SIGCONT) to the server process.
func (s *MariaDBServer) Signal(t testing.TB, sig syscall.Signal) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc == nil {
		t.Fatal("MariaDB is not running")
	}
	if err := s.proc.Signal(sig); err != nil {
		t.Fatalf("signal MariaDB: %v", err)
	}
}

func startMariaDB(opts MariaDBOptions) (*MariaDBServer, error) {
	if opts.Collation == "" {
		opts.Collation = "utf8mb4_bin"
	}
	dir, err := os.MkdirTemp("", "stillpoint-mariadb-")
	if err != nil {
		return nil, err
	}
	s := &MariaDBServer{opts: opts, dir: dir}
	if err := s.install(); err != nil {
		_ = os.RemoveAll(dir)
		return nil, err
	}
	if err := s.start(); err != nil {
		s.destroy()
		return nil, err
	}
	return s, nil
}

func (s *MariaDBServer) install() error {
	bin, err := findProgram("mariadb-install-db", "/usr/bin")
	if err != nil {
		return err
	}
	if s.port, err = freePort(); err != nil {
		return err
	}
	args := []string{"--no-defaults", "--datadir=" + s.data(), "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"}
	if os.Geteuid() == 0 {
		u, err := user.Lookup("mysql")
		if err != nil {
			return fmt.Errorf("%w (root cannot run the server; the Debian package makes user mysql)", err)
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		if err := os.Chown(s.dir, uid, gid); err != nil {
			return err
		}
		args = append(args, "--user=mysql")
	}
	if out, err := exec.Command(bin, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("mariadb-install-db: %w: %s", err, lastLines(string(out), 5))
	}
	return nil
}

func (s *MariaDBServer) data() string { return filepath.Join(s.dir, "data") }

func (s *MariaDBServer) start() error {
	s.mu.Lock()
	if s.proc != nil {
		s.mu.Unlock()
		return errors.New("it runs already")
	}
	s.mu.Unlock()
	bin, err := findProgram("mariadbd", "/usr/sbin")
	if err != nil {
		return err
	}
	charset, _, _ := strings.Cut(s.opts.Collation, "_")
	log := filepath.Join(s.dir, "error.log")
	args := []string{"--no-defaults", "--datadir=" + s.data(), "--bind-address=127.0.0.1", "--port=" + strconv.Itoa(s.port),
		"--socket=" + filepath.Join(s.dir, "s"), "--pid-file=" + filepath.Join(s.dir, "pid"), "--log-error=" + log, "--skip-name-resolve",
		"--character-set-server=" + charset, "--collation-server=" + s.opts.Collation,
		"--innodb-buffer-pool-size=64M", "--innodb-log-file-size=48M", "--max-connections=400"}
	if os.Geteuid() == 0 {
		args = append(args, "--user=mysql")
	}
	cmd := exec.Command(bin, append(args, s.opts.Flags...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	done, started := make(chan struct{}), make(chan error, 1)
	go func() {
		// Pdeathsig goes by thread: this one must live as long as the server.
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		_ = cmd.Wait()
		s.mu.Lock()
		s.proc = nil
		s.mu.Unlock()
		close(done)
	}()
	s.mu.Lock()
	if err := <-started; err != nil {
		s.mu.Unlock()
		return fmt.Errorf("start %s: %w", bin, err)
	}
	s.proc, s.done = cmd.Process, done
	s.mu.Unlock()
	if err := s.waitReady(done); err != nil {
		text, _ := os.ReadFile(log)
		return fmt.Errorf("%w: %s", err, lastLines(string(text), 8))
	}
	return nil
}

// waitReady waits until the server answers, and gives root its password.
func (s *MariaDBServer) waitReady(done <-chan struct{}) error {
	deadline := time.Now().Add(time.Minute)
	for {
		err := s.connect()
		if err == nil {
			return nil
		}
		select {
		case <-done:
			return errors.New("the server ended while starting")
		case <-time.After(30 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the server does not answer: %w", err)
		}
	}
}

func (s *MariaDBServer) connect() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if s.root == nil {
		first, err := s.open("")
		if err != nil {
			return err
		}
		defer first.Close()
		for _, q := range []string{
			"CREATE USER IF NOT EXISTS 'root'@'127.0.0.1'", "GRANT ALL ON *.* TO 'root'@'127.0.0.1' WITH GRANT OPTION",
			"ALTER USER 'root'@'127.0.0.1' IDENTIFIED BY '" + MariaDBPassword + "'",
		} {
			if _, err := first.ExecContext(ctx, q); err != nil {
				return err
			}
		}
		if s.root, err = s.open(MariaDBPassword); err != nil {
			return err
		}
	}
	return s.root.PingContext(ctx)
}

func (s *MariaDBServer) open(password string) (*sql.DB, error) {
	cfg := mysql.NewConfig()
	cfg.User, cfg.Passwd, cfg.Net, cfg.Addr = MariaDBUser, password, "tcp", s.Addr()
	cfg.Logger = silentLogger{}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

type silentLogger struct{}

func (silentLogger) Print(...any) {}

func (s *MariaDBServer) end(sig syscall.Signal) error {
	s.mu.Lock()
	proc, done := s.proc, s.done
	s.mu.Unlock()
	if proc == nil {
		return errors.New("it does not run")
	}
	if err := proc.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-done:
		return nil
	case <-time.After(time.Minute):
		_ = proc.Kill()
		<-done
		return errors.New("it did not end within a minute and was killed")
	}
}

func (s *MariaDBServer) destroy() {
	if s.root != nil {
		_ = s.root.Close()
	}
	_ = s.end(syscall.SIGKILL)
	_ = os.RemoveAll(s.dir)
}

func findProgram(name, folder string) (string, error) {
	if p, err := exec.LookPath(name); err == nil {
		return p, nil
	}
	p := filepath.Join(folder, name)
	if _, err := os.Stat(p); err != nil {
		return "", fmt.Errorf("%s is not installed; on Debian: apt-get install mariadb-server", name)
	}
	return p, nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
