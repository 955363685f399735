//go:build java && servers && failpoints

package drills

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stillpoint-db/stillpoint/internal/workload"
)

// steps lists all fail points of the module whose names begin with a prefix, from
// its source. One without a literal name fails the test: it would be overlooked.
func steps(t *testing.T, prefix string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if f, ok := call.Fun.(*ast.SelectorExpr); !ok || f.Sel.Name != "Here" || name(f.X) != "failpoint" {
				return true
			}
			step := ""
			if lit, ok := call.Args[0].(*ast.BasicLit); ok {
				step, _ = strconv.Unquote(lit.Value)
			}
			if step == "" {
				t.Errorf("%s: a fail point without a literal name", files.Position(call.Pos()))
			}
			if strings.HasPrefix(step, prefix) {
				names = append(names, step)
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) < 10 {
		t.Fatalf("only %d fail points %s… in the source", len(names), prefix)
	}
	return names
}

func name(x ast.Expr) string {
	if id, ok := x.(*ast.Ident); ok {
		return id.Name
	}
	return ""
}

// sealed lists the backups of a repository that are ones, and counts the rest.
func sealed(t *testing.T, folder string) (ids []string, unfinished int) {
	t.Helper()
	var list struct {
		Backups []struct{ ID, State string }
		Error   *struct{ Class string }
	}
	o := run(t, nil, "backup", "list", "--repo", folder)
	decode(t, o, &list)
	if o.code != 0 && (list.Error == nil || list.Error.Class != "not-found") {
		t.Fatal(o)
	}
	for _, b := range list.Backups {
		if b.State == "sealed" {
			ids = append(ids, b.ID)
		} else {
			unfinished++
		}
	}
	return ids, unfinished
}

// killedBackup kills a backup at a step, under load, and looks that it holds nothing
// and is none, and that the next one removes it and is right. It tells whether a
// backup comes by the step at all.
//
// The oracle fails if the killed process leaves a lock (no writer commits any
// more), a sealed backup before its time, or a rest that the next run does not
// clean up.
func killedBackup(t *testing.T, w *world, x *writer, folder, step string) (reached bool) {
	t.Helper()
	scratch := t.TempDir()
	create := []string{"backup", "create", "--config", w.config, "--repo", folder, "--scratch", scratch}
	before, left := sealed(t, folder)
	o := run(t, killAt(step), create...)
	if o.code == 0 {
		return false
	}
	if o.code != -1 {
		t.Fatalf("a backup that was to be killed at %s: %v", step, o)
	}
	free := x.committed(t, time.Now(), 3)
	after, rest := sealed(t, folder)
	late := step == "backup.seal.renamed" || step == "backup.done"
	if (len(after) > len(before)) != late {
		t.Errorf("killed at %s: %d backups are sealed, %d were before", step, len(after), len(before))
	}
	var r struct{ Backup string }
	taken(t, &r, create...)
	now, unfinished := sealed(t, folder)
	if unfinished > 0 || len(now) != len(after)+1 {
		t.Errorf("after the run that follows %s there are %d sealed and %d unfinished backups", step, len(now), unfinished)
	}
	if list, err := os.ReadDir(scratch); err != nil || len(list) > 0 {
		t.Errorf("after the run that follows %s there is staged data: %v, %v", step, list, err)
	}
	for _, id := range now[len(before):] {
		wantWhole(t, w, folder, id)
	}
	t.Logf("%-36s killed; three moves committed within %v; unfinished backups: %d before, %d after the kill, none after the next run", step, free.Round(time.Millisecond), left, rest)
	return true
}

// twoFiles is a world of two databases that need a fence and no server.
func twoFiles(t *testing.T) *world {
	return together(t, map[string]place{"pg": sqlitePlace(t), "my": sqlitePlace(t)})
}

func TestABackupKilledAtEveryStepHoldsNothing(t *testing.T) {
	w := twoFiles(t).open(t)
	x := startWriter(t, w, 1, nil)
	x.committed(t, time.Time{}, 10)
	folder := filepath.Join(t.TempDir(), "repository") // to be made
	all := steps(t, "backup.")
	// The one who makes the folder comes first.
	slices.SortStableFunc(all, func(a, b string) int {
		return strings.Index(b, "folder-made") - strings.Index(a, "folder-made")
	})
	for _, step := range all {
		if killedBackup(t, w, x, folder, step) {
			continue
		}
		// Some steps are only on the way of a run that has something to clean up.
		if o := run(t, killAt("backup.copied"), "backup", "create", "--config", w.config, "--repo", folder, "--scratch", t.TempDir()); o.code != -1 {
			t.Fatal(o)
		}
		if !killedBackup(t, w, x, folder, step) {
			t.Errorf("no backup comes by %s: a step without a kill", step)
		}
	}
	t.Logf("%d steps", len(all))
	wantClean(t, x.stop(t))
	wantRight(t, w)
	ids, _ := sealed(t, folder)
	wantRestored(t, w, folder, ids[len(ids)-1])
}

// TestABackupKilledUnderTheFenceOfServersHoldsNothing does the same where locks are
// those of sessions on real servers.
func TestABackupKilledUnderTheFenceOfServersHoldsNothing(t *testing.T) {
	w := allThree(t).open(t)
	ours := []*writer{startWriter(t, w, 2, nil)}
	ours[0].committed(t, time.Time{}, 10)
	folder := t.TempDir()
	n := 0
	for _, step := range steps(t, "backup.") {
		if strings.HasPrefix(step, "backup.fence.") || slices.Contains([]string{"backup.prepared", "backup.coordinator-opened", "backup.opened", "backup.released", "backup.detached"}, step) {
			if !killedBackup(t, w, ours[0], folder, step) {
				t.Errorf("no backup comes by %s", step)
			}
			n++
		}
	}
	if n < 8 {
		t.Errorf("only %d steps around the fence", n)
	}
	wantClean(t, ours[0].stop(t))
	wantRight(t, w)
	ids, _ := sealed(t, folder)
	wantRestored(t, w, folder, ids[len(ids)-1])
}

// TestARestoreKilledAtEveryStepGoesOn kills a restore over other data, or into empty
// databases, at each of its steps, and runs the same command again. Records that
// were in doubt must be settled, once, whichever run does it.
func TestARestoreKilledAtEveryStepGoesOn(t *testing.T) {
	w := twoFiles(t).open(t)
	folder := t.TempDir()
	slow := map[string]string{"scalar.db.consensus_commit.one_phase_commit.enabled": "false", "scalar.db.consensus_commit.async_commit.enabled": "false"}
	for range 3 { // their deaths leave records in doubt to be settled
		x := startWriter(t, w, 4, slow)
		x.committed(t, time.Time{}, 10)
		x.kill()
	}
	m := backup(t, w, folder)
	wantWhole(t, w, folder, m.ID)

	into := twoFiles(t)
	into.open(t)
	dirty := into.save(t)
	all := steps(t, "restore.")
	var want workload.Report
	var settled int64
	args := []string{"restore", "run", "--config", into.config, "--repo", folder, "--backup", m.ID, "--yes", "--replace", "--terminate-sessions"}
	for i, step := range all {
		into.load(t, dirty)
		o := run(t, killAt(step), args...)
		if o.code == 0 { // it may be one of a restore into nothing
			into.wipe(t)
			o = run(t, killAt(step), args...)
		}
		if o.code == 0 {
			t.Errorf("no restore comes by %s: a step without a kill", step)
			continue
		}
		if o.code != -1 {
			t.Fatalf("a restore that was to be killed at %s: %v", step, o)
		}
		var done struct {
			Settled int64 `json:"settled_records"`
		}
		must(t, &done, args...)
		r := wantRight(t, into)
		if i == 0 {
			want, settled = r, done.Settled
		}
		if settled == 0 || done.Settled != settled {
			t.Errorf("killed at %s and run again, the restore has settled %d records; it had settled %d", step, done.Settled, settled)
		}
		if r.History != want.History {
			t.Errorf("killed at %s and run again, the restore has %d entries; it had %d", step, r.History, want.History)
		}
		must(t, nil, "check", "--config", into.config)
	}
	t.Logf("%d steps; each time %d records in doubt were settled: %s", len(all), settled, want)
}

// TestARestoreKilledOnServersGoesOn kills a restore where it holds most on real
// servers, and runs the same command again at once: nothing of the dead process may
// be in its way.
func TestARestoreKilledOnServersGoesOn(t *testing.T) {
	w := allThree(t).open(t)
	folder := t.TempDir()
	x := startWriter(t, w, 3, nil)
	x.committed(t, time.Time{}, 50)
	m := backup(t, w, folder)
	x.stop(t)
	known := steps(t, "restore.")
	args := []string{"restore", "run", "--config", w.config, "--repo", folder, "--backup", m.ID, "--yes", "--replace"}
	for _, step := range []string{"restore.mark.done", "restore.clear", "restore.create", "restore.load.row", "restore.load-coordinator.loaded", "restore.unmark"} {
		if !slices.Contains(known, step) {
			t.Fatalf("there is no %s any more", step)
		}
		if step == "restore.create" {
			w.wipe(t)
		}
		nth := ""
		if step == "restore.load.row" {
			nth = ":150" // in the middle of a table
		}
		if o := run(t, killAt(step+nth), args...); o.code != -1 {
			t.Fatalf("a restore that was to be killed at %s: %v", step, o)
		}
		begun := time.Now()
		restored(t, nil, args...)
		t.Logf("killed at %s; run again, it took %v: %s", step, time.Since(begun).Round(10*time.Millisecond), wantRight(t, w))
	}
	must(t, nil, "check", "--config", w.config)
}

// save copies the files of a world of SQLite files that nobody has open.
func (w *world) save(t *testing.T) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for _, p := range w.places {
		data, err := os.ReadFile(p.file)
		if err != nil {
			t.Fatal(err)
		}
		out[p.file] = data
	}
	return out
}

func (w *world) load(t *testing.T, saved map[string][]byte) {
	t.Helper()
	w.wipe(t)
	for file, data := range saved {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
