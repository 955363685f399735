package restore_test

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/restore"
	"github.com/stillpoint-db/stillpoint/storage"
)

// meddle changes a row of a table, as an application does that does not know
// that a restore is under way.
func (w *world) meddle(bt restore.BackupTable) {
	w.t.Helper()
	def := bt.Table
	key := model.RawValue(def.Columns()[0].Type, 1)
	must(w.t, w.targets[bt.Storage].Storage.Mutate(w.t.Context(), storage.Batch{Mutations: []storage.Mutation{{Table: def,
		Key: model.Key{Partition: []model.Value{key}}, Set: []storage.Assignment{{Column: "balance", Value: model.BigIntValue(5)}}}}}))
}

// TestARestoreThatCouldNotSayThatItHadFinishedIsNoneLater loses the journal's last
// entry. The same command at once has nothing to do; when somebody has written
// since, it is refused once, --replace or not, and after that another restore.
func TestARestoreThatCouldNotSayThatItHadFinishedIsNoneLater(t *testing.T) {
	w := newWorld(t, bank(t))
	w.opts.Workers = 1
	_, err := restore.Run(t.Context(), w.opts)
	must(t, err)
	last := w.trouble.calls

	w = newWorld(t, bank(t))
	w.opts.Workers = 1
	w.trouble.failAt = last
	if _, err := restore.Run(t.Context(), w.opts); !errors.Is(err, errTrouble) || w.marked("pg") || w.marked("my") {
		t.Fatalf("error is %v", err)
	}
	w.trouble.failAt = 0
	journal := w.opts.Journal.(*journals)
	kept := maps.Clone(journal.m)
	rep, err := restore.Run(t.Context(), w.opts)
	must(t, err)
	if !rep.Resumed {
		t.Error("at once: it began anew")
	}
	w.whole()

	journal.m = kept
	w.meddle(w.opts.Backup.Tables()[0])
	w.opts.Replace = true
	if _, err := restore.Run(t.Context(), w.opts); !errors.Is(err, model.ErrRefused) || !strings.Contains(err.Error(), "has finished") {
		t.Errorf("the command that failed, once more: error is %v", err)
	}
	w.opts.Replace = false
	if _, err := restore.Run(t.Context(), w.opts); !errors.Is(err, model.ErrRefused) || !strings.Contains(err.Error(), "refusing to restore over data") {
		t.Errorf("over data that was written since: error is %v", err)
	}
	w.opts.Replace = true
	rep, err = restore.Run(t.Context(), w.opts)
	must(t, err)
	if rep.Resumed {
		t.Error("with --replace: it did nothing")
	}
	w.whole()
}

// TestTablesThatWereWrittenToMeanwhileAreLoadedAgain writes to two loaded tables
// and drops a third after a restore was interrupted: the run that notices it fails, and the
// next one mends all of them.
func TestTablesThatWereWrittenToMeanwhileAreLoadedAgain(t *testing.T) {
	for _, at := range []restore.Kind{restore.LoadCoordinator, restore.Check} {
		w := newWorld(t, bank(t))
		w.opts.Workers = 1
		tables := w.opts.Backup.Tables()
		w.opts.Progress = func(e restore.Event) {
			if e.Step.Kind == at && !e.Done && e.Rows == 0 {
				w.trouble.mu.Lock()
				w.trouble.failAt = w.trouble.calls + 1
				w.trouble.mu.Unlock()
			}
		}
		if _, err := restore.Run(t.Context(), w.opts); !errors.Is(err, errTrouble) {
			t.Fatalf("interrupted: error is %v", err)
		}
		w.opts.Progress, w.trouble.failAt = nil, 0
		w.meddle(tables[0])
		w.meddle(tables[1])
		must(t, w.targets["my"].Storage.Admin().DropTable(t.Context(), tables[2].Table.Name()))
		_, err := restore.Run(t.Context(), w.opts)
		if err == nil || errors.Is(err, model.ErrInconsistent) || !w.marked("pg") {
			t.Errorf("written to: error is %v", err)
		}
		for _, bt := range tables[:3] {
			if err != nil && !strings.Contains(err.Error(), bt.Table.Name().String()) {
				t.Errorf("the error does not name %s: %v", bt.Table.Name(), err)
			}
		}
		names, lerr := w.targets["pg"].Storage.Admin().Tables(t.Context(), "coordinator")
		must(t, lerr)
		if len(names) != 0 {
			t.Error("the Coordinator's table is there while tables have to be loaded again")
		}
		rep, err := restore.Run(t.Context(), w.opts)
		must(t, err)
		if !rep.Resumed {
			t.Error("the last run began anew")
		}
		w.whole()
	}
}
