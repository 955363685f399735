package stillpointtest_test

import (
	"testing"

	"github.com/stillpoint-db/stillpoint"
	"github.com/stillpoint-db/stillpoint/stillpointtest"
)

// TestOpenIsEmptyEachTime: a test may open several databases, and is run again
// in the same process by -count.
func TestOpenIsEmptyEachTime(t *testing.T) {
	for range 2 {
		db := stillpointtest.Open(t, stillpoint.Define[Counter]("app.counters"))
		counters := stillpoint.TableOf[Counter](db.DB, "app.counters")
		err := db.Transact(t.Context(), func(tx *stillpoint.Tx) error { return counters.Insert(tx, Counter{Name: "x"}) })
		if err != nil {
			t.Fatal(err)
		}
	}
}
