package restore_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stillpoint-db/stillpoint/backup/archive"
	"github.com/stillpoint-db/stillpoint/backup/catalog"
	"github.com/stillpoint-db/stillpoint/backup/create"
	"github.com/stillpoint-db/stillpoint/backup/plan"
	"github.com/stillpoint-db/stillpoint/backup/repo"
	"github.com/stillpoint-db/stillpoint/check"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/restore"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/memory"
	"github.com/stillpoint-db/stillpoint/storage/multi"
)

// realBackup puts the bank into databases and takes a real backup of them.
func realBackup(t *testing.T) (folder string, b *catalog.Backup) {
	t.Helper()
	fake := bank(t)
	set, err := multi.New([]storage.Storage{memory.New("pg"), memory.New("my")}, multi.Routing{Default: "pg", Namespaces: map[string]string{"vault": "my"}})
	must(t, err)
	defer func() { must(t, set.Close()) }()
	for _, bt := range fake.tables {
		st := set.Route(bt.Table.Name())
		makeTable(t, st, bt.Table)
		for _, row := range fake.rows[bt.Table.Name().String()] {
			putRow(t, st, row)
		}
	}
	folder = filepath.Join(t.TempDir(), "repo")
	m, err := create.Run(t.Context(), set, repo.InFolder(folder), create.Options{Plan: plan.Options{Scratch: t.TempDir()}})
	must(t, err)
	b, err = catalog.Open(t.Context(), repo.InFolder(folder), m.ID)
	must(t, err)
	return folder, b
}

func TestDamagedFileIsFoundBeforeAnythingIsTouched(t *testing.T) {
	for what, damage := range map[string]func(t *testing.T, path string){
		"corrupted": func(t *testing.T, path string) {
			data, err := os.ReadFile(path)
			must(t, err)
			data[len(data)/2] ^= 1
			must(t, os.WriteFile(path, data, 0o600))
		},
		"truncated": func(t *testing.T, path string) {
			info, err := os.Stat(path)
			must(t, err)
			must(t, os.Truncate(path, info.Size()-5))
		},
		"missing": func(t *testing.T, path string) { must(t, os.Remove(path)) },
		"foreign": func(t *testing.T, path string) {
			must(t, os.WriteFile(path, []byte("PK\x03\x04 something else"), 0o600))
		},
		"of another backup": func(t *testing.T, path string) {
			data, err := os.ReadFile(path)
			must(t, err)
			r, err := archive.NewReader(bytes.NewReader(data))
			must(t, err)
			var other bytes.Buffer
			w, err := archive.NewWriter(&other, r.Table(), archive.Options{Storage: r.Storage()})
			must(t, err)
			for row, err := range r.Rows() {
				must(t, err)
				row.Values[r.Table().Position("balance")] = model.BigIntValue(5)
				must(t, w.Write(row))
			}
			_, err = w.Close()
			must(t, errors.Join(err, os.WriteFile(path, other.Bytes(), 0o600)))
		},
	} {
		t.Run(what, func(t *testing.T) {
			folder, b := realBackup(t)
			file := b.Manifest.Table(name("vault.accounts")).Files[0].Name
			damage(t, filepath.Join(folder, b.ID(), "data", filepath.FromSlash(file)))
			backup, err := restore.FromCatalog(b)
			must(t, err)
			w := newWorld(t, bank(t))
			w.fill()
			w.opts.Backup, w.opts.Replace, w.opts.Journal = backup, true, restore.Beside(b.Files())
			_, err = restore.Run(t.Context(), w.opts)
			if !errors.Is(err, model.ErrDamaged) || !strings.Contains(err.Error(), b.ID()) ||
				!strings.Contains(err.Error(), "everything but vault.accounts") || !strings.Contains(err.Error(), "Nothing was changed") {
				t.Errorf("error is %v", err)
			}
			if got := w.state("my", "vault.log", "id", "id"); len(got) != 1 || got[int64(77)] != 77 || w.marked("pg") || w.marked("my") {
				t.Errorf("something was changed: %v", got)
			}
		})
	}
}

func TestRealBackupIsRestored(t *testing.T) {
	_, b := realBackup(t)
	backup, err := restore.FromCatalog(b)
	must(t, err)
	w := newWorld(t, bank(t))
	w.fill()
	w.opts.Backup, w.opts.Replace, w.opts.Journal = backup, true, restore.Beside(b.Files())
	_, err = restore.Run(t.Context(), w.opts)
	must(t, err)
	w.whole()
}

func TestDamagedJournalIsSaidToBeOne(t *testing.T) {
	for _, content := range []string{"", "{", `{"format":9}`, `{"format":1}`, `{"format":1,"plan":{"steps":[{"id":"1"}]},"outcomes":{"1":null}}`} {
		w := newWorld(t, bank(t))
		path := filepath.Join(t.TempDir(), "journal")
		must(t, os.WriteFile(path, []byte(content), 0o600))
		w.opts.Journal = restore.InFile(path)
		_, err := restore.Run(t.Context(), w.opts)
		if !errors.Is(err, model.ErrDamaged) && !errors.Is(err, model.ErrRefused) || !strings.Contains(err.Error(), "journal") {
			t.Errorf("%q: error is %v", content, err)
		}
		if bad, is := errors.AsType[*restore.JournalError](err); is && !strings.Contains(bad.Error(), "The backup is not affected, and nothing was changed: to begin anew, give another journal with --journal FILE") {
			t.Errorf("%q: no way out: %v", content, err)
		} else if !is && errors.Is(err, model.ErrDamaged) {
			t.Errorf("%q: it may be the backup that is damaged: %v", content, err)
		}
	}
}

func TestJournalWithAStepThatCannotBeRightIsDamaged(t *testing.T) {
	w := newWorld(t, bank(t))
	path := filepath.Join(t.TempDir(), "journal")
	w.opts.Journal = restore.InFile(path)
	w.trouble.failAt = 25
	if _, err := restore.Run(t.Context(), w.opts); !errors.Is(err, errTrouble) {
		t.Fatal(err)
	}
	w.trouble.failAt = 0
	data, err := os.ReadFile(path)
	must(t, err)
	must(t, os.WriteFile(path, []byte(strings.ReplaceAll(string(data), `"bank.accounts"`, `"bank.acounts"`)), 0o600))
	if _, err := restore.Run(t.Context(), w.opts); !errors.Is(err, model.ErrDamaged) || !strings.Contains(err.Error(), "bank.acounts") {
		t.Errorf("error is %v", err)
	}
}

func TestJournalInAFileIsFoundAgain(t *testing.T) {
	w := newWorld(t, bank(t))
	w.opts.Journal = restore.InFile(filepath.Join(t.TempDir(), "journal"))
	w.trouble.failAt = 15
	if _, err := restore.Run(t.Context(), w.opts); !errors.Is(err, errTrouble) {
		t.Fatal(err)
	}
	w.trouble.failAt = 0
	rep, err := restore.Run(t.Context(), w.opts)
	must(t, err)
	if !rep.Resumed {
		t.Error("the second run began anew")
	}
	w.whole()
}

func TestAJournalInAFileIsNotTakenFromARestoreOfOtherDatabases(t *testing.T) {
	w := newWorld(t, bank(t))
	w.opts.Journal = restore.InFile(filepath.Join(t.TempDir(), "journal"))
	w.trouble.failAt = 25
	if _, err := restore.Run(t.Context(), w.opts); !errors.Is(err, errTrouble) || !w.marked("pg") {
		t.Fatal(err)
	}
	w.trouble.failAt = 0
	other := newWorld(t, bank(t))
	other.opts.Journal = w.opts.Journal
	if _, err := restore.Run(t.Context(), other.opts); !errors.Is(err, model.ErrRefused) || !strings.Contains(err.Error(), "restore into other databases") || other.marked("pg") {
		t.Errorf("error is %v", err)
	}
	rep, err := restore.Run(t.Context(), w.opts)
	must(t, err)
	if !rep.Resumed {
		t.Error("the first restore began anew")
	}
	w.whole()
}

func TestHalfRestoredDatabasesAreNotBackedUpAndNotConsistent(t *testing.T) {
	w := newWorld(t, bank(t))
	w.trouble.failAt = 30
	if _, err := restore.Run(t.Context(), w.opts); !errors.Is(err, errTrouble) || !w.marked("pg") || !w.marked("my") {
		t.Fatal(err)
	}
	w.trouble.failAt = 0
	set, err := multi.New(w.opts.Target.Storages, multi.Routing{Default: "pg", Namespaces: map[string]string{"vault": "my"}})
	must(t, err)
	p, err := plan.Make(t.Context(), set, plan.Options{Scratch: t.TempDir()})
	must(t, err)
	if err := p.Refusal(); !errors.Is(err, model.ErrRefused) || !strings.Contains(err.Error(), "not finished") {
		t.Errorf("the plan of a backup: %v", err)
	}
	rep, err := check.Run(t.Context(), check.NewDatabases("half", set, ""), check.Options{Scratch: t.TempDir()})
	must(t, err)
	if rep.Consistent || rep.Counts["R1"] != 2 || !strings.Contains(rep.Violations[0].Text, w.opts.Backup.ID()) {
		t.Errorf("%v %v", rep.Counts, rep.Violations)
	}
}
