package sqlite

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/sqlite/internal/capi"
)

func TestAFileThatMayNotBeWrittenIsAMatterOfRights(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bank.db")
	for _, trouble := range []*capi.Error{
		{Code: 8 | 6<<8, Msg: "attempt to write a readonly database"},
		{Code: 14, Msg: "unable to open database file"}, // on a file system that is mounted to be read
	} {
		if err := openError("db", path, trouble); !strings.Contains(err.Error(), "needs the right to write to the file and to the folder") {
			t.Error(err)
		}
	}
}

// TestTwoNamesOfOneFileAreRefused: SQLite would keep two journals of it, and
// destroy it.
func TestTwoNamesOfOneFileAreRefused(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	open := func(name string) (storage.Storage, error) {
		return storage.Open(t.Context(), storage.Config{Name: "lite", Driver: "sqlite", URL: "jdbc:sqlite:" + path(name)})
	}
	first, err := open("a.db")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Link(path("a.db"), path("hard.db")), os.Symlink("a.db", path("soft.db"))); err != nil {
		t.Fatal(err)
	}
	soft, err := open("soft.db")
	if err != nil {
		t.Fatalf("a symbolic link is not another name: %v", err)
	}
	if _, err := open("hard.db"); !errors.Is(err, model.ErrBadArgument) || !strings.Contains(err.Error(), "a.db") {
		t.Errorf("a hard link was opened: %v", err)
	}
	if err := errors.Join(first.Close(), soft.Close()); err != nil {
		t.Fatal(err)
	}
	hard, err := open("hard.db")
	if err != nil {
		t.Fatalf("nobody uses the other name any more: %v", err)
	}
	if err := hard.Close(); err != nil {
		t.Error(err)
	}
}
