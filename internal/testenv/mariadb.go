package testenv

import (
	"database/sql"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

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
	proc *Process
}

// mariaDBAccount is the system account that the server runs as.
const mariaDBAccount = "mysql"

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

// Session opens one session of an account, which the test ends.
func (s *MariaDBServer) Session(t testing.TB, user, password string) *sql.Conn {
	t.Helper()
	cfg := mysql.NewConfig()
	cfg.User, cfg.Passwd, cfg.Net, cfg.Addr, cfg.Logger = user, password, "tcp", s.Addr(), silentLogger{}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	t.Cleanup(func() { _ = db.Close() })
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// Running tells whether the server process lives.
func (s *MariaDBServer) Running() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc == nil {
		return false
	}
	select {
	case <-s.proc.Done():
		return false
	default:
		return true
	}
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
