package restore_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/stillpoint-db/stillpoint/backup/repo"
	"github.com/stillpoint-db/stillpoint/restore"
)

// noted is a backup with the notes that a restore has left.
type noted struct {
	repo.Backup
	m map[string][]byte
}

func (n noted) Notes(context.Context) (names []string, err error) {
	for name := range n.m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, nil
}

func (n noted) Note(_ context.Context, name string) ([]byte, error) { return n.m[name], nil }

func TestRestoresThatAreNotFinishedAreFoundBesideTheirBackup(t *testing.T) {
	seen := map[bool]int{}
	for n := 1; ; n++ {
		w := newWorld(t, bank(t))
		w.opts.Workers = 1
		w.trouble.failAt = n
		_, err := restore.Run(t.Context(), w.opts)
		left := noted{m: w.opts.Journal.(*journals).m}
		left.m["verified"] = []byte("{}")
		found, ferr := restore.Unfinished(t.Context(), left)
		must(t, ferr)
		if err == nil {
			if len(found) != 0 {
				t.Errorf("finished, and %q is found", found)
			}
			break
		}
		if !errors.Is(err, errTrouble) {
			t.Fatal(err)
		}
		half := strings.Contains(err.Error(), "are half restored") || strings.Contains(err.Error(), "remove the marks")
		seen[half]++
		if half && len(found) != 1 {
			t.Errorf("call %d: %q is found after: %v", n, found, err)
		}
		if len(found) == 1 && !strings.Contains(found[0], `"pg"`) {
			t.Errorf("found is %q", found[0])
		}
	}
	if seen[true] < 10 || seen[false] < 3 {
		t.Errorf("seen: %v", seen)
	}
	if found, err := restore.Unfinished(t.Context(), noted{m: map[string][]byte{"restore-1": []byte("x")}}); err != nil || len(found) != 1 {
		t.Errorf("of a journal that cannot be read: %q, %v", found, err)
	}
}
