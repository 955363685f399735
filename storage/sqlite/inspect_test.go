package sqlite

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

func codes(t testing.TB, s *Storage, opts storage.InspectOptions) (out []string) {
	t.Helper()
	in, err := s.Inspect(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range in.Findings {
		out = append(out, f.Code+" "+f.Severity.String()+" "+f.Subject)
	}
	return out
}

func TestInspectionFindsWhatStandsInTheWay(t *testing.T) {
	s := fresh(t)
	table := accounts(t, s)
	missing := model.TableName{Namespace: "bank", Name: "nothing"}
	opts := storage.InspectOptions{Tables: []model.TableName{table.Name(), missing}, Backup: true, Scratch: t.TempDir()}
	if got := codes(t, s, opts); !slices.Equal(got, []string{"missing-table blocker bank.nothing"}) {
		t.Errorf("%v", got)
	}
	opts.Backup, opts.Restore = false, true
	if got := codes(t, s, opts); len(got) != 0 {
		t.Errorf("a table that a restore will make is missing: %v", got)
	}
	if err := (executor{s}).Exec(t.Context(), `UPDATE "scalardb$metadata" SET data_type='DECIMAL' WHERE column_name='balance'`); err != nil {
		t.Fatal(err)
	}
	if got := codes(t, s, opts); !slices.Equal(got, []string{"damaged-metadata blocker bank.accounts"}) {
		t.Errorf("%v", got)
	}
	if _, err := s.Admin().Table(t.Context(), table.Name()); !errors.Is(err, model.ErrDamaged) {
		t.Errorf("%v", err)
	}
}

func TestAJournalModeThatSomebodyChangedIsFound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	s := open(t, path)
	accounts(t, s)
	if err := s.readers.close(); err != nil { // the mode changes only when nobody else is there
		t.Fatal(err)
	}
	s.readers = newPool(s.set)
	if rows, err := s.writer.c.Strings("PRAGMA journal_mode=DELETE"); err != nil || rows[0][0] != "delete" {
		t.Fatal(rows, err)
	}
	if got := codes(t, s, storage.InspectOptions{}); !slices.Equal(got, []string{"journal-mode blocker " + path}) {
		t.Errorf("%v", got)
	}
}

func TestASnapshotThatCannotBeStagedHoldsNothing(t *testing.T) {
	s := fresh(t)
	table := accounts(t, s)
	scratch := t.TempDir()
	opts := storage.SnapshotOptions{Tables: []model.TableName{table.Name()}, Scratch: scratch}
	snap, err := s.PrepareSnapshot(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	if err := snap.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(scratch); err != nil {
		t.Fatal(err)
	}
	if err := snap.Detach(t.Context()); !errors.Is(err, model.ErrUnavailable) {
		t.Errorf("%v", err)
	}
	mustMutate(t, s, put(table, account("a", 1), 1))
	if err := snap.Close(); err != nil {
		t.Error(err)
	}
	if rows, err := s.writer.c.Strings("PRAGMA wal_checkpoint(TRUNCATE)"); err != nil || rows[0][0] != "0" {
		t.Errorf("something still reads: %v %v", rows, err)
	}
	if _, err := s.PrepareSnapshot(t.Context(), opts); !errors.Is(err, model.ErrUnavailable) {
		t.Errorf("no scratch folder: %v", err)
	}
	opts.Tables = []model.TableName{{Namespace: "no", Name: "table"}}
	if _, err := s.PrepareSnapshot(t.Context(), opts); !errors.Is(err, model.ErrNotFound) {
		t.Errorf("no such table: %v", err)
	}
}

func TestClosingASnapshotLetsTheLogBeTruncatedAndRemovesTheStage(t *testing.T) {
	s := fresh(t)
	table := accounts(t, s)
	scratch := t.TempDir()
	snap, err := s.PrepareSnapshot(t.Context(), storage.SnapshotOptions{Tables: []model.TableName{table.Name()}, Scratch: scratch})
	if err == nil {
		err = snap.Open(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	mustMutate(t, s, put(table, account("a", 1), 1))
	if err := snap.Detach(t.Context()); err != nil {
		t.Fatal(err)
	}
	if rows, err := s.writer.c.Strings("PRAGMA wal_checkpoint(TRUNCATE)"); err != nil || rows[0][0] != "0" {
		t.Errorf("the log is still pinned after Detach: %v %v", rows, err)
	}
	if err := snap.Close(); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(scratch); err != nil || len(left) != 0 {
		t.Errorf("left in the scratch folder: %v %v", left, err)
	}
}

func TestATableRedefinedWhileASnapshotIsPreparedIsNoticed(t *testing.T) {
	s := fresh(t)
	table := accounts(t, s)
	snap, err := s.PrepareSnapshot(t.Context(), storage.SnapshotOptions{Tables: []model.TableName{table.Name()}, Scratch: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Admin().DropTable(t.Context(), table.Name()); err != nil {
		t.Fatal(err)
	}
	spec := table.Spec()
	spec.Columns = append(spec.Columns, model.Column{Name: "more", Type: model.Int})
	other, err := model.NewTable(spec)
	if err == nil {
		err = s.Admin().CreateTable(t.Context(), other)
	}
	if err == nil {
		err = snap.Open(t.Context())
	}
	if err == nil {
		err = snap.Detach(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := snap.Verify(t.Context()); !errors.Is(err, model.ErrInconsistent) {
		t.Errorf("%v", err)
	}
	if err := snap.Close(); err != nil {
		t.Error(err)
	}
}
