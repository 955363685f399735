//go:build servers

package testenv

import (
	"os"
	"testing"
)

func TestMain(m *testing.M) { Main(m) }

func TestMariaDBKeepsItsDataOverKillAndRestart(t *testing.T) {
	s := NewMariaDB(t, MariaDBOptions{Collation: "utf8mb4_general_ci"})
	ns := s.Namespace(t)
	s.Exec(t, "CREATE DATABASE "+ns, "CREATE TABLE "+ns+".t (k INT PRIMARY KEY)", "INSERT INTO "+ns+".t VALUES (7)")
	s.Kill(t)
	if s.Running() {
		t.Fatal("a killed server still runs")
	}
	s.Start(t)
	s.Restart(t)
	var k int
	if err := s.DB().QueryRow("SELECT k FROM " + ns + ".t").Scan(&k); err != nil || k != 7 {
		t.Fatalf("read %d, %v", k, err)
	}
	var collation string
	if err := s.DB().QueryRow("SELECT @@collation_server").Scan(&collation); err != nil || collation != "utf8mb4_general_ci" {
		t.Fatalf("collation %q, %v", collation, err)
	}
}

func TestMariaDBIsRemovedWithItsTest(t *testing.T) {
	var dir string
	t.Run("server", func(t *testing.T) { dir = NewMariaDB(t, MariaDBOptions{}).dir })
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Fatalf("%s is left: %v", dir, err)
	}
}

func TestMariaDBSharesOneServerAndSeparatesNamespaces(t *testing.T) {
	a, b := MariaDB(t), MariaDB(t)
	if a != b {
		t.Fatal("two servers")
	}
	if a.Namespace(t) == b.Namespace(t) {
		t.Fatal("one namespace for two")
	}
}
