package testenv

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/go-sql-driver/mysql"
)

func startMariaDB(opts MariaDBOptions) (*MariaDBServer, error) {
	if opts.Collation == "" {
		opts.Collation = "utf8mb4_bin"
	}
	dir, err := TempDir("stillpoint-mariadb-", mariaDBAccount)
	if err != nil {
		return nil, err
	}
	s := &MariaDBServer{opts: opts, dir: dir}
	if err = s.install(); err == nil {
		err = s.start()
	}
	if err != nil {
		s.destroy()
		return nil, err
	}
	return s, nil
}

func (s *MariaDBServer) install() error {
	path, err := Binary("mariadb-install-db", "mariadb-server", "/usr/bin")
	if err != nil {
		return err
	}
	if s.port, err = FreePort(); err != nil {
		return err
	}
	if err := os.Mkdir(s.temporary(), 0o700); err != nil {
		return err
	}
	if err := give(s.temporary(), mariaDBAccount); err != nil {
		return err
	}
	args := []string{"--no-defaults", "--datadir=" + s.data(), "--tmpdir=" + s.temporary(), "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"}
	if os.Geteuid() == 0 {
		args = append(args, "--user="+mariaDBAccount)
	}
	if out, err := exec.Command(path, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("mariadb-install-db: %w: %s", err, out)
	}
	return nil
}

func (s *MariaDBServer) data() string { return filepath.Join(s.dir, "data") }

// temporary is the folder of the server's temporary tables. It must be its own:
// a server that starts removes those that others keep in the same folder.
func (s *MariaDBServer) temporary() string { return filepath.Join(s.dir, "tmp") }

func (s *MariaDBServer) start() error {
	if s.Running() {
		return errors.New("it runs already")
	}
	path, err := Binary("mariadbd", "mariadb-server", "/usr/sbin")
	if err != nil {
		return err
	}
	charset, _, _ := strings.Cut(s.opts.Collation, "_")
	args := append([]string{"--no-defaults", "--datadir=" + s.data(), "--tmpdir=" + s.temporary(), "--bind-address=127.0.0.1", "--port=" + strconv.Itoa(s.port),
		"--socket=" + filepath.Join(s.dir, "s"), "--pid-file=" + filepath.Join(s.dir, "pid"), "--skip-name-resolve",
		"--character-set-server=" + charset, "--collation-server=" + s.opts.Collation,
		"--innodb-buffer-pool-size=64M", "--innodb-log-file-size=48M", "--max-connections=400"}, s.opts.Flags...)
	log := filepath.Join(s.dir, "error.log")
	proc, err := StartProcess(mariaDBAccount, log, syscall.SIGKILL, path, args...)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.proc = proc
	s.mu.Unlock()
	if err := proc.WaitFor(s.connect, patience); err != nil {
		text, _ := os.ReadFile(log)
		return fmt.Errorf("%w: %s", err, lastLines(string(text), 8))
	}
	return nil
}

// connect sees whether the server answers; the first time it gives root its
// password.
func (s *MariaDBServer) connect() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
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
	proc := s.proc
	s.mu.Unlock()
	if proc == nil || !s.Running() {
		return errors.New("it does not run")
	}
	proc.Stop(sig, patience)
	return nil
}

func (s *MariaDBServer) destroy() {
	if s.root != nil {
		_ = s.root.Close()
	}
	_ = s.end(syscall.SIGKILL)
	_ = os.RemoveAll(s.dir)
}

func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
