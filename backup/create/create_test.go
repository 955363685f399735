package create_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stillpoint-db/stillpoint/backup/catalog"
	"github.com/stillpoint-db/stillpoint/backup/create"
	"github.com/stillpoint-db/stillpoint/backup/fence"
	"github.com/stillpoint-db/stillpoint/backup/internal/bank"
	"github.com/stillpoint-db/stillpoint/backup/manifest"
	"github.com/stillpoint-db/stillpoint/backup/plan"
	"github.com/stillpoint-db/stillpoint/backup/repo"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/memory"
	"github.com/stillpoint-db/stillpoint/storage/multi"
)

var openers = map[string]bank.Opener{"memory": bank.Memory, "SQLite": bank.SQLite}

// onEach runs a test on every engine.
func onEach(t *testing.T, f func(t *testing.T, open bank.Opener)) {
	for name, open := range openers {
		t.Run(name, func(t *testing.T) { f(t, open) })
	}
}

// must takes a backup and opens it.
func must(t *testing.T, set *multi.Set, r repo.Repository, opts create.Options) *catalog.Backup {
	t.Helper()
	opts.Plan.Scratch = t.TempDir()
	// A machine that is busy, or stands still for a moment, is not what tests are about.
	opts.Plan.ProofBudget, opts.Fence.Budget, opts.Fence.Hold = 5*time.Minute, 5*time.Minute, time.Minute
	m, err := create.Run(t.Context(), set, r, opts)
	if err != nil {
		t.Fatal(err)
	}
	b, err := catalog.Open(t.Context(), r, m.ID)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(m, b.Manifest); d != "" {
		t.Errorf("the manifest that was returned is not the one that was sealed: %s", d)
	}
	empty(t, opts.Plan.Scratch)
	return b
}

// empty fails the test if a folder holds anything.
func empty(t *testing.T, folder string) {
	t.Helper()
	left, err := os.ReadDir(folder)
	if err != nil || len(left) > 0 {
		t.Errorf("left in %s: %v %v", folder, left, err)
	}
}

// rows reads a table of a backup, in the order of its keys.
func rows(t *testing.T, b *catalog.Backup, name model.TableName) [][]model.Value {
	t.Helper()
	table := b.Manifest.Table(name)
	if table == nil {
		t.Fatalf("%s is not in the backup", name)
	}
	var all [][]model.Value
	var def *model.Table
	for row, err := range b.Rows(t.Context(), table) {
		if err != nil {
			t.Fatal(err)
		}
		all, def = append(all, row.Clone().Values), row.Table
	}
	if def != nil {
		bank.Sort(def, all)
	}
	if int64(len(all)) != table.Rows {
		t.Errorf("%d rows of %s, the manifest says %d", len(all), name, table.Rows)
	}
	return all
}

var sameValue = cmp.Comparer(func(a, b model.Value) bool { return a == b })

func TestEveryTableIsCopiedAsItIs(t *testing.T) {
	onEach(t, func(t *testing.T, open bank.Opener) {
		set := bank.New(t, open, 50, "one", "two")
		for _, s := range set.Storages() {
			every := bank.Every(s.Name())
			bank.Create(t, s, every)
			for _, row := range bank.Limits(every) {
				bank.PutRow(t, s, row)
			}
			bank.Create(t, s, bank.Plain(s.Name()))
		}
		b := must(t, set, repo.InFolder(t.TempDir()), create.Options{})
		for _, s := range set.Storages() {
			for _, table := range []*model.Table{bank.Accounts(s.Name()), bank.Every(s.Name()), bank.Plain(s.Name())} {
				if d := cmp.Diff(bank.All(t, s, table), rows(t, b, table.Name()), sameValue); d != "" {
					t.Errorf("%s: %s", table.Name(), d)
				}
				if def, err := b.Table(table.Name()); err != nil || !def.Equal(table) {
					t.Errorf("%s came back as %v, %v", table.Name(), def, err)
				}
			}
		}
		m := b.Manifest
		if m.Strategy != manifest.Fenced || m.Fence == nil || len(m.Fence.Spans) != 2 || m.Coordinator.Storage != "one" || m.Totals.Rows != 106 {
			t.Errorf("%+v", m)
		}
		if n := m.Table(bank.Plain("one").Name()); n.Kind != manifest.Plain || len(m.Findings) != 2 {
			t.Errorf("%+v; findings %v", n, m.Findings)
		}
	})
}

func TestOneDatabaseIsCopiedWithoutAFence(t *testing.T) {
	onEach(t, func(t *testing.T, open bank.Opener) {
		set := bank.New(t, open, 10, "one")
		m := must(t, set, repo.InFolder(t.TempDir()), create.Options{}).Manifest
		if m.Strategy != manifest.Snapshot || m.Fence != nil || m.Totals.Rows != 10 {
			t.Errorf("%+v", m)
		}
	})
}

func TestADatabaseWithoutTransactionsIsCopiedBesideTheFence(t *testing.T) {
	set := bank.New(t, bank.Memory, 5, "one", "two")
	three := memory.New("three")
	set = bank.Set(t, append(slices.Clone(set.Storages()), storage.Storage(three))...)
	bank.Create(t, three, bank.Plain("three"))
	m := must(t, set, repo.InFolder(t.TempDir()), create.Options{}).Manifest
	if m.Strategy != manifest.Fenced || len(m.Fence.Spans) != 2 || m.Table(bank.Plain("three").Name()) == nil {
		t.Errorf("%+v", m)
	}
	for i, s := range m.Storages {
		under := s.Opened.Before(m.Fence.Spans[0].Released)
		if under != (i != 1) { // in the order of their names: one, three, two
			t.Errorf("%s was opened at %v, the fence %+v", s.Name, s.Opened, m.Fence.Spans)
		}
	}
}

// watcher is told the progress, and calls back when the snapshots are open.
type watcher struct {
	mu       sync.Mutex
	calls    []string
	rows     int64
	planned  func()
	opened   func()
	copied   func()
	released *fence.Report
}

func (w *watcher) say(s string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = append(w.calls, s)
}

func (w *watcher) Planned(*plan.Plan) {
	w.say("planned")
	if w.planned != nil {
		w.planned()
	}
}
func (w *watcher) Opened(r *fence.Report) {
	w.say("opened")
	w.released = r
	if w.opened != nil {
		w.opened()
	}
}
func (w *watcher) Copying(string, int64) { w.say("copying") }
func (w *watcher) Copied(_ string, rows, _ int64) {
	w.mu.Lock()
	w.rows += rows
	w.mu.Unlock()
	if w.copied != nil {
		w.copied()
	}
}
func (w *watcher) Complete(string) { w.say("complete") }

func TestTheFenceIsReleasedBeforeTheFirstRowIsCopied(t *testing.T) {
	onEach(t, func(t *testing.T, open bank.Opener) {
		set := bank.New(t, open, 20, "one", "two")
		w := &watcher{}
		write := func() {
			for _, s := range set.Storages() {
				bank.Put(t, s, bank.Accounts(s.Name()), 7, 5) // would wait for ever under the fence
			}
		}
		w.opened = sync.OnceFunc(write)
		w.copied = sync.OnceFunc(write)
		b := must(t, set, repo.InFolder(t.TempDir()), create.Options{Progress: w})
		if d := cmp.Diff([]string{"planned", "opened", "copying", "copying", "complete", "complete"}, w.calls); d != "" {
			t.Error(d)
		}
		if w.rows != 40 || w.released == nil {
			t.Errorf("%d rows reported, fence %+v", w.rows, w.released)
		}
		for _, s := range set.Storages() {
			for _, r := range rows(t, b, bank.Accounts(s.Name()).Name()) {
				if r[1].Int64() != 1000 {
					t.Errorf("a write after the fence is in the backup: %v", r)
				}
			}
		}
	})
}

// chain writes n to the first database, then to the second, for every n, until
// stopped: at each moment the first holds as much as the second, or one more.
func chain(t *testing.T, set *multi.Set) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for id := range 4 {
		wg.Go(func() {
			for n := int64(1); ; n++ {
				for _, s := range set.Storages() {
					err := bank.Set1(ctx, s, bank.Accounts(s.Name()), int32(id), n)
					if ctx.Err() != nil {
						return
					}
					if err != nil && !errors.Is(err, model.ErrConflict) {
						t.Error("a writer was refused:", err)
						return
					}
					for err != nil { // the contract: nothing was applied, do it again
						if err = bank.Set1(ctx, s, bank.Accounts(s.Name()), int32(id), n); ctx.Err() != nil {
							return
						}
					}
				}
			}
		})
	}
	return func() { cancel(); wg.Wait() }
}

// torn counts the accounts whose two copies are not of one moment.
func torn(t *testing.T, b *catalog.Backup, first, second string) (n int) {
	a, z := rows(t, b, bank.Accounts(first).Name()), rows(t, b, bank.Accounts(second).Name())
	for i := range a {
		if d := a[i][1].Int64() - z[i][1].Int64(); d < 0 || d > 1 {
			n++
		}
	}
	return n
}

func TestBackupsUnderConstantWritesAreOfOneMoment(t *testing.T) {
	onEach(t, func(t *testing.T, open bank.Opener) {
		set := bank.New(t, open, 4, "one", "two")
		for _, s := range set.Storages() {
			for id := range 4 {
				bank.Put(t, s, bank.Accounts(s.Name()), int32(id), 0)
			}
		}
		stop := chain(t, set)
		defer stop()
		r := repo.InFolder(t.TempDir())
		for range 5 {
			b := must(t, set, r, create.Options{})
			if n := torn(t, b, "one", "two"); n > 0 {
				t.Errorf("%d of 4 accounts torn; fence %+v", n, b.Manifest.Fence)
			}
		}
	})
}

func TestARefusedBackupTouchesNothing(t *testing.T) {
	s := memory.New("one")
	set := bank.Set(t, s)
	bank.Create(t, s, bank.Accounts("one")) // and no Coordinator's table
	folder := t.TempDir() + "/repo"
	_, err := create.Run(t.Context(), set, repo.InFolder(folder), create.Options{})
	if !errors.Is(err, model.ErrRefused) || !strings.Contains(err.Error(), "coordinator.state") {
		t.Error(err)
	}
	if _, err := os.Stat(folder); !errors.Is(err, os.ErrNotExist) {
		t.Error("the repository was made:", err)
	}
}

func TestTheRestOfAKilledRunIsRemovedByTheNext(t *testing.T) {
	set := bank.New(t, bank.Memory, 3, "one")
	r := repo.InFolder(t.TempDir())
	l, err := r.Lock(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	const dead = "20200101T000000Z-dead"
	if _, err := r.Begin(t.Context(), dead); err != nil {
		t.Fatal(err)
	}
	if err := l.Release(); err != nil {
		t.Fatal(err)
	}
	scratch := t.TempDir()
	if err := os.Mkdir(scratch+"/stillpoint-"+dead, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := create.Run(t.Context(), set, r, create.Options{Plan: plan.Options{Scratch: scratch}}); err != nil {
		t.Fatal(err)
	}
	list, err := r.List(t.Context())
	if err != nil || len(list) != 1 || list[0].State != repo.Sealed {
		t.Error(list, err)
	}
	empty(t, scratch)
}

func TestARunBesideAnotherIsLockedOut(t *testing.T) {
	set := bank.New(t, bank.Memory, 3, "one")
	r := repo.InFolder(t.TempDir())
	l, err := r.Lock(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := create.Run(t.Context(), set, r, create.Options{}); !errors.Is(err, model.ErrLocked) {
		t.Error(err)
	}
	if err := l.Release(); err != nil {
		t.Fatal(err)
	}
}

func TestARedefinedTableVoidsTheBackup(t *testing.T) {
	onEach(t, func(t *testing.T, open bank.Opener) {
		set := bank.New(t, open, 3, "one", "two")
		s := set.Storages()[1]
		w := &watcher{opened: func() {
			if err := s.Admin().DropTable(t.Context(), bank.Accounts("two").Name()); err != nil {
				t.Error(err)
			}
		}}
		r := repo.InFolder(t.TempDir())
		_, err := create.Run(t.Context(), set, r, create.Options{Progress: w, Plan: plan.Options{Scratch: t.TempDir()}})
		if !errors.Is(err, model.ErrVoid) {
			t.Error(err)
		}
		if list, err := r.List(t.Context()); err != nil || len(list) != 0 {
			t.Error(list, err)
		}
	})
}

// TestATableMadeWhileTheBackupBeginsVoidsIt: a transaction that writes to it and to
// an old one would be half in the backup. A plain table, and one of a namespace that
// is left out, do no harm.
func TestATableMadeWhileTheBackupBeginsVoidsIt(t *testing.T) {
	onEach(t, func(t *testing.T, open bank.Opener) {
		for name, c := range map[string]struct {
			make *model.Table
			void bool
		}{
			"transactional": {bank.Every("two"), true},
			"plain":         {bank.Plain("two"), false},
			"left out":      {bank.Accounts("out"), false},
		} {
			t.Run(name, func(t *testing.T) { // databases of its own
				set := bank.New(t, open, 3, "one", "two")
				bank.Create(t, set.Route(model.TableName{Namespace: "out"}), bank.Plain("out"))
				w := &watcher{planned: func() { bank.Create(t, set.Route(c.make.Name()), c.make) }}
				r := repo.InFolder(t.TempDir())
				opts := create.Options{Progress: w, Plan: plan.Options{Scratch: t.TempDir(), Exclude: []string{"out.*"}}}
				_, err := create.Run(t.Context(), set, r, opts)
				if c.void != errors.Is(err, model.ErrVoid) || !c.void && err != nil {
					t.Error(err)
				}
				if list, err := r.List(t.Context()); err != nil || (len(list) == 0) != c.void {
					t.Error(list, err)
				}
			})
		}
	})
}

func TestACancelledRunLeavesNothing(t *testing.T) {
	onEach(t, func(t *testing.T, open bank.Opener) {
		set := bank.New(t, open, 200, "one", "two")
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		r := repo.InFolder(t.TempDir())
		scratch := t.TempDir()
		w := &watcher{opened: cancel}
		_, err := create.Run(ctx, set, r, create.Options{Progress: w, Plan: plan.Options{Scratch: scratch}})
		if err == nil {
			t.Fatal("sealed")
		}
		if list, err := r.List(t.Context()); err != nil || len(list) != 0 {
			t.Error(list, err)
		}
		empty(t, scratch)
		for _, s := range set.Storages() {
			bank.Put(t, s, bank.Accounts(s.Name()), 1, 1)
		}
	})
}

// breaking is a storage whose snapshots break when they are read.
type breaking struct {
	*memory.Storage
	err error
}

func (b breaking) PrepareSnapshot(ctx context.Context, opts storage.SnapshotOptions) (storage.Snapshot, error) {
	s, err := b.Storage.PrepareSnapshot(ctx, opts)
	return breakingSnapshot{s, b.err}, err
}

type breakingSnapshot struct {
	storage.Snapshot
	err error
}

func (b breakingSnapshot) Read(ctx context.Context, t *model.Table, p storage.Part, yield func(*model.Row) error) error {
	if err := b.Snapshot.Read(ctx, t, p, yield); err != nil {
		return err
	}
	return b.err
}

func TestADatabaseGoneInTheMiddleLeavesNoBackup(t *testing.T) {
	for name, c := range map[string]struct{ err, class error }{
		"gone":      {storage.UnavailableError("two", errors.New("connection reset")), model.ErrUnavailable},
		"rewritten": {model.Errorf(model.ErrInconsistent, "definition has changed"), model.ErrVoid},
	} {
		t.Run(name, func(t *testing.T) {
			two := memory.New("two")
			set := bank.New(t, func(t testing.TB, name string) storage.Storage {
				if name == "two" {
					return breaking{two, c.err}
				}
				return memory.New(name)
			}, 3, "one", "two")
			r := repo.InFolder(t.TempDir())
			_, err := create.Run(t.Context(), set, r, create.Options{})
			if !errors.Is(err, c.class) || !strings.Contains(err.Error(), "two") || !strings.Contains(err.Error(), "nothing is left") {
				t.Error(err)
			}
			if list, err := r.List(t.Context()); err != nil || len(list) != 0 {
				t.Error(list, err)
			}
			bank.Put(t, two, bank.Accounts("two"), 1, 1)
		})
	}
}

// fullRepository is a repository without room for a file.
type fullRepository struct{ repo.Repository }

func (f fullRepository) Begin(ctx context.Context, id string) (repo.Draft, error) {
	d, err := f.Repository.Begin(ctx, id)
	return fullDraft{d, f.Location()}, err
}

type fullDraft struct {
	repo.Draft
	location string
}

func (f fullDraft) Seal(context.Context, []byte) error {
	return &repo.NoSpaceError{Location: f.location, Err: errors.New("no space left on device")}
}

func TestAFullRepositoryIsNamedAndNothingIsSealed(t *testing.T) {
	set := bank.New(t, bank.Memory, 3, "one")
	r := repo.InFolder(t.TempDir())
	_, err := create.Run(t.Context(), set, fullRepository{r}, create.Options{})
	if !errors.Is(err, model.ErrUnavailable) || !strings.Contains(err.Error(), "no space left in "+r.Location()) || !strings.Contains(err.Error(), "Make room") {
		t.Error(err)
	}
	if list, err := r.List(t.Context()); err != nil || len(list) != 0 {
		t.Error(list, err)
	}
}

func TestExcludedTablesAreNotInTheBackup(t *testing.T) {
	set := bank.New(t, bank.Memory, 3, "one", "two")
	for _, s := range set.Storages() {
		bank.Create(t, s, bank.Plain(s.Name()))
	}
	m := must(t, set, repo.InFolder(t.TempDir()), create.Options{Plan: plan.Options{Exclude: []string{"one.log,two.*"}}}).Manifest
	if m.Table(bank.Plain("one").Name()) != nil || m.Strategy != manifest.Snapshot || !slices.Equal(m.Excluded, []string{"one.log", "two.accounts", "two.log"}) {
		t.Errorf("%+v", m)
	}
}

func TestTablesThatTheLastBackupHoldsAndThisOneWillNotAreWarnedOf(t *testing.T) {
	r := repo.InFolder(t.TempDir())
	if _, err := create.Run(t.Context(), bank.New(t, bank.Memory, 1, "one", "two"), r, create.Options{}); err != nil {
		t.Fatal(err)
	}
	for exclude, want := range map[string]int{"": 1, "two.*": 0} {
		set := bank.New(t, bank.Memory, 1, "one", "two")
		opts := plan.Options{Repository: r}
		if exclude != "" {
			opts.Exclude = []string{exclude}
		} else {
			for _, st := range set.Storages() {
				if st.Name() == "two" {
					if err := st.Admin().DropTable(t.Context(), bank.Accounts("two").Name()); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		p, err := plan.Make(t.Context(), set, opts)
		if err != nil {
			t.Fatal(err)
		}
		got := 0
		for _, f := range p.Findings {
			if f.Code == "tables-gone" {
				got++
				if !strings.Contains(f.Text, "two.accounts") || strings.Contains(f.Text, "one.") {
					t.Error(f.Text)
				}
			}
		}
		if got != want {
			t.Errorf("exclude %q: %d warnings", exclude, got)
		}
	}
}

// A database that is empty all of a sudden was lost: without a word of somebody there
// is no backup that leaves it out and counts as the latest.
func TestADatabaseThatTheLastBackupHoldsAndThatIsEmptyNowIsRefused(t *testing.T) {
	r := repo.InFolder(t.TempDir())
	if _, err := create.Run(t.Context(), bank.New(t, bank.Memory, 1, "one", "two"), r, create.Options{}); err != nil {
		t.Fatal(err)
	}
	set := bank.New(t, bank.Memory, 1, "one", "two")
	if err := set.Storages()[1].Admin().DropTable(t.Context(), bank.Accounts("two").Name()); err != nil {
		t.Fatal(err)
	}
	if _, err := create.Run(t.Context(), set, r, create.Options{}); !errors.Is(err, model.ErrRefused) || !strings.Contains(err.Error(), `storage "two" holds no table`) {
		t.Errorf("create: %v", err)
	}
	if _, err := create.Run(t.Context(), set, r, create.Options{Plan: plan.Options{AcceptLost: true}}); err != nil {
		t.Errorf("accepted: %v", err)
	}
	if _, err := create.Run(t.Context(), set, r, create.Options{}); err != nil {
		t.Errorf("after it was accepted once: %v", err)
	}
}

func TestLatestIsTheBackupThatWasBegunLast(t *testing.T) {
	set := bank.New(t, bank.Memory, 1, "one")
	r := repo.InFolder(t.TempDir())
	for range 4 { // within a second
		m := must(t, set, r, create.Options{}).Manifest
		if b, err := catalog.Open(t.Context(), r, catalog.Latest); err != nil || b.ID() != m.ID {
			t.Errorf("%s is not the latest: %v", m.ID, err)
		}
	}
}
