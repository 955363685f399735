//go:build linux && failpoints

package create_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stillpoint-db/stillpoint/backup/catalog"
	"github.com/stillpoint-db/stillpoint/backup/internal/bank"
	"github.com/stillpoint-db/stillpoint/backup/repo"
	"github.com/stillpoint-db/stillpoint/backup/verify"
	"github.com/stillpoint-db/stillpoint/internal/failpoint"
	"github.com/stillpoint-db/stillpoint/storage"
)

// steps lists the fail points that a backup passes, from the source.
func steps(t *testing.T) []string {
	t.Helper()
	call := regexp.MustCompile(`failpoint\.Here\(([^)]*)\)`)
	var names []string
	for _, dir := range []string{".", "../fence", "../repo", "../plan", "../archive", "../manifest"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatal(dir, err)
		}
		for _, f := range files {
			if strings.HasSuffix(f, "_test.go") {
				continue
			}
			src, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range call.FindAllStringSubmatch(string(src), -1) {
				name := strings.Trim(m[1], `"`)
				if len(name) != len(m[1])-2 || !strings.HasPrefix(name, "backup.") || slices.Contains(names, name) {
					t.Fatalf("%s: fail point %s is not a literal backup.… of its own", f, m[1])
				}
				names = append(names, name)
			}
		}
	}
	if len(names) < 20 {
		t.Fatalf("only %d fail points found", len(names))
	}
	return names
}

// TestEveryStepOfABackupIsFollowedByAFailPoint reads, from the source, the steps
// of run.take: a new one without a fail point behind it would be a step at which
// nothing is killed. The last one, seal, has its own.
func TestEveryStepOfABackupIsFollowedByAFailPoint(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "create.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var body []ast.Stmt
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Name.Name == "take" {
			body = f.Body.List
		}
	}
	steps, open := 0, ""
	for _, stmt := range body {
		if _, ok := stmt.(*ast.DeferStmt); ok {
			continue
		}
		ast.Inspect(stmt, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			f, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			switch on, _ := f.X.(*ast.Ident); {
			case on != nil && on.Name == "failpoint":
				open = ""
			case on != nil && on.Name == "b":
				if open != "" {
					t.Errorf("no fail point between the steps %s and %s", open, f.Sel.Name)
				}
				steps, open = steps+1, f.Sel.Name
			}
			return true
		})
	}
	if steps < 9 || open != "seal" {
		t.Errorf("%d steps, the last one %s", steps, open)
	}
}

// TestABackupKilledAtAnyStepHoldsNothingAndTheNextOneIsRight kills a process
// that takes a backup at each of its steps, while another process writes.
func TestABackupKilledAtAnyStepHoldsNothingAndTheNextOneIsRight(t *testing.T) {
	for _, step := range steps(t) {
		t.Run(step, func(t *testing.T) {
			folder := t.TempDir()
			set := bank.New(t, func(t testing.TB, name string) storage.Storage {
				return bank.OpenSQLite(t, name, filepath.Join(folder, name+".db"))
			}, 4, "one", "two")
			for _, s := range set.Storages() {
				for id := range 4 {
					bank.Put(t, s, bank.Accounts(s.Name()), int32(id), 0)
				}
			}
			if err := os.Mkdir(filepath.Join(folder, "scratch"), 0o700); err != nil {
				t.Fatal(err)
			}
			r := repo.InFolder(filepath.Join(folder, "repo"))
			if step != "backup.repository.folder-made" { // something for it to clean up
				unfinish(t, r)
			}
			stop := chain(t, set)
			defer stop()

			cmd := exec.CommandContext(t.Context(), os.Args[0])
			cmd.Env = append(os.Environ(), childEnv+"="+folder, failpoint.EnvKill+"="+step)
			out, err := cmd.CombinedOutput()
			ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
			if err == nil || !ok || ws.Signal() != syscall.SIGKILL {
				t.Fatalf("a backup does not come by this step: %v\n%s", err, out)
			}
			sealed := 0
			list, err := catalog.List(t.Context(), r)
			if step != "backup.planned" && step != "backup.repository.folder-made" && err != nil {
				t.Fatal(err)
			}
			for _, e := range list {
				if e.State == repo.Sealed {
					sealed++
				}
			}
			if late := step == "backup.seal.renamed" || step == "backup.done"; sealed > 0 != late {
				t.Errorf("killed at this step, there are %d sealed backups", sealed)
			}
			for _, s := range set.Storages() { // would fail if a lock were left
				bank.Put(t, s, bank.Accounts(s.Name()), 100, 0)
			}

			if err := takeIn(folder); err != nil {
				t.Fatal(err)
			}
			list, err = catalog.List(t.Context(), r)
			if err != nil || len(list) != sealed+1 {
				t.Errorf("after the next run: %+v, %v", list, err)
			}
			empty(t, filepath.Join(folder, "scratch"))
			for _, e := range list {
				rep, err := verify.Run(t.Context(), r, e.ID, verify.Options{})
				if err != nil || rep.Err() != nil {
					t.Fatal(err, rep.Err())
				}
				b, err := catalog.Open(t.Context(), r, e.ID)
				if err != nil {
					t.Fatal(err)
				}
				if n := torn(t, b, "one", "two"); n > 0 {
					t.Errorf("%s: %d accounts torn", e.ID, n)
				}
			}
		})
	}
}

// unfinish leaves what a run that died leaves.
func unfinish(t *testing.T, r *repo.Folder) {
	t.Helper()
	l, err := r.Lock(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Begin(t.Context(), "20200101T000000Z-dead"); err != nil {
		t.Fatal(err)
	}
	if err := l.Release(); err != nil {
		t.Fatal(err)
	}
}
