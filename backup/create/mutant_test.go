//go:build mutants

package create_test

import (
	"context"
	"testing"
	"time"

	"github.com/stillpoint-db/stillpoint/backup/create"
	"github.com/stillpoint-db/stillpoint/backup/internal/bank"
	"github.com/stillpoint-db/stillpoint/backup/repo"
	"github.com/stillpoint-db/stillpoint/internal/mutant"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/memory"
)

// slow is a database whose snapshot takes a while to be opened.
type slow struct{ *memory.Storage }

func (s slow) PrepareSnapshot(ctx context.Context, opts storage.SnapshotOptions) (storage.Snapshot, error) {
	snap, err := s.Storage.PrepareSnapshot(ctx, opts)
	return slowSnapshot{snap}, err
}

type slowSnapshot struct{ storage.Snapshot }

func (s slowSnapshot) Open(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(20 * time.Millisecond):
	}
	return s.Snapshot.Open(ctx)
}

// TestABackupWithoutAFenceIsTorn shows that the other tests would notice: with
// the fence broken in any of these ways, backups under constant writes are not
// of one moment.
func TestABackupWithoutAFenceIsTorn(t *testing.T) {
	for _, name := range []mutant.Name{"", "fence.none", "fence.coordinator-only"} {
		t.Run(string(name), func(t *testing.T) {
			defer mutant.Set(name)()
			set := bank.New(t, func(_ testing.TB, name string) storage.Storage { return slow{memory.New(name)} }, 4, "one", "two")
			for _, s := range set.Storages() {
				for id := range 4 {
					bank.Put(t, s, bank.Accounts(s.Name()), int32(id), 0)
				}
			}
			stop := chain(t, set)
			defer stop()
			bad := 0
			for range 5 {
				bad += torn(t, must(t, set, repo.InFolder(t.TempDir()), create.Options{}), "one", "two")
			}
			if (bad > 0) != (name != "") {
				t.Errorf("%d accounts torn", bad)
			}
		})
	}
}
