//go:build failpoints

package restore_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stillpoint-db/stillpoint/backup/catalog"
	"github.com/stillpoint-db/stillpoint/backup/create"
	"github.com/stillpoint-db/stillpoint/backup/plan"
	"github.com/stillpoint-db/stillpoint/backup/repo"
	"github.com/stillpoint-db/stillpoint/internal/failpoint"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/restore"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/multi"
)

// childEnv holds, for a child process of the test, the restore that it runs.
const childEnv = "STILLPOINT_TEST_RESTORE"

type childTask struct {
	Repo, Backup, Folder, Journal, Scratch string
}

func init() {
	spec := os.Getenv(childEnv)
	if spec == "" {
		return
	}
	var task childTask
	if err := json.Unmarshal([]byte(spec), &task); err != nil {
		panic(err)
	}
	if err := task.run(context.Background()); err != nil {
		os.Stderr.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
	os.Exit(0)
}

// run restores with --replace into the two SQLite databases of a folder.
func (c childTask) run(ctx context.Context) (err error) {
	b, err := catalog.Open(ctx, repo.InFolder(c.Repo), c.Backup)
	if err != nil {
		return err
	}
	backup, err := restore.FromCatalog(b)
	if err != nil {
		return err
	}
	opts := restore.Options{Backup: backup, Journal: restore.Beside(b.Files()), Replace: true, Scratch: c.Scratch, Target: restore.Target{Label: "test"}}
	if c.Journal != "" {
		opts.Journal = restore.InFile(c.Journal)
	}
	for _, n := range []string{"pg", "my"} {
		s, err := storage.Open(ctx, storage.Config{Name: n, Driver: "sqlite", URL: "jdbc:sqlite:" + filepath.Join(c.Folder, n+".db")})
		if err != nil {
			return err
		}
		defer s.Close()
		opts.Target.Storages = append(opts.Target.Storages, s)
	}
	_, err = restore.Run(ctx, opts)
	return err
}

// steps lists the fail points of the package, from its source.
func steps(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	must(t, err)
	call := regexp.MustCompile(`failpoint\.Here\(([^)]*)\)`)
	var names []string
	for _, f := range files {
		if strings.HasSuffix(f, "_test.go") {
			continue
		}
		src, err := os.ReadFile(f)
		must(t, err)
		for _, m := range call.FindAllStringSubmatch(string(src), -1) {
			name := strings.Trim(m[1], `"`)
			if len(name) != len(m[1])-2 || !strings.HasPrefix(name, "restore.") {
				t.Fatalf("%s: fail point %s is not a literal restore.…", f, m[1])
			}
			names = append(names, name)
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) < 20 {
		t.Fatalf("only %d fail points found", len(names))
	}
	return names
}

// TestRestoreKilledAtEveryStepGoesOn kills a restore over data at each fail
// point, at the first time and at a later one, and runs the same command again. It
// kills behind every step of the plan, before and after it is recorded: a new one
// is killed without having a fail point of its own.
func TestRestoreKilledAtEveryStepGoesOn(t *testing.T) {
	r := filepath.Join(t.TempDir(), "repo")
	backup := sqliteBank(t, r)
	for _, step := range steps(t) {
		behind := strings.HasPrefix(step, "restore.step-")
		killed := true
		n := 0
		for killed && (behind || n < 2 || n < 5 && strings.HasSuffix(step, ".row")) {
			n++
			at := fmt.Sprintf("%s:%d", step, n)
			ok := t.Run(at, func(t *testing.T) {
				task := childTask{Repo: r, Backup: backup, Folder: t.TempDir(), Scratch: t.TempDir()}
				fillSQLite(t, task.Folder)
				killed = child(t, task, at)
				if !killed && n == 1 {
					t.Fatal("a restore over data does not come by this step")
				}
				if killed && child(t, task, "") {
					t.Fatal("killed without being asked for")
				}
				whole(t, task.Folder)
			})
			killed = killed && ok
		}
		if behind && n < 15 {
			t.Errorf("%s is passed %d times only", step, n-1)
		}
	}
}

// child runs a restore in a process of its own, and tells whether it was killed.
func child(t *testing.T, task childTask, killAt string) bool {
	t.Helper()
	spec, err := json.Marshal(task)
	must(t, err)
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+string(spec), failpoint.EnvKill+"="+killAt)
	out, err := cmd.CombinedOutput()
	if err == nil {
		return false
	}
	if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() && ws.Signal() == syscall.SIGKILL && killAt != "" {
		return true
	}
	t.Fatalf("%v\n%s", err, out)
	return false
}

func sqliteStorages(t *testing.T, folder string) []storage.Storage {
	t.Helper()
	var out []storage.Storage
	for _, n := range []string{"pg", "my"} {
		out = append(out, open(t, storage.Config{Name: n, Driver: "sqlite", URL: "jdbc:sqlite:" + filepath.Join(folder, n+".db")}))
	}
	return out
}

// sqliteBank makes the bank in SQLite, with its records in doubt, and takes a
// real backup of it.
func sqliteBank(t *testing.T, repository string) (id string) {
	t.Helper()
	b := bank(t)
	stores := sqliteStorages(t, t.TempDir())
	set, err := multi.New(stores, multi.Routing{Default: "pg", Namespaces: map[string]string{"vault": "my"}})
	must(t, err)
	defer func() { must(t, set.Close()) }()
	for _, bt := range b.tables {
		st := set.Route(bt.Table.Name())
		makeTable(t, st, bt.Table)
		for _, row := range b.rows[bt.Table.Name().String()] {
			putRow(t, st, row)
		}
	}
	m, err := create.Run(t.Context(), set, repo.InFolder(repository), create.Options{Plan: plan.Options{Scratch: t.TempDir()}})
	must(t, err)
	return m.ID
}

// fillSQLite puts other data in the way.
func fillSQLite(t *testing.T, folder string) {
	t.Helper()
	stores := sqliteStorages(t, folder)
	w := newWorld(t, bank(t))
	for i, s := range stores {
		defer func() { must(t, s.Close()) }()
		for _, bt := range w.opts.Backup.Tables() {
			if bt.Storage != []string{"pg", "my"}[i] || bt.Table.Name() == name("vault.log") {
				continue // one table is missing
			}
			def := bt.Table
			if def.Name() == name("vault.accounts") { // defined otherwise
				def = physical(t, "vault.accounts", model.Text)
			}
			makeTable(t, s, def)
			row := &model.Row{Table: def}
			for j, c := range def.Columns() {
				v := model.Null(c.Type)
				if j == 0 {
					v = value(c.Type, map[bool]any{true: "old", false: 77}[c.Type == model.Text])
				}
				row.Values = append(row.Values, v)
			}
			putRow(t, s, row)
		}
	}
}

// whole checks that the SQLite databases of a folder hold the bank.
func whole(t *testing.T, folder string) {
	t.Helper()
	stores := sqliteStorages(t, folder)
	for i, n := range []string{"pg", "my"} {
		s := stores[i]
		defer func() { must(t, s.Close()) }()
		namespaces, err := s.Admin().Namespaces(t.Context())
		must(t, err)
		if slices.Contains(namespaces, "stillpoint_restore") {
			t.Errorf("%s still has its mark", n)
		}
	}
	for table, want := range wantBank {
		s := stores[map[string]int{"bank.accounts": 0, "vault.accounts": 1}[table]]
		def, err := s.Admin().Table(t.Context(), name(table))
		must(t, err)
		page, err := s.Scan(t.Context(), storage.Scan{Table: def, Kind: storage.ScanTable})
		must(t, err)
		if len(page.Rows) != len(want) {
			t.Errorf("%s has %d rows, want %d", table, len(page.Rows), len(want))
		}
		for _, row := range page.Rows {
			if got, is := row.Get("balance").Int64(), want[row.Get("id").Int64()]; got != is || row.Get("tx_state").Int64() != 3 {
				t.Errorf("%s %s has %d, want %d; state %s", table, row.Key(), got, is, row.Get("tx_state"))
			}
		}
	}
	def, err := stores[0].Admin().Table(t.Context(), name("coordinator.state"))
	must(t, err)
	page, err := stores[0].Scan(t.Context(), storage.Scan{Table: def, Kind: storage.ScanTable})
	must(t, err)
	if len(page.Rows) != len(wantStates) {
		t.Errorf("the Coordinator has %d rows, want %d", len(page.Rows), len(wantStates))
	}
}
