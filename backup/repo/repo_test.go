package repo_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stillpoint-db/stillpoint/backup/repo"
	"github.com/stillpoint-db/stillpoint/model"
)

const id = "20261122T083001Z-7f3a"

// TestMain is also the program of a process that locks a repository and waits
// to be killed.
func TestMain(m *testing.M) {
	if folder := os.Getenv("LOCK_REPOSITORY"); folder != "" {
		if _, err := repo.InFolder(folder).Lock(context.Background(), "backup create"); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("locked")
		select {}
	}
	os.Exit(m.Run())
}

func locked(t *testing.T, folder string) (*repo.Folder, repo.Lock) {
	t.Helper()
	r := repo.InFolder(folder)
	l, err := r.Lock(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Release(); err != nil {
			t.Error(err)
		}
	})
	return r, l
}

func create(t *testing.T, d repo.Draft, name, content string) {
	t.Helper()
	w, err := d.Create(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func seal(t *testing.T, r *repo.Folder, id string) repo.Backup {
	t.Helper()
	d, err := r.Begin(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	create(t, d, "pg/bank.accounts/0000", "rows")
	create(t, d, "pg/bank.accounts/0001", "more rows")
	if err := d.Seal(t.Context(), []byte("{}")); err != nil {
		t.Fatal(err)
	}
	b, err := r.Open(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestASealedBackupIsReadAsItWasWritten(t *testing.T) {
	r, _ := locked(t, filepath.Join(t.TempDir(), "new", "repo"))
	b := seal(t, r, id)
	if m, err := b.Manifest(t.Context()); err != nil || string(m) != "{}" {
		t.Errorf("%s, %v", m, err)
	}
	files, err := b.Files(t.Context())
	if d := cmp.Diff([]repo.File{{Name: "pg/bank.accounts/0000", Size: 4}, {Name: "pg/bank.accounts/0001", Size: 9}}, files); d != "" || err != nil {
		t.Error(d, err)
	}
	in, err := b.Open(t.Context(), "pg/bank.accounts/0001", 5)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if got, err := io.ReadAll(in); string(got) != "rows" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := b.Open(t.Context(), "pg/bank.accounts/0002", 0); !errors.Is(err, model.ErrNotFound) {
		t.Error(err)
	}
	if _, err := b.Note(t.Context(), "verified"); !errors.Is(err, model.ErrNotFound) {
		t.Error(err)
	}
	for _, v := range []string{"one", "two"} {
		if err := b.PutNote(t.Context(), "verified", []byte(v)); err != nil {
			t.Fatal(err)
		}
		if n, err := b.Note(t.Context(), "verified"); err != nil || string(n) != v {
			t.Errorf("%s, %v", n, err)
		}
	}
}

func TestOnlyTheOwnerMayReadARepository(t *testing.T) {
	root := filepath.Join(t.TempDir(), "repo")
	r, _ := locked(t, root)
	seal(t, r, id)
	if err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	}); err != nil {
		t.Error(err)
	}
}

func TestAnUnsealedBackupIsListedAsUnfinishedAndCannotBeOpened(t *testing.T) {
	r, _ := locked(t, t.TempDir())
	seal(t, r, id)
	d, err := r.Begin(t.Context(), "20261123T000000Z-0001")
	if err != nil {
		t.Fatal(err)
	}
	create(t, d, "a", "b")
	list, err := r.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []repo.Entry{
		{ID: id, Created: time.Date(2026, 11, 22, 8, 30, 1, 0, time.UTC), State: repo.Sealed},
		{ID: "20261123T000000Z-0001", Created: time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC), State: repo.Unfinished},
	}
	if d := cmp.Diff(want, list); d != "" {
		t.Error(d)
	}
	if _, err := r.Open(t.Context(), d.ID()); !errors.Is(err, model.ErrNotFound) || !strings.Contains(err.Error(), "unfinished") {
		t.Error(err)
	}
	if _, err := r.Begin(t.Context(), d.ID()); !errors.Is(err, model.ErrExists) {
		t.Error(err)
	}
	if err := d.Discard(t.Context()); err != nil {
		t.Error(err)
	}
	if list, err := r.List(t.Context()); err != nil || len(list) != 1 {
		t.Error(list, err)
	}
}

func TestDeleteRemovesBackupsOnly(t *testing.T) {
	root := t.TempDir()
	r, _ := locked(t, root)
	seal(t, r, id)
	if err := os.Mkdir(filepath.Join(root, "mine"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"mine", "../x", "", "lock", "stillpoint-repository.json", id + ".unfinished"} {
		if err := r.Delete(t.Context(), bad); !errors.Is(err, model.ErrBadArgument) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if err := r.Delete(t.Context(), "20261122T083001Z-0000"); !errors.Is(err, model.ErrNotFound) {
		t.Error(err)
	}
	if err := r.Delete(t.Context(), id); err != nil {
		t.Error(err)
	}
	if list, err := r.List(t.Context()); err != nil || len(list) != 0 {
		t.Error(list, err)
	}
	if _, err := os.Stat(filepath.Join(root, "mine")); err != nil {
		t.Error(err)
	}
}

func TestADeleteThatWasInterruptedIsFinishedByTheNext(t *testing.T) {
	root := t.TempDir()
	r, _ := locked(t, root)
	seal(t, r, id)
	if err := os.Rename(filepath.Join(root, id), filepath.Join(root, id+".deleting")); err != nil {
		t.Fatal(err)
	}
	if list, err := r.List(t.Context()); err != nil || len(list) != 1 || list[0].State != repo.Deleting {
		t.Error(list, err)
	}
	if err := r.Delete(t.Context(), id); err != nil {
		t.Error(err)
	}
	if list, err := r.List(t.Context()); err != nil || len(list) != 0 {
		t.Error(list, err)
	}
}

// TestARepositoryThatLostItsMarkerSaysHowToGoOn, and is one again then.
func TestARepositoryThatLostItsMarkerSaysHowToGoOn(t *testing.T) {
	root := t.TempDir()
	marker := filepath.Join(root, "stillpoint-repository.json")
	if err := os.Mkdir(filepath.Join(root, "20261122T083001Z-7f3a"), 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := repo.InFolder(root).List(t.Context())
	if !errors.Is(err, model.ErrRefused) || !strings.Contains(err.Error(), "stillpoint-repository.json is gone") {
		t.Fatal(err)
	}
	content := regexp.MustCompile(`{.*}`).FindString(err.Error())
	if err := os.WriteFile(marker, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if list, err := repo.InFolder(root).List(t.Context()); err != nil || len(list) != 1 {
		t.Error(list, err)
	}
}

func TestAFolderThatIsNotARepositoryIsRefusedUntouched(t *testing.T) {
	marker := "stillpoint-repository.json"
	for name, c := range map[string]struct {
		file, content, says string
	}{
		"other things":    {"holiday.jpg", "", "has no " + marker},
		"foreign marker":  {marker, `{"format":"restic"}`, "is not one"},
		"damaged marker":  {marker, `{"form`, "is not one"},
		"a later version": {marker, `{"format":"stillpoint-repository","version":2}`, "has format 2"},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			if err := os.WriteFile(filepath.Join(root, c.file), []byte(c.content), 0o600); err != nil {
				t.Fatal(err)
			}
			r := repo.InFolder(root)
			_, err := r.Lock(t.Context(), "test")
			if !errors.Is(err, model.ErrRefused) || !strings.Contains(err.Error(), c.says) {
				t.Error(err)
			}
			if _, err := r.List(t.Context()); !errors.Is(err, model.ErrRefused) {
				t.Error(err)
			}
			if d, err := os.ReadDir(root); err != nil || len(d) != 1 {
				t.Error(d, err)
			}
		})
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := repo.InFolder(file).Lock(t.Context(), "test"); !errors.Is(err, model.ErrRefused) {
		t.Error(err)
	}
	if _, err := repo.InFolder(filepath.Join(t.TempDir(), "none")).List(t.Context()); !errors.Is(err, model.ErrNotFound) {
		t.Error(err)
	}
}

func TestAManifestThatWasChangedOrIsMissingIsDamage(t *testing.T) {
	for _, name := range []string{"manifest.json", "manifest.sha256"} {
		for _, how := range []string{"changed", "missing"} {
			t.Run(name+" "+how, func(t *testing.T) {
				root := t.TempDir()
				r, _ := locked(t, root)
				b := seal(t, r, id)
				path := filepath.Join(root, id, name)
				err := os.Remove(path)
				if how == "changed" {
					err = os.WriteFile(path, []byte("{ }"), 0o600)
				}
				if err != nil {
					t.Fatal(err)
				}
				if _, err := b.Manifest(t.Context()); !errors.Is(err, model.ErrDamaged) || !strings.Contains(err.Error(), name) {
					t.Error(err)
				}
			})
		}
	}
}

func TestTwoRunsDoNotWriteAtOnce(t *testing.T) {
	root := t.TempDir()
	r, l := locked(t, root)
	_, err := r.Lock(t.Context(), "other")
	if !errors.Is(err, model.ErrLocked) || !strings.Contains(err.Error(), fmt.Sprintf(`"test", process %d`, os.Getpid())) {
		t.Error(err)
	}
	if err := l.Release(); err != nil {
		t.Fatal(err)
	}
	locked(t, root)
}

func TestTheLockOfAKilledProcessIsFreeAndThatOfALiveOneIsNot(t *testing.T) {
	root := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "LOCK_REPOSITORY="+root)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if line != "locked\n" {
		t.Fatalf("%q %v", line, err)
	}
	_, err = repo.InFolder(root).Lock(t.Context(), "test")
	if !errors.Is(err, model.ErrLocked) || !strings.Contains(err.Error(), fmt.Sprintf(`"backup create", process %d`, cmd.Process.Pid)) {
		t.Error(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("it was not killed")
	}
	locked(t, root)
}

func TestALockThatOnlyAFileSpeaksOfIsJudgedByItsOwner(t *testing.T) {
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	boot, bootErr := os.ReadFile("/proc/sys/kernel/random/boot_id") // where there is one
	dead := exec.Command("true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		content string
		free    bool
	}{
		"alive":            {fmt.Sprintf(`{"host":%q,"pid":%d}`, host, os.Getpid()), false},
		"another machine":  {`{"host":"elsewhere","pid":1}`, false},
		"a container here": {fmt.Sprintf(`{"host":"elsewhere","pid":1,"boot":%q}`, strings.TrimSpace(string(boot))), bootErr == nil},
		"dead":             {fmt.Sprintf(`{"host":%q,"pid":%d}`, host, dead.Process.Pid), true},
		"earlier boot":     {fmt.Sprintf(`{"host":%q,"pid":%d,"boot":"earlier"}`, host, os.Getpid()), true},
		"reused number":    {fmt.Sprintf(`{"host":%q,"pid":%d,"start":"1"}`, host, os.Getpid()), true},
		"half written":     {`{"host":"else`, true},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			_, l := locked(t, root)
			if err := l.Release(); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(root, "lock"), []byte(c.content), 0o600); err != nil {
				t.Fatal(err)
			}
			l, err := repo.InFolder(root).Lock(t.Context(), "test")
			if c.free != (err == nil) || err != nil && !errors.Is(err, model.ErrLocked) {
				t.Fatal(err)
			}
			if err == nil {
				if err := l.Release(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestAFullDiskIsNamedAsThat(t *testing.T) {
	root := t.TempDir()
	r, _ := locked(t, root)
	d, err := r.Begin(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	create(t, d, "before", "")
	if err := os.Symlink("/dev/full", filepath.Join(root, "full")); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Fatal("this test needs /dev/full:", err)
	}
	// The manifest goes to the device that is always full.
	if err := os.Symlink("/dev/full", filepath.Join(root, id+".unfinished", "manifest.json")); err != nil {
		t.Fatal(err)
	}
	err = d.Seal(t.Context(), []byte("{}"))
	if full, is := errors.AsType[*repo.NoSpaceError](err); !is || full.Location != root || !errors.Is(err, syscall.ENOSPC) || !errors.Is(err, model.ErrUnavailable) {
		t.Error(err)
	}
	if _, err := r.Open(t.Context(), id); !errors.Is(err, model.ErrNotFound) {
		t.Error("sealed on a full disk:", err)
	}
}

func TestPathKeepsEachPartApart(t *testing.T) {
	for _, c := range []struct {
		parts []string
		want  string
	}{
		{[]string{"pg", "bank.accounts", "0001"}, "pg/bank.accounts/0001"},
		{[]string{"..", ".", "a/b"}, "%2E./%2E/a%2Fb"},
		{[]string{"ä", "a b%"}, "%C3%A4/a%20b%25"},
	} {
		if got := repo.Path(c.parts...); got != c.want {
			t.Errorf("%q: %q, not %q", c.parts, got, c.want)
		}
	}
}

func TestATableWithALongNameHasAFile(t *testing.T) {
	r, _ := locked(t, t.TempDir())
	d, err := r.Begin(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("口座", 100)
	for _, table := range []string{"bank." + long, "bank." + long + "1"} {
		create(t, d, repo.Path("pg", table, "0000"), "rows of "+table)
	}
	if err := d.Discard(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestFileNamesThatLeaveTheBackupAreRefused(t *testing.T) {
	r, _ := locked(t, t.TempDir())
	b := seal(t, r, id)
	for _, name := range []string{"", "..", "../x", "a/../../x", "/etc/passwd", "a//b", "a/", "./a", `a\b`, "a\x00"} {
		if _, err := b.Open(t.Context(), name, 0); !errors.Is(err, model.ErrBadArgument) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func FuzzPathIsAlwaysAValidName(f *testing.F) {
	f.Add("pg", "bank.accounts")
	f.Add("..", "/")
	f.Fuzz(func(t *testing.T, a, b string) {
		if a == "" || b == "" {
			return
		}
		name := repo.Path(a, b)
		if strings.Count(name, "/") != 1 || strings.Contains("/"+name, "/.") {
			t.Errorf("%q, %q: %q", a, b, name)
		}
	})
}

func TestNewIDsAreIDs(t *testing.T) {
	now := time.Date(2026, 11, 22, 8, 30, 1, 5, time.UTC)
	got, err := repo.ParseID(repo.NewID(now))
	if err != nil || !got.Equal(now.Truncate(time.Second)) {
		t.Error(got, err)
	}
}

// An id becomes a folder of the repository.
func FuzzParseID(f *testing.F) {
	f.Add("20261122T083001Z-7f3a")
	f.Add("20261322T083001Z-7f3a")
	f.Add("../20261122T083001Z-7f3a")
	f.Fuzz(func(t *testing.T, id string) {
		at, err := repo.ParseID(id)
		if err != nil {
			return
		}
		if repo.Path(id) != id || !strings.HasPrefix(repo.NewID(at), id[:len(id)-5]) {
			t.Errorf("%q is of %v", id, at)
		}
	})
}
