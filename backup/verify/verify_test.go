package verify_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stillpoint-db/stillpoint/backup/archive"
	"github.com/stillpoint-db/stillpoint/backup/catalog"
	"github.com/stillpoint-db/stillpoint/backup/create"
	"github.com/stillpoint-db/stillpoint/backup/internal/bank"
	"github.com/stillpoint-db/stillpoint/backup/manifest"
	"github.com/stillpoint-db/stillpoint/backup/repo"
	"github.com/stillpoint-db/stillpoint/backup/verify"
	"github.com/stillpoint-db/stillpoint/model"
)

// taken takes a backup of two databases and returns the folder that it is in.
func taken(t *testing.T) (r *repo.Folder, folder string, m *manifest.Manifest) {
	t.Helper()
	root := t.TempDir()
	r = repo.InFolder(root)
	m, err := create.Run(t.Context(), bank.New(t, bank.Memory, 100, "one", "two"), r, create.Options{Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	return r, filepath.Join(root, m.ID), m
}

func run(t *testing.T, r repo.Repository, opts verify.Options) *verify.Report {
	t.Helper()
	rep, err := verify.Run(t.Context(), r, catalog.Latest, opts)
	if err != nil {
		t.Fatal(err)
	}
	return rep
}

func TestASoundBackupIsRecordedAsVerified(t *testing.T) {
	r, _, m := taken(t)
	for _, depth := range []manifest.Depth{manifest.Files, manifest.Contents} {
		rep := run(t, r, verify.Options{Depth: depth})
		if rep.Err() != nil || rep.Files != 2 || rep.Size != m.Totals.Size || len(rep.Restorable) != 3 {
			t.Errorf("%+v", rep)
		}
		if want := map[manifest.Depth]int64{manifest.Files: 0, manifest.Contents: 200}[depth]; rep.Rows != want {
			t.Errorf("%d rows read, not %d", rep.Rows, want)
		}
		b, err := catalog.Open(t.Context(), r, m.ID)
		if err != nil {
			t.Fatal(err)
		}
		if v, err := b.Verified(t.Context()); err != nil || !v.Sound || v.Depth != depth {
			t.Errorf("%+v, %v", v, err)
		}
	}
}

const file = "two/two.accounts/0000"

func TestEachDamageIsNamedWithWhatIsStillRestorable(t *testing.T) {
	for name, c := range map[string]struct {
		harm func(path string) error
		says string
		lost bool
	}{
		"flipped bit": {func(p string) error { return change(p, func(b []byte) []byte { b[len(b)-60] ^= 4; return b }) },
			file + " (bytes 0-", true},
		"truncated": {func(p string) error { return change(p, func(b []byte) []byte { return b[:len(b)-100] }) }, file + " (all of its data): the file ends too early", true},
		"cut to nothing": {func(p string) error { return change(p, func([]byte) []byte { return nil }) },
			file + " (all of its data): it is shorter", true},
		"missing": {os.Remove, file + ": the file is missing", true},
		"foreign content": {func(p string) error {
			return change(p, func([]byte) []byte { return bytes.Repeat([]byte("holiday"), 1000) })
		},
			file + " (all of its data): it does not begin as an archive does", true},
		"newer": {func(p string) error { return change(p, func(b []byte) []byte { b[8]++; return b }) },
			file + ": archive format 2 is not known", true},
		"of another table": {func(p string) error {
			return change(p, func([]byte) []byte { return rewritten(t, bank.Accounts("other"), 1) })
		}, "it holds rows of another table (other.accounts)", true},
		"fewer rows": {func(p string) error {
			return change(p, func([]byte) []byte { return rewritten(t, bank.Accounts("two"), 1) })
		},
			file + ": it holds 1 rows, not 100", true},
		"appended": {func(p string) error { return change(p, func(b []byte) []byte { return append(b, 'x') }) }, "something follows its end", true},
		"foreign file": {func(p string) error { return os.WriteFile(filepath.Join(filepath.Dir(p), "holiday.jpg"), nil, 0o600) },
			"two/two.accounts/holiday.jpg: the file does not belong to the backup", false},
	} {
		t.Run(name, func(t *testing.T) {
			r, folder, m := taken(t)
			if err := c.harm(filepath.Join(folder, "data", file)); err != nil {
				t.Fatal(err)
			}
			rep := run(t, r, verify.Options{})
			err := rep.Err()
			if !errors.Is(err, model.ErrDamaged) || !strings.Contains(err.Error(), "backup "+m.ID+" is damaged: ") || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v does not say %q", err, c.says)
			}
			if c.lost && !(slices.Equal(rep.Lost, []string{"two.accounts"}) && strings.Contains(err.Error(), "Still restorable: everything but two.accounts")) {
				t.Errorf("lost %v: %v", rep.Lost, err)
			}
			if !c.lost && !(len(rep.Lost) == 0 && strings.Contains(err.Error(), "Still restorable: everything;")) {
				t.Errorf("lost %v: %v", rep.Lost, err)
			}
			b, err := catalog.Open(t.Context(), r, m.ID)
			if err != nil {
				t.Fatal(err)
			}
			if v, err := b.Verified(t.Context()); err != nil || v.Sound || len(v.Problems) == 0 {
				t.Errorf("recorded as %+v, %v", v, err)
			}
			if rep := run(t, r, verify.Options{Depth: manifest.Files}); rep.Err() == nil {
				t.Error("the sizes and checksums of the files show nothing")
			}
		})
	}
}

// TestAMissingFileIsReportedHoweverOftenItsTableIsRead has fewer keys held in
// memory than the table has, for which it is read again.
func TestAMissingFileIsReportedHoweverOftenItsTableIsRead(t *testing.T) {
	r, folder, _ := taken(t)
	if err := os.Remove(filepath.Join(folder, "data", file)); err != nil {
		t.Fatal(err)
	}
	rep := run(t, r, verify.Options{Keys: 10})
	if err := rep.Err(); !errors.Is(err, model.ErrDamaged) || !slices.Equal(rep.Lost, []string{"two.accounts"}) {
		t.Errorf("%v; lost %v", err, rep.Lost)
	}
}

func change(path string, f func([]byte) []byte) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return os.WriteFile(path, f(b), 0o600)
}

// rewritten is a whole file of a table whose rows have the keys 0, 1, …, and
// again 0 for each further one.
func rewritten(t *testing.T, table *model.Table, rows int, again ...int) []byte {
	var b bytes.Buffer
	w, err := archive.NewWriter(&b, table, archive.Options{})
	if err != nil {
		t.Fatal(err)
	}
	put := func(id int) {
		row := &model.Row{Table: table}
		for _, c := range table.Columns() {
			row.Values = append(row.Values, model.Null(c.Type))
		}
		row.Values[0] = model.IntValue(int32(id))
		if err := w.Write(row); err != nil {
			t.Fatal(err)
		}
	}
	for i := range rows {
		put(i)
	}
	for _, id := range again {
		put(id)
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestEveryProblemIsReportedAndTheLastCompleteBackupNamed(t *testing.T) {
	set := bank.New(t, bank.Memory, 100, "one", "two")
	root := t.TempDir()
	r := repo.InFolder(root)
	var ids []string
	for len(ids) < 2 {
		m, err := create.Run(t.Context(), set, r, create.Options{Workers: 1})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, m.ID)
	}
	for _, f := range []string{"one/one.accounts/0000", "two/two.accounts/0000"} {
		if err := os.Remove(filepath.Join(root, ids[1], "data", f)); err != nil {
			t.Fatal(err)
		}
	}
	rep := run(t, r, verify.Options{})
	if len(rep.Problems) != 2 || len(rep.Lost) != 2 || rep.LastComplete != ids[0] || !strings.Contains(rep.Err().Error(), "last complete backup before it: "+ids[0]) {
		t.Errorf("%+v; %v", rep, rep.Err())
	}
}

func TestADamagedManifestLosesAll(t *testing.T) {
	r, folder, _ := taken(t)
	if err := change(filepath.Join(folder, "manifest.json"), func(b []byte) []byte { b[10] ^= 1; return b }); err != nil {
		t.Fatal(err)
	}
	rep := run(t, r, verify.Options{})
	if err := rep.Err(); !errors.Is(err, model.ErrDamaged) || !strings.Contains(err.Error(), "Still restorable: nothing") {
		t.Error(err)
	}
}

// sealed seals a backup of one table with one file.
func sealed(t *testing.T, data []byte, rows int64) repo.Repository {
	t.Helper()
	r := repo.InFolder(t.TempDir())
	l, err := r.Lock(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Release()
	d, err := r.Begin(t.Context(), repo.NewID(time.Now()))
	if err != nil {
		t.Fatal(err)
	}
	w, err := d.Create(t.Context(), "one/one.accounts/0000")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	def := archive.Define(bank.Accounts("one"))
	m := &manifest.Manifest{ID: d.ID(), Tables: []manifest.Table{{Storage: "one", Kind: manifest.Transactional, Definition: def, Hash: def.Hash(),
		Files: []manifest.File{{Name: "one/one.accounts/0000", Rows: rows, Size: int64(len(data)), SHA256: hex.EncodeToString(sum[:])}}}}}
	m.Sum()
	b, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Seal(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAKeyThatIsThereTwiceIsReported(t *testing.T) {
	data := rewritten(t, bank.Accounts("one"), 1000, 7, 7, 500)
	for _, keys := range []int64{0, 100} { // in one pass, and in several
		rep := run(t, sealed(t, data, 1003), verify.Options{Keys: keys})
		var where []string
		for _, p := range rep.Problems {
			where = append(where, p.Where)
		}
		if !slices.Equal(where, []string{"row (500)", "row (7)"}) {
			t.Errorf("with %d keys in memory: %v", keys, rep.Err())
		}
	}
	if rep := run(t, sealed(t, rewritten(t, bank.Accounts("one"), 1000), 1000), verify.Options{Keys: 100}); rep.Err() != nil {
		t.Error(rep.Err())
	}
}

func TestTheTrialRestoreIsPartOfTheDeepestVerification(t *testing.T) {
	r, _, m := taken(t)
	var tried string
	ok := func(_ context.Context, b *catalog.Backup) error { tried = b.ID(); return nil }
	if rep := run(t, r, verify.Options{Depth: manifest.Trial, Trial: ok}); rep.Err() != nil || tried != m.ID {
		t.Error(rep.Err(), tried)
	}
	torn := func(context.Context, *catalog.Backup) error {
		return model.Errorf(model.ErrInconsistent, "one row is torn")
	}
	if rep := run(t, r, verify.Options{Depth: manifest.Trial, Trial: torn}); len(rep.Problems) != 0 || rep.Inconsistent != "one row is torn" ||
		!errors.Is(rep.Err(), model.ErrInconsistent) || errors.Is(rep.Err(), model.ErrDamaged) {
		t.Errorf("a faithful backup of inconsistent data: %+v", rep)
	}
	b, err := catalog.Open(t.Context(), r, m.ID)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := b.Verified(t.Context()); err != nil || !v.Sound || v.Inconsistent != "one row is torn" {
		t.Errorf("noted: %+v, %v", v, err)
	}
	lost := func(context.Context, *catalog.Backup) error {
		return model.Errorf(model.ErrDamaged, "a block is gone")
	}
	if rep := run(t, r, verify.Options{Depth: manifest.Trial, Trial: lost}); len(rep.Problems) != 1 || rep.Problems[0].ID != "trial-restore" || !errors.Is(rep.Err(), model.ErrDamaged) {
		t.Errorf("%+v", rep)
	}
	broken := func(context.Context, *catalog.Backup) error {
		return model.Errorf(model.ErrUnavailable, "no room for scratch")
	}
	if _, err := verify.Run(t.Context(), r, m.ID, verify.Options{Depth: manifest.Trial, Trial: broken}); !errors.Is(err, model.ErrUnavailable) {
		t.Error(err)
	}
	if _, err := verify.Run(t.Context(), r, m.ID, verify.Options{Depth: manifest.Trial}); !errors.Is(err, model.ErrBadArgument) {
		t.Error(err)
	}
}

func TestABackupThatIsNotThereCannotBeVerified(t *testing.T) {
	r, _, _ := taken(t)
	if _, err := verify.Run(t.Context(), r, "20200101T000000Z-0000", verify.Options{}); !errors.Is(err, model.ErrNotFound) {
		t.Error(err)
	}
	if _, err := verify.Run(t.Context(), repo.InFolder(t.TempDir()), catalog.Latest, verify.Options{}); !errors.Is(err, model.ErrNotFound) {
		t.Error(err)
	}
}

// readOnly is a repository whose backups cannot be written to.
type readOnly struct{ repo.Repository }

func (r readOnly) Open(ctx context.Context, id string) (repo.Backup, error) {
	b, err := r.Repository.Open(ctx, id)
	return readOnlyBackup{b}, err
}

type readOnlyBackup struct{ repo.Backup }

func (readOnlyBackup) PutNote(context.Context, string, []byte) error {
	return model.Errorf(model.ErrUnavailable, "read-only file system")
}

func TestABackupThatCannotBeWrittenToIsVerifiedAllTheSame(t *testing.T) {
	r, _, _ := taken(t)
	rep := run(t, readOnly{r}, verify.Options{})
	if rep.Err() != nil || rep.Unrecorded != "read-only file system" || rep.Rows == 0 {
		t.Errorf("%+v", rep)
	}
}
