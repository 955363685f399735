//go:build servers

package create_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stillpoint-db/stillpoint/backup/create"
	"github.com/stillpoint-db/stillpoint/backup/internal/bank"
	"github.com/stillpoint-db/stillpoint/backup/manifest"
	"github.com/stillpoint-db/stillpoint/backup/plan"
	"github.com/stillpoint-db/stillpoint/backup/repo"
	"github.com/stillpoint-db/stillpoint/internal/testenv"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	_ "github.com/stillpoint-db/stillpoint/storage/mysql"
	_ "github.com/stillpoint-db/stillpoint/storage/postgres"
	"github.com/stillpoint-db/stillpoint/txn/record"
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

// mariadb opens the shared server for the first of a test's databases, whose
// namespaces are databases of the server, and SQLite for the others.
func mariadb(t testing.TB, name string) storage.Storage {
	if name == "two" {
		return bank.SQLite(t, name)
	}
	s := testenv.MariaDB(t)
	s.DropAfter(t, name, "coordinator", "scalardb")
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

// TestADatabaseKilledInTheMiddleLeavesNoBackup kills the server while its rows are
// being read.
func TestADatabaseKilledInTheMiddleLeavesNoBackup(t *testing.T) {
	server := testenv.NewMariaDB(t, testenv.MariaDBOptions{})
	my := opened(t, storage.Config{Name: "my", Driver: "mysql", URL: server.URL(), User: testenv.MariaDBUser, Password: testenv.MariaDBPassword})
	set := bank.Set(t, my, bank.SQLite(t, "lite"))
	bank.Create(t, my, record.CoordinatorTable(""))
	every := bank.Every("my")
	bank.Create(t, my, every)
	if _, err := my.(storage.Loader).Load(t.Context(), every, generated(every, 50_000)); err != nil {
		t.Fatal(err)
	}
	lite := set.Storages()[1]
	bank.Create(t, lite, bank.Accounts("lite"))
	r := repo.InFolder(t.TempDir())
	w := &watcher{copied: sync.OnceFunc(func() { server.Kill(t) })}
	_, err := create.Run(t.Context(), set, r, create.Options{Progress: w, Workers: 1, Plan: plan.Options{Scratch: t.TempDir()}})
	if !errors.Is(err, model.ErrUnavailable) || !strings.Contains(err.Error(), "nothing is left of it") || !strings.Contains(err.Error(), "my") {
		t.Error(err)
	}
	if list, err := r.List(t.Context()); err != nil || len(list) != 0 {
		t.Error(list, err)
	}
	bank.Put(t, lite, bank.Accounts("lite"), 1, 1)
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
