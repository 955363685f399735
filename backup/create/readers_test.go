package create_test

import (
	"context"
	"testing"

	"github.com/stillpoint-db/stillpoint/backup/create"
	"github.com/stillpoint-db/stillpoint/backup/internal/bank"
	"github.com/stillpoint-db/stillpoint/backup/repo"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/memory"
)

// frugal is a database of small tables, and notes how many sessions a snapshot
// of it was asked for.
type frugal struct {
	*memory.Storage
	readers int
}

// Inspect says that every table is small.
func (f *frugal) Inspect(ctx context.Context, opts storage.InspectOptions) (storage.Inspection, error) {
	in, err := f.Storage.Inspect(ctx, opts)
	for i := range in.Tables {
		in.Tables[i].Bytes = 1000
	}
	return in, err
}

// PrepareSnapshot notes the readers.
func (f *frugal) PrepareSnapshot(ctx context.Context, opts storage.SnapshotOptions) (storage.Snapshot, error) {
	f.readers = opts.Readers
	return f.Storage.PrepareSnapshot(ctx, opts)
}

// TestNoSessionIsOpenedThatHasNothingToRead: --workers 1000 must not take the
// last connection of a server for two small tables.
func TestNoSessionIsOpenedThatHasNothingToRead(t *testing.T) {
	for workers, want := range map[int]int{1: 1, 1000: 2} {
		f := &frugal{Storage: memory.New("one")}
		set := bank.New(t, func(testing.TB, string) storage.Storage { return f }, 10, "one")
		if _, err := create.Run(t.Context(), set, repo.InFolder(t.TempDir()), create.Options{Workers: workers}); err != nil {
			t.Fatal(err)
		}
		if f.readers != want {
			t.Errorf("with %d workers, a snapshot of two small tables was prepared for %d readers, not %d", workers, f.readers, want)
		}
	}
}
