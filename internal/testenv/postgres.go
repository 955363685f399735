package testenv

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

const postgresAccount = "postgres"

// PostgresServer is a PostgreSQL cluster.
type PostgresServer struct {
	Host     string
	Port     int
	User     string // a superuser
	Password string

	dir       string // data/, log, socket
	bin       string // path of the postgres program
	settings  []string
	process   *Process
	databases atomic.Int64
}

var sharedPostgres = sync.OnceValues(func() (*PostgresServer, error) {
	s, err := newPostgres(nil)
	if err == nil {
		AtExit(s.remove)
	}
	return s, err
})

// Postgres returns the cluster that all tests of the binary share; the first
// call starts it.
func Postgres(t testing.TB) *PostgresServer {
	t.Helper()
	s, err := sharedPostgres()
	must(t, err)
	return s
}

// StartPostgres starts a cluster for one test alone, with settings such as
// "synchronous_commit=off", and removes it when the test ends.
func StartPostgres(t testing.TB, settings ...string) *PostgresServer {
	t.Helper()
	s, err := newPostgres(settings)
	must(t, err)
	t.Cleanup(s.remove)
	return s
}

func newPostgres(settings []string) (*PostgresServer, error) {
	bin, err := Binary("postgres", "postgresql", "/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin")
	if err != nil {
		return nil, err
	}
	dir, err := TempDir("stillpoint-pg-", postgresAccount)
	if err != nil {
		return nil, err
	}
	s := &PostgresServer{Host: "127.0.0.1", User: "postgres", Password: "Pg-Secret-" + strconv.Itoa(os.Getpid()), dir: dir, bin: bin, settings: settings}
	if s.Port, err = FreePort(); err != nil {
		return nil, err
	}
	if err := s.initdb(); err != nil {
		_ = os.RemoveAll(dir)
		return nil, err
	}
	if err := s.start(); err != nil {
		err = fmt.Errorf("%w\n%s", err, s.Log())
		s.remove()
		return nil, err
	}
	return s, nil
}

func (s *PostgresServer) initdb() error {
	cred, err := credential(postgresAccount)
	if err != nil {
		return err
	}
	pwfile := filepath.Join(s.dir, "pw")
	if err := os.WriteFile(pwfile, []byte(s.Password), 0o644); err != nil {
		return err
	}
	cmd := exec.Command(filepath.Join(filepath.Dir(s.bin), "initdb"), "--no-sync", "-D", s.data(), "-U", s.User,
		"-A", "scram-sha-256", "--pwfile", pwfile, "-E", "UTF8", "--locale", "C.UTF-8")
	cmd.Dir = s.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: cred}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return os.Remove(pwfile)
}

func (s *PostgresServer) data() string { return filepath.Join(s.dir, "data") }

// start starts the server and waits until it answers.
func (s *PostgresServer) start() error {
	args := []string{"-D", s.data(), "-c", "listen_addresses=" + s.Host, "-c", "port=" + strconv.Itoa(s.Port),
		"-c", "unix_socket_directories=" + s.dir, "-c", "max_connections=200", "-c", "shared_buffers=64MB"}
	for _, set := range s.settings {
		args = append(args, "-c", set)
	}
	var err error
	if s.process, err = StartProcess(postgresAccount, filepath.Join(s.dir, "log"), syscall.SIGQUIT, s.bin, args...); err != nil {
		return err
	}
	return s.process.WaitFor(func() error {
		c, err := s.connect("postgres")
		if err != nil {
			return err
		}
		return c.Close(context.Background())
	}, patience)
}

func (s *PostgresServer) remove() {
	if s.process != nil {
		s.process.Stop(syscall.SIGQUIT, 10*time.Second)
	}
	_ = os.RemoveAll(s.dir)
}

// Stop shuts the server down, breaking open connections off ("fast").
func (s *PostgresServer) Stop(t testing.TB) {
	t.Helper()
	s.process.Stop(syscall.SIGINT, patience)
}

// Crash ends the server without letting it write anything, as a power cut does.
func (s *PostgresServer) Crash(t testing.TB) {
	t.Helper()
	s.process.Stop(syscall.SIGQUIT, patience)
}

// Start starts a server that was stopped, on the same port.
func (s *PostgresServer) Start(t testing.TB) {
	t.Helper()
	if err := s.start(); err != nil {
		t.Fatalf("%v\n%s", err, s.Log())
	}
}

// Log returns the server's log.
func (s *PostgresServer) Log() string {
	b, _ := os.ReadFile(filepath.Join(s.dir, "log"))
	return string(b)
}

// Addr is the address of the server as host:port.
func (s *PostgresServer) Addr() string { return net.JoinHostPort(s.Host, strconv.Itoa(s.Port)) }

// URL returns the JDBC URL of a database, without user and password.
func (s *PostgresServer) URL(database string) string {
	return "jdbc:postgresql://" + s.Addr() + "/" + url.PathEscape(database)
}

// Database makes an empty database and returns its name. It is dropped when
// the test ends.
func (s *PostgresServer) Database(t testing.TB) string {
	t.Helper()
	name := "test" + strconv.FormatInt(s.databases.Add(1), 10)
	s.Exec(t, "postgres", "CREATE DATABASE "+name)
	t.Cleanup(func() {
		c, err := s.connect("postgres")
		if err != nil {
			return // the test has stopped the server
		}
		defer c.Close(context.Background())
		// The server gives the sessions that it ends five seconds.
		for end := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
			_, err := c.Exec(context.Background(), "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)").ReadAll()
			if err == nil {
				return
			}
			if pgErr, ok := errors.AsType[*pgconn.PgError](err); !ok || pgErr.Code != "55006" || time.Now().After(end) {
				t.Errorf("drop database %s: %v", name, err)
				return
			}
		}
	})
	return name
}

// Exec runs statements as the superuser, each in a transaction of its own, and
// returns the rows of the last one, as text.
func (s *PostgresServer) Exec(t testing.TB, database string, statements ...string) [][]string {
	t.Helper()
	c := s.Connect(t, database)
	defer c.Close(context.Background())
	var rows [][]string
	for _, sql := range statements {
		results, err := c.Exec(context.Background(), sql).ReadAll()
		if err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		rows = nil
		for _, r := range results {
			for _, row := range r.Rows {
				texts := make([]string, len(row))
				for i, v := range row {
					texts[i] = string(v)
				}
				rows = append(rows, texts)
			}
		}
	}
	return rows
}

// Connect opens a superuser's session, for a test that must play another
// client. It is closed when the test ends.
func (s *PostgresServer) Connect(t testing.TB, database string) *pgconn.PgConn {
	t.Helper()
	c, err := s.connect(database)
	must(t, err)
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

func (s *PostgresServer) connect(database string) (*pgconn.PgConn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cfg, err := pgconn.ParseConfig(fmt.Sprintf("host=%s port=%d user=%s password=%s dbname=%s sslmode=disable", s.Host, s.Port, s.User, s.Password, database))
	if err != nil {
		return nil, err
	}
	return pgconn.ConnectConfig(ctx, cfg)
}

// Set changes a server setting that needs no restart, for the rest of the test.
func (s *PostgresServer) Set(t testing.TB, name, value string) {
	t.Helper()
	apply := func(sql string) error {
		c, err := s.connect("postgres")
		if err != nil {
			return err
		}
		defer c.Close(context.Background())
		for _, q := range []string{sql, "SELECT pg_reload_conf()"} {
			if _, err := c.Exec(context.Background(), q).ReadAll(); err != nil {
				return err
			}
		}
		return nil
	}
	must(t, apply("ALTER SYSTEM SET "+name+" = '"+strings.ReplaceAll(value, "'", "''")+"'"))
	t.Cleanup(func() {
		if err := apply("ALTER SYSTEM RESET " + name); err != nil && !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("reset %s: %v", name, err)
		}
	})
}

// Dir is a folder that the server can read, for certificates and the like.
func (s *PostgresServer) Dir() string { return s.dir }

// Give makes the server's system account the owner of a file that only it may
// read, as it demands of keys.
func (s *PostgresServer) Give(t testing.TB, file string) {
	t.Helper()
	must(t, os.Chmod(file, 0o600))
	cred, err := credential(postgresAccount)
	must(t, err)
	if cred != nil {
		must(t, os.Chown(file, int(cred.Uid), int(cred.Gid)))
	}
}

// Standby starts a hot standby that follows the server, and removes it when the
// test ends.
func (s *PostgresServer) Standby(t testing.TB) *PostgresServer {
	t.Helper()
	dir, err := TempDir("stillpoint-pg-", postgresAccount)
	must(t, err)
	r := &PostgresServer{Host: s.Host, User: s.User, Password: s.Password, dir: dir, bin: s.bin, settings: s.settings}
	t.Cleanup(r.remove)
	r.Port, err = FreePort()
	must(t, err)
	cred, err := credential(postgresAccount)
	must(t, err)
	cmd := exec.Command(filepath.Join(filepath.Dir(s.bin), "pg_basebackup"), "-D", r.data(), "-R", "-X", "stream", "-c", "fast", "--no-sync",
		"-h", s.Host, "-p", strconv.Itoa(s.Port), "-U", s.User)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PGPASSWORD="+s.Password)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: cred}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("pg_basebackup: %v\n%s", err, out)
	}
	r.Start(t)
	return r
}

// WaitForSetting waits until new sessions see a setting that Set has changed.
func (s *PostgresServer) WaitForSetting(t testing.TB, name, value string) {
	t.Helper()
	must(t, s.process.WaitFor(func() error {
		if got := s.Exec(t, "postgres", "SHOW "+name); got[0][0] != value {
			return fmt.Errorf("%s is %q", name, got[0][0])
		}
		return nil
	}, patience))
}
