//go:build java && servers && failpoints && mutants

package drills

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/stillpoint-db/stillpoint/internal/mutant"
	"github.com/stillpoint-db/stillpoint/internal/testenv"
)

// TestBackupsWithoutTheFenceAreTorn is the second control of the oracles: the same
// program, load and servers, with nothing but the fence left out. The way to one
// server is a little longer, as ways are outside of a test.
func TestBackupsWithoutTheFenceAreTorn(t *testing.T) {
	w := allThree(t).open(t)
	ours := []*writer{startWriter(t, w, 4, nil), startWriter(t, w, 4, nil)}
	for _, x := range ours {
		x.committed(t, time.Time{}, 20)
	}
	server := testenv.Postgres(t)
	way := testenv.NewProxy(t, server.Addr())
	way.Delay(5 * time.Millisecond)
	far := *w
	far.properties = maps.Clone(w.properties)
	const url = "scalar.db.multi_storage.storages.pg.contact_points"
	far.properties[url] = strings.Replace(w.properties[url], server.Addr(), way.Addr(), 1)
	defer mutant.Set("fence.none")()
	torn, taken := 0, 0
	for torn < 2 && taken < 40 {
		folder := t.TempDir()
		m, err := attempt(t, &far, folder, within(patience), 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		taken++
		if judge(t, w, opened(t, folder, m.ID)) != nil {
			torn++
		}
	}
	t.Logf("%d of %d backups without a fence are torn", torn, taken)
	if torn < 2 {
		t.Error("nobody would notice that the fence is missing")
	}
	for _, x := range ours {
		wantClean(t, x.stop(t))
	}
	wantRight(t, w)
}
