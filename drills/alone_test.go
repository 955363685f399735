//go:build java && servers && failpoints

package drills

import (
	"testing"
	"time"
)

// TestEachEngineAloneUnderFullLoad backs one database up while Go and Java write to
// it, without any pause, loses it and restores it in the same place.
func TestEachEngineAloneUnderFullLoad(t *testing.T) {
	for _, engine := range []struct {
		name        string
		place       func(*testing.T) place
		javaThreads int // SQLite: more stall each other behind its driver's busy handler
	}{{"SQLite", sqlitePlace, 1}, {"PostgreSQL", postgresPlace, 4}, {"MariaDB", mariadbPlace, 4}} {
		t.Run(engine.name, func(t *testing.T) {
			w := alone(t, engine.place(t)).open(t)
			folder := t.TempDir()
			java := startJava(t, w, engine.javaThreads)
			ours := startWriter(t, w, 4, nil)
			ours.committed(t, time.Time{}, 50)

			m := backup(t, w, folder)
			if m.Fence != nil {
				t.Errorf("one database needs no fence: %+v", m.Fence)
			}
			last := backup(t, w, folder)
			ours.committed(t, time.Now(), 20)
			r := ours.stop(t)
			java.stop(t)
			wantClean(t, r)
			live := wantRight(t, w)

			for _, m := range []string{m.ID, last.ID} {
				wantWhole(t, w, folder, m)
			}
			all, onePhase := decisions(t, w, folder, last.ID)
			t.Logf("%d transactions in the last backup, %d of them committed by one write", all, onePhase)
			if onePhase == 0 {
				t.Error("no commit was a one-phase one")
			}
			w.wipe(t)
			restore(t, w, folder, last.ID)
			back := wantRight(t, w)
			must(t, nil, "check", "--config", w.config)
			t.Logf("live at the end: %s; restored: %s", live, back)
			if back.History >= live.History || back.History == 0 {
				t.Errorf("%d entries are back of %d that there were later", back.History, live.History)
			}
			wantRestored(t, w, folder, m.ID)
		})
	}
}
