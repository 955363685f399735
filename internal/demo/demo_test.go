package demo_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stillpoint-db/stillpoint/internal/demo"
	"github.com/stillpoint-db/stillpoint/model"
	_ "github.com/stillpoint-db/stillpoint/storage/sqlite"
)

// lines are what the demo tells, in this order.
var lines = []string{
	`^two SQLite databases: bank.db \(30 accounts\), vault.db \(30 accounts\), 60,000 in all$`,
	`^8 goroutines move money between them \.+ [0-9,]+ transfers/s$`,
	`^backing up while they run \.+ [0-9.]+ ms, (nothing|[0-9]+) refused, writers held for [0-9.]+ ms at most$`,
	`^  the same moment copied naively, for comparison \.+ `,
	`^deleting both databases \.+ gone$`,
	`^restoring \.+ 60 accounts, [0-9,]+ history rows, [0-9,]+ in doubt settled$`,
	`^checking \.+ 60,000 of 60,000; every account equals its history$`,
	`^Everything is in .*\. Next: docs/getting-started.md$`,
}

func TestTheDemoTellsTheWholeStoryAndCanBeRunAgain(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "demo")
	for range 2 {
		var out bytes.Buffer
		rep, err := demo.Run(t.Context(), &out, demo.Options{Folder: folder, Warm: 300 * time.Millisecond})
		if err != nil {
			t.Fatalf("%v\n%s", err, &out)
		}
		got := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
		if len(got) != len(lines) {
			t.Fatalf("%d lines; want %d:\n%s", len(got), len(lines), &out)
		}
		for i, pattern := range lines {
			if !regexp.MustCompile(pattern).MatchString(got[i]) {
				t.Errorf("%q is not %s", got[i], pattern)
			}
		}
		if !rep.Restored.OK() || rep.Restored.Total != 60_000 || rep.Restored.Accounts != 60 || rep.Backup == "" {
			t.Errorf("%+v", rep)
		}
		for _, name := range []string{"demo.properties", "bank.db", "vault.db", "backups/" + rep.Backup + "/manifest.json"} {
			if _, err := os.Stat(filepath.Join(folder, name)); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestTheDemoTouchesNoFolderOfOthers(t *testing.T) {
	folder := t.TempDir()
	precious := filepath.Join(folder, "bank.db")
	if err := os.WriteFile(precious, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := demo.Run(t.Context(), &bytes.Buffer{}, demo.Options{Folder: folder})
	if !errors.Is(err, model.ErrRefused) {
		t.Errorf("got %v", err)
	}
	if data, err := os.ReadFile(precious); err != nil || string(data) != "x" {
		t.Errorf("%q, %v", data, err)
	}
}
