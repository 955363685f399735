package memory_test

import (
	"fmt"
	"testing"

	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/memory"
	"github.com/stillpoint-db/stillpoint/storage/storagetest"
)

func TestConformance(t *testing.T) {
	for _, opts := range []memory.Options{
		{},
		{NoCopyColumns: true, NoLockedChecks: true, NoAtomicScan: true, NoBatchedReads: true, PageSize: 100},
	} {
		t.Run(fmt.Sprintf("copies=%v", !opts.NoCopyColumns), func(t *testing.T) {
			open := func(t testing.TB) storage.Storage {
				s := memory.NewDatabase().Open("main", opts)
				t.Cleanup(func() {
					if err := s.Close(); err != nil {
						t.Error(err)
					}
				})
				return s
			}
			storagetest.Run(t, open, storagetest.Options{Second: func(_ testing.TB, s storage.Storage) storage.Storage {
				return s.(*memory.Storage).Database().Open("second", opts)
			}})
		})
	}
}
