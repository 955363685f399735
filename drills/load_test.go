//go:build java && servers && failpoints

package drills

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stillpoint-db/stillpoint"
	"github.com/stillpoint-db/stillpoint/backup/create"
	"github.com/stillpoint-db/stillpoint/backup/fence"
	"github.com/stillpoint-db/stillpoint/backup/manifest"
	"github.com/stillpoint-db/stillpoint/backup/plan"
	"github.com/stillpoint-db/stillpoint/backup/repo"
	"github.com/stillpoint-db/stillpoint/config"
	"github.com/stillpoint-db/stillpoint/internal/workload"
	"github.com/stillpoint-db/stillpoint/model"
)

// attempt takes a backup in this process, where the time to wait for busy locks
// can be short or long, and where the drill is told how it goes on.
func attempt(t *testing.T, w *world, folder string, how fence.Options, throttle int64, tell *hooks) (m *manifest.Manifest, err error) {
	t.Helper()
	if tell == nil {
		tell = &hooks{}
	}
	cfg, err := config.FromMap(w.properties)
	if err != nil {
		t.Fatal(err)
	}
	set, err := config.Open(t.Context(), cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { err = errors.Join(err, set.Close()) }()
	how.Hold = time.Minute // a machine that stands still for a moment is not what drills are about
	return create.Run(t.Context(), set, repo.InFolder(folder), create.Options{Throttle: throttle, Progress: tell, Version: "drill",
		Plan: plan.Options{OnePhase: cfg.Transaction.OnePhaseCommit, ProofBudget: how.Budget}, Fence: how})
}

// within is a fence that must be granted in some time.
func within(budget time.Duration) fence.Options { return fence.Options{Budget: budget} }

// hooks are called at the turns of a backup, each once; all may be nil.
type hooks struct {
	planned func() // locks have been proven, none is held
	copying func() // the first rows are read
	once    sync.Once
}

// Planned implements create.Progress.
func (h *hooks) Planned(*plan.Plan) {
	if h.planned != nil {
		h.planned()
	}
}

// Opened implements create.Progress.
func (h *hooks) Opened(*fence.Report) {}

// Copying implements create.Progress.
func (h *hooks) Copying(string, int64) {}

// Copied implements create.Progress.
func (h *hooks) Copied(string, int64, int64) {
	if h.copying != nil {
		h.once.Do(h.copying)
	}
}

// Complete implements create.Progress.
func (h *hooks) Complete(string) {}

// refused fails the test if a backup failed otherwise than by a refusal with a
// reason. It tells whether there is no backup.
func refused(t *testing.T, what string, err error) bool {
	t.Helper()
	switch {
	case err == nil:
		t.Logf("%s: right", what)
	case errors.Is(err, stillpoint.ErrRefused), errors.Is(err, stillpoint.ErrConflict), errors.Is(err, model.ErrVoid):
		t.Logf("%s: refused: %v", what, err)
	default:
		t.Errorf("%s: %v", what, err)
	}
	return err != nil
}

// everyBackup fails the test unless all backups of a repository are right, and the
// last one also when it is restored.
func everyBackup(t *testing.T, w *world, folder string) {
	t.Helper()
	ids, _ := sealed(t, folder)
	for _, id := range ids {
		wantWhole(t, w, folder, id)
	}
	if len(ids) == 0 {
		t.Error("there is no backup at all")
		return
	}
	t.Logf("%d backups are right; the last one, restored: %s", len(ids), wantRestored(t, w, folder, ids[len(ids)-1]))
}

// pad is a row that makes a backup long.
type pad struct {
	ID   int64  `stillpoint:"id,partition"`
	Text string `stillpoint:"text"`
}

// pads are in a table of each namespace, for a dump to take a while.
const (
	pads     = 400
	padTable = "pads"
)

// fill makes the pads, of about size bytes each.
func (w *world) fill(t *testing.T, size int) {
	t.Helper()
	text := make([]byte, size)
	for i := range text {
		text[i] = 'a' + byte(i%26)
	}
	w.use(t, func(db *stillpoint.DB, _ *workload.Bank) {
		for _, ns := range w.namespaces {
			name := ns + "." + padTable
			if err := db.CreateTables(t.Context(), stillpoint.Define[pad](name)); err != nil {
				t.Fatal(err)
			}
			table := stillpoint.TableOf[pad](db, name)
			for first := 0; first < pads; first += 50 {
				if err := db.Transact(t.Context(), func(tx *stillpoint.Tx) error {
					for i := range 50 {
						if err := table.Insert(tx, pad{int64(first + i), string(text)}); err != nil {
							return err
						}
					}
					return nil
				}); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

// eventually waits until a question is answered with yes.
func eventually(t *testing.T, what string, ask func(ctx context.Context) (bool, error)) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		ok, err := ask(t.Context())
		if err == nil && ok {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not happen: %v", what, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
