package restore_test

import (
	"database/sql"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/restore"
	"github.com/stillpoint-db/stillpoint/storage"
)

// TestTablesThatAreNotWhatTheMetadataSaysAreMadeAnew restores over tables that
// somebody changed behind the metadata's back: before the plan is made, and
// between two runs.
func TestTablesThatAreNotWhatTheMetadataSaysAreMadeAnew(t *testing.T) {
	for _, change := range []string{"DROP TABLE `vault$log`", "ALTER TABLE `vault$log` DROP COLUMN `text`", "ALTER TABLE `vault$log` RENAME COLUMN `text` TO `words`"} {
		for _, when := range []string{"before", "meanwhile"} {
			t.Run(when+": "+change, func(t *testing.T) {
				w := newWorld(t, bank(t))
				w.opts.Workers = 1
				file := filepath.Join(t.TempDir(), "my.db")
				my := open(t, storage.Config{Name: "my", Driver: "sqlite", URL: "jdbc:sqlite:" + file})
				defer func() { must(t, my.Close()) }()
				w.opts.Target.Storages[1] = my
				log := w.opts.Backup.Tables()[2].Table
				makeTable(t, my, log)
				w.opts.Replace = true
				if when == "before" {
					behind(t, file, change)
					w.opts.Replace = false
					lost := strings.HasPrefix(change, "DROP TABLE") // and nothing is in the way
					if _, err := restore.Run(t.Context(), w.opts); !lost && !errors.Is(err, model.ErrRefused) || !lost && !strings.Contains(err.Error(), "--replace drops it and makes it anew. Nothing was changed") || lost && err != nil {
						t.Fatalf("without --replace: error is %v", err)
					}
					w.opts.Replace = true
				} else {
					w.opts.Progress = func(e restore.Event) {
						if e.Step.Kind == restore.LoadCoordinator && !e.Done && e.Rows == 0 {
							w.trouble.mu.Lock()
							w.trouble.failAt = w.trouble.calls + 1
							w.trouble.mu.Unlock()
						}
					}
					if _, err := restore.Run(t.Context(), w.opts); !errors.Is(err, errTrouble) {
						t.Fatalf("interrupted: error is %v", err)
					}
					w.opts.Progress, w.trouble.failAt = nil, 0
					behind(t, file, change)
					if _, err := restore.Run(t.Context(), w.opts); !errors.Is(err, model.ErrUnavailable) || !strings.Contains(err.Error(), "half restored") {
						t.Fatalf("changed: error is %v", err)
					}
				}
				_, err := restore.Run(t.Context(), w.opts)
				must(t, err)
				if got := rowsOf(t, my, log); len(got) != 1 || !strings.Contains(got[0], "as it is") {
					t.Errorf("vault.log holds %q", got)
				}
			})
		}
	}
}

// behind runs a statement that Stillpoint does not know of.
func behind(t *testing.T, file, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", file)
	must(t, err)
	_, err = db.ExecContext(t.Context(), statement)
	must(t, errors.Join(err, db.Close()))
}
