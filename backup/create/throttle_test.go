package create_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stillpoint-db/stillpoint/backup/create"
	"github.com/stillpoint-db/stillpoint/backup/internal/bank"
	"github.com/stillpoint-db/stillpoint/backup/repo"
)

// TestAThrottleHoldsForSmallTablesToo measures in the time of a bubble, which
// passes only while everybody waits.
func TestAThrottleHoldsForSmallTablesToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, seconds := range []int64{4, 40} {
			set := bank.New(t, bank.Memory, 2000, "one")
			free, err := create.Run(t.Context(), set, repo.InFolder(t.TempDir()), create.Options{Workers: 2})
			if err != nil {
				t.Fatal(err)
			}
			begun := time.Now()
			if _, err := create.Run(t.Context(), set, repo.InFolder(t.TempDir()), create.Options{Workers: 2, Throttle: free.Totals.Raw / seconds}); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(begun); took < time.Duration(seconds-1)*time.Second || took > time.Duration(seconds+2)*time.Second {
				t.Errorf("%d bytes at %d a second took %v", free.Totals.Raw, free.Totals.Raw/seconds, took)
			}
		}
	})
}
