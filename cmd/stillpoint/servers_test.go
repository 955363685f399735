//go:build servers

package main

import (
	"testing"

	"github.com/stillpoint-db/stillpoint/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// TestScriptsOnServers runs testdata/servers/*.txtar on real servers, which
// their properties files find by the environment.
func TestScriptsOnServers(t *testing.T) {
	pg, my := testenv.Postgres(t), testenv.MariaDB(t)
	my.DropAfter(t, "vault", "scalardb")
	for name, value := range map[string]string{
		"PG_URL": pg.URL(pg.Database(t)), "PG_USER": pg.User, "PG_PASSWORD": pg.Password,
		"MY_URL": my.URL(), "MY_USER": testenv.MariaDBUser, "MY_PASSWORD": testenv.MariaDBPassword,
	} {
		t.Setenv(name, value)
	}
	runScripts(t, "testdata/servers/*.txtar")
}
