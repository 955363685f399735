//go:build servers

package create_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stillpoint-db/stillpoint/backup/create"
	"github.com/stillpoint-db/stillpoint/backup/internal/bank"
	"github.com/stillpoint-db/stillpoint/backup/manifest"
	"github.com/stillpoint-db/stillpoint/backup/repo"
	"github.com/stillpoint-db/stillpoint/internal/testenv"
	"github.com/stillpoint-db/stillpoint/storage"
	_ "github.com/stillpoint-db/stillpoint/storage/mysql"
	_ "github.com/stillpoint-db/stillpoint/storage/postgres"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func init() {
	openers["PostgreSQL"] = postgres
	openers["MariaDB"] = mariadb
}

// postgres opens a new database of the shared server.
func postgres(t testing.TB, name string) storage.Storage {
	s := testenv.Postgres(t)
	return opened(t, storage.Config{Name: name, Driver: "postgres", URL: s.URL(s.Database(t)), User: s.User, Password: storage.Secret(s.Password)})
}

// mariadb opens a server of its own: the namespaces of these tests are databases.
func mariadb(t testing.TB, name string) storage.Storage {
	s := testenv.NewMariaDB(t, testenv.MariaDBOptions{})
	return opened(t, storage.Config{Name: name, Driver: "mysql", URL: s.URL(), User: testenv.MariaDBUser, Password: testenv.MariaDBPassword})
}

func opened(t testing.TB, cfg storage.Config) storage.Storage {
	t.Helper()
	s, err := storage.Open(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// mixed opens the databases "pg", "my" and "lite" on an engine each.
func mixed(t testing.TB, name string) storage.Storage {
	return map[string]bank.Opener{"pg": postgres, "my": mariadb, "lite": bank.SQLite}[name](t, name)
}

func TestThreeEnginesAreCopiedAsOfOneMomentUnderConstantWrites(t *testing.T) {
	set := bank.New(t, mixed, 4, "pg", "my", "lite")
	for _, s := range set.Storages() {
		for id := range 4 {
			bank.Put(t, s, bank.Accounts(s.Name()), int32(id), 0)
		}
		every := bank.Every(s.Name())
		bank.Create(t, s, every)
		for _, row := range bank.Limits(every) {
			bank.PutRow(t, s, row)
		}
	}
	stop := chain(t, set)
	defer stop()
	r := repo.InFolder(t.TempDir())
	var longest time.Duration
	for range 20 {
		b := must(t, set, r, create.Options{})
		if n := torn(t, b, "pg", "my") + torn(t, b, "my", "lite"); n > 0 {
			t.Errorf("%d accounts torn; fence %+v", n, b.Manifest.Fence)
		}
		if b.Manifest.Strategy != manifest.Fenced || len(b.Manifest.Fence.Spans) != 3 {
			t.Errorf("%+v", b.Manifest.Fence)
		}
		longest = max(longest, b.Manifest.Fence.LongestStall)
		t.Logf("%d attempts, longest stall %v", b.Manifest.Fence.Tries, b.Manifest.Fence.LongestStall)
		for _, s := range set.Storages() {
			every := bank.Every(s.Name())
			if d := cmp.Diff(bank.All(t, s, every), rows(t, b, every.Name()), sameValue); d != "" {
				t.Errorf("%s: %s", s.Name(), d)
			}
		}
	}
	t.Logf("the longest stall of 20 backups is %v", longest)
}

func TestASecretIsNowhereInABackup(t *testing.T) {
	set := bank.New(t, mixed, 4, "pg", "my")
	b := must(t, set, repo.InFolder(t.TempDir()), create.Options{})
	data, err := b.Manifest.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{testenv.Postgres(t).Password, testenv.MariaDBPassword} {
		if secret == "" || strings.Contains(string(data), secret) {
			t.Errorf("%q is in the manifest", secret)
		}
	}
}
