package catalog_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stillpoint-db/stillpoint/backup/catalog"
	"github.com/stillpoint-db/stillpoint/backup/create"
	"github.com/stillpoint-db/stillpoint/backup/internal/bank"
	"github.com/stillpoint-db/stillpoint/backup/manifest"
	"github.com/stillpoint-db/stillpoint/backup/repo"
	"github.com/stillpoint-db/stillpoint/model"
)

// taken takes a backup of one database with 100 accounts.
func taken(t *testing.T) (root string, r *repo.Folder, m *manifest.Manifest) {
	t.Helper()
	root = t.TempDir()
	r = repo.InFolder(root)
	m, err := create.Run(t.Context(), bank.New(t, bank.Memory, 100, "one"), r, create.Options{Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	return root, r, m
}

// rows counts the rows of the accounts until an error.
func rows(t *testing.T, b *catalog.Backup) (n int, err error) {
	for _, err := range b.Rows(t.Context(), b.Manifest.Table(bank.Accounts("one").Name())) {
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

func TestReadingMayStopAnywhere(t *testing.T) {
	_, r, _ := taken(t)
	b, err := catalog.Open(t.Context(), r, "")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, err := range b.Rows(t.Context(), b.Manifest.Table(bank.Accounts("one").Name())) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 10 {
			break
		}
	}
	if n, err := rows(t, b); n != 100 || err != nil {
		t.Error(n, err)
	}
	if _, err := b.Table(bank.Plain("one").Name()); !errors.Is(err, model.ErrNotFound) {
		t.Error(err)
	}
}

func TestDamageIsNamedWithBackupFileAndRange(t *testing.T) {
	root, r, m := taken(t)
	path := filepath.Join(root, m.ID, "data", "one", "one.accounts", "0000")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		harm func() error
		says string
	}{
		"flipped":   {func() error { good[len(good)-60] ^= 1; return os.WriteFile(path, good, 0o600) }, "one/one.accounts/0000 (bytes 0-"},
		"truncated": {func() error { return os.Truncate(path, int64(len(good)-60)) }, "one/one.accounts/0000 (all of its data)"},
		"missing":   {func() error { return os.Remove(path) }, "file one/one.accounts/0000 is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := c.harm(); err != nil {
				t.Fatal(err)
			}
			b, err := catalog.Open(t.Context(), r, m.ID)
			if err != nil {
				t.Fatal(err)
			}
			_, err = rows(t, b)
			if !errors.Is(err, model.ErrDamaged) || !strings.Contains(err.Error(), "backup "+m.ID+" is damaged") || !strings.Contains(err.Error(), c.says) {
				t.Error(err)
			}
		})
	}
}

// TestAFileOfAnotherBackupIsDamage puts a file of one backup into another one of
// the same table with as many rows: all is right with it but that it is not that
// backup's.
func TestAFileOfAnotherBackupIsDamage(t *testing.T) {
	root := t.TempDir()
	r := repo.InFolder(root)
	set := bank.New(t, bank.Memory, 100, "one")
	var path []string
	var last *manifest.Manifest
	for balance := range 2 {
		bank.Put(t, set.Storages()[0], bank.Accounts("one"), 7, int64(balance))
		m, err := create.Run(t.Context(), set, r, create.Options{Workers: 1})
		if err != nil {
			t.Fatal(err)
		}
		path, last = append(path, filepath.Join(root, m.ID, "data", "one", "one.accounts", "0000")), m
	}
	other, err := os.ReadFile(path[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path[1], other, 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := catalog.Open(t.Context(), r, last.ID)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := rows(t, b); n != 100 || !errors.Is(err, model.ErrDamaged) || !strings.Contains(err.Error(), "one/one.accounts/0000") || !strings.Contains(err.Error(), "it is not the file that was written") {
		t.Errorf("%d rows, %v", n, err)
	}
}

func TestAListTellsWhatCanBeReadAndWhatCannot(t *testing.T) {
	root, r, m := taken(t)
	if _, err := create.Run(t.Context(), bank.New(t, bank.Memory, 1, "one"), r, create.Options{}); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(root, m.ID, "manifest.json")); err != nil {
		t.Fatal(err)
	}
	list, err := catalog.List(t.Context(), r)
	if err != nil || len(list) != 2 {
		t.Fatal(list, err)
	}
	if e := list[0]; e.ID != m.ID || e.Manifest != nil || !strings.Contains(e.Problem, "manifest.json is missing") {
		t.Errorf("%+v", e)
	}
	if e := list[1]; e.Problem != "" || e.Manifest == nil || e.Totals.Rows != 1 || e.Verified != nil || e.Strategy != manifest.Snapshot {
		t.Errorf("%+v", e)
	}
}

func TestABackupWhoseRecordOfVerificationIsBrokenIsAsGoodAsOneWithoutIt(t *testing.T) {
	root, r, m := taken(t)
	if err := os.WriteFile(filepath.Join(root, m.ID, "verified.note"), []byte(`{"depth":`), 0o600); err != nil {
		t.Fatal(err)
	}
	list, err := catalog.List(t.Context(), r)
	if err != nil || len(list) != 1 || list[0].Problem != "" || list[0].Verified != nil {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestTheLatestBackupThatIsNoneNamesTheLastCompleteOne(t *testing.T) {
	root, r, m := taken(t)
	const tomorrow = "29991231T000000Z-0000"
	if err := os.Mkdir(filepath.Join(root, tomorrow), 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := catalog.Open(t.Context(), r, catalog.Latest)
	if !errors.Is(err, model.ErrDamaged) || !strings.Contains(err.Error(), tomorrow) || !strings.Contains(err.Error(), "The last complete backup before it is "+m.ID) {
		t.Error(err)
	}
}

func TestAListShowsTheMomentOfABackupAndNotOfItsID(t *testing.T) {
	root, r, _ := taken(t)
	const tomorrow = "29991231T000000Z-0000"
	if err := os.Mkdir(filepath.Join(root, tomorrow+".unfinished"), 0o700); err != nil {
		t.Fatal(err)
	}
	m, err := create.Run(t.Context(), bank.New(t, bank.Memory, 1, "one"), r, create.Options{})
	if err != nil {
		t.Fatal(err)
	}
	list, err := catalog.List(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if e := list[len(list)-1]; e.ID != m.ID || e.ID < tomorrow || !e.Created.Equal(m.Moment) {
		t.Errorf("%+v, of %v", e, m.Moment)
	}
}

func TestABackupUnderAnotherIDIsDamage(t *testing.T) {
	root, r, m := taken(t)
	const other = "20200101T000000Z-0000"
	if err := os.Rename(filepath.Join(root, m.ID), filepath.Join(root, other)); err != nil {
		t.Fatal(err)
	}
	if _, err := catalog.Open(t.Context(), r, other); !errors.Is(err, model.ErrDamaged) || !strings.Contains(err.Error(), m.ID) {
		t.Error(err)
	}
}
