package plan_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stillpoint-db/stillpoint/backup/internal/bank"
	"github.com/stillpoint-db/stillpoint/backup/manifest"
	"github.com/stillpoint-db/stillpoint/backup/plan"
	"github.com/stillpoint-db/stillpoint/backup/repo"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/memory"
	"github.com/stillpoint-db/stillpoint/storage/multi"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

func plainly(t *testing.T, set *multi.Set, opts plan.Options) *plan.Plan {
	t.Helper()
	p, err := plan.Make(t.Context(), set, opts)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// finds fails the test unless the plan has a finding of the code and severity.
func finds(t *testing.T, p *plan.Plan, severity storage.Severity, code string) plan.Finding {
	t.Helper()
	for _, f := range p.Findings {
		if f.Code == code && f.Severity == severity {
			return f
		}
	}
	t.Errorf("no %s %q among %+v", severity, code, p.Findings)
	return plan.Finding{}
}

func wants(t *testing.T, p *plan.Plan, s manifest.Strategy, mechanisms ...plan.Mechanism) {
	t.Helper()
	if p.Strategy != s {
		t.Errorf("strategy %q (%s), not %q", p.Strategy, p.Why, s)
	}
	for i, d := range p.Databases {
		if d.Mechanism != mechanisms[i] {
			t.Errorf("%s: %q, not %q", d.Name, d.Mechanism, mechanisms[i])
		}
	}
}

func accepted(t *testing.T, p *plan.Plan) {
	t.Helper()
	if err := p.Refusal(); err != nil {
		t.Error(err)
	}
}

func refused(t *testing.T, p *plan.Plan, says ...string) {
	t.Helper()
	err := p.Refusal()
	if !errors.Is(err, model.ErrRefused) {
		t.Fatalf("not refused: %v", err)
	}
	for _, s := range says {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("%v does not say %q", err, s)
		}
	}
}

// less is a database with fewer powers.
type less struct {
	*memory.Storage
	noFence, noSnapshot bool
	prove, inspect      error
	bytes               int64
	scratch             *string
	findings            []storage.Finding
	identity, instance  string
	proofs              *int
}

func (l less) Capabilities(n model.TableName) storage.Capabilities {
	c := l.Storage.Capabilities(n)
	c.Fences, c.Snapshots = c.Fences && !l.noFence, c.Snapshots && !l.noSnapshot
	return c
}

func (l less) ProveFence(ctx context.Context, opts storage.FenceOptions) error {
	if l.proofs != nil {
		*l.proofs++
	}
	if l.prove != nil {
		return l.prove
	}
	return l.Storage.ProveFence(ctx, opts)
}

func (l less) Inspect(ctx context.Context, opts storage.InspectOptions) (storage.Inspection, error) {
	in, err := l.Storage.Inspect(ctx, opts)
	if l.bytes > 0 {
		in.Bytes = l.bytes
	}
	if l.scratch != nil {
		*l.scratch = opts.Scratch
	}
	if l.identity != "" {
		in.Identity, in.Instance = l.identity, l.instance
	}
	in.Findings = append(in.Findings, l.findings...)
	return in, errors.Join(err, l.inspect)
}

// with opens databases of which the one named is limited.
func with(name string, limit less) bank.Opener {
	return func(_ testing.TB, n string) storage.Storage {
		if n != name {
			return memory.New(n)
		}
		l := limit
		l.Storage = memory.New(n)
		return l
	}
}

func TestOneTransactionalDatabaseIsOneSnapshot(t *testing.T) {
	proofs := 0
	p := plainly(t, bank.New(t, with("one", less{noFence: true, proofs: &proofs}), 1, "one"), plan.Options{})
	accepted(t, p)
	wants(t, p, manifest.Snapshot, plan.Alone)
	if p.Coordinator.Storage != "one" || proofs != 0 {
		t.Errorf("%+v; a lock that is not needed was tried %d times", p.Coordinator, proofs)
	}
}

func TestSeveralDatabasesAreFencedByLocksThatWereSeenToHold(t *testing.T) {
	proofs := 0
	p := plainly(t, bank.New(t, with("two", less{proofs: &proofs}), 1, "one", "two"), plan.Options{})
	accepted(t, p)
	wants(t, p, manifest.Fenced, plan.UnderFence, plan.UnderFence)
	if proofs != 1 {
		t.Errorf("%d proofs", proofs)
	}
	if names := p.Databases[0].CommitPoints(); len(names) != 2 || names[0].String() != "coordinator.state" || names[1].String() != "one.accounts" {
		t.Error(names)
	}
}

func TestTheCoordinatorInADatabaseOfItsOwnNeedsTheFence(t *testing.T) {
	one, two := memory.New("one"), memory.New("two")
	set := bank.Set(t, one, two)
	bank.Create(t, one, record.CoordinatorTable(""))
	bank.Create(t, two, bank.Accounts("two"))
	p := plainly(t, set, plan.Options{})
	accepted(t, p)
	wants(t, p, manifest.Fenced, plan.UnderFence, plan.UnderFence)
}

func TestADatabaseWithoutTransactionsIsCopiedByItself(t *testing.T) {
	one, two := memory.New("one"), less{Storage: memory.New("two"), noFence: true}
	set := bank.Set(t, one, two)
	bank.Create(t, one, record.CoordinatorTable(""))
	bank.Create(t, one, bank.Accounts("one"))
	bank.Create(t, two, bank.Plain("two"))
	p := plainly(t, set, plan.Options{})
	accepted(t, p)
	wants(t, p, manifest.Snapshot, plan.Alone, plan.Independent)
	if f := finds(t, p, storage.Warning, "not-transactional"); f.Storage != "two" || f.Subject != "two.log" || !strings.Contains(f.Fix, "--exclude two.log") {
		t.Errorf("%+v", f)
	}
}

func TestWithoutTransactionsEachDatabaseIsCopiedByItself(t *testing.T) {
	one, two := memory.New("one"), memory.New("two")
	set := bank.Set(t, one, two)
	bank.Create(t, one, bank.Plain("one"))
	bank.Create(t, two, bank.Plain("two"))
	p := plainly(t, set, plan.Options{})
	accepted(t, p)
	wants(t, p, manifest.Each, plan.Independent, plan.Independent)
	if p.Coordinator.Storage != "" {
		t.Errorf("%+v", p.Coordinator)
	}
}

func TestADatabaseThatCannotLockAmongSeveralIsRefused(t *testing.T) {
	p := plainly(t, bank.New(t, with("two", less{noFence: true}), 1, "one", "two"), plan.Options{})
	refused(t, p, "two: memory has no lock")
	finds(t, p, storage.Blocker, "no-fence")
}

func TestALockThatDoesNotHoldOrAReplicaIsRefusedWithTheReason(t *testing.T) {
	reason := model.Errorf(model.ErrRefused, "it is in recovery: a replica, not the primary")
	p := plainly(t, bank.New(t, with("two", less{prove: reason}), 1, "one", "two"), plan.Options{})
	refused(t, p, "two: it is in recovery")
	finds(t, p, storage.Blocker, "fence-unproven")
}

func TestALockThatIsNeverGrantedIsRefusedNamingTheHolder(t *testing.T) {
	busy := &storage.FenceBusyError{Storage: "two", Holders: []storage.Session{{ID: "42", User: "batch"}}}
	p := plainly(t, bank.New(t, with("two", less{prove: busy}), 1, "one", "two"), plan.Options{ProofBudget: time.Millisecond})
	refused(t, p, "session 42 of batch")
	finds(t, p, storage.Blocker, "fence-busy")
}

func TestADatabaseWithoutSnapshotsIsRefused(t *testing.T) {
	p := plainly(t, bank.New(t, with("one", less{noSnapshot: true}), 1, "one"), plan.Options{})
	refused(t, p)
	finds(t, p, storage.Blocker, "no-snapshot")
}

func TestWhatTheDatabaseFindsIsShownAndBlockersRefuse(t *testing.T) {
	blocker := storage.Finding{Code: "missing-right", Severity: storage.Blocker, Subject: "one.accounts", Text: "no right", Fix: "GRANT it"}
	warning := storage.Finding{Code: "commits-forgotten", Severity: storage.Warning, Subject: "synchronous_commit", Text: "it is off"}
	p := plainly(t, bank.New(t, with("one", less{findings: []storage.Finding{warning, blocker}}), 1, "one"), plan.Options{})
	refused(t, p, "one: one.accounts: no right (GRANT it)")
	finds(t, p, storage.Warning, "commits-forgotten")
	if p.Findings[0].Code != "missing-right" {
		t.Error("the blocker is not the first finding")
	}
	p = plainly(t, bank.New(t, with("one", less{findings: []storage.Finding{warning}}), 1, "one"), plan.Options{})
	accepted(t, p)
}

func TestEveryReasonIsListed(t *testing.T) {
	gone := storage.UnavailableError("two", errors.New("connection refused"))
	p := plainly(t, bank.New(t, with("two", less{inspect: gone}), 1, "one", "two"), plan.Options{Exclude: []string{"one.nothing"}})
	refused(t, p, "connection refused", "one.nothing names no table")
	finds(t, p, storage.Blocker, "unreachable")
	finds(t, p, storage.Blocker, "exclude-unknown")
}

func TestAClosedDatabaseIsUnreachable(t *testing.T) {
	set := bank.New(t, bank.Memory, 1, "one", "two")
	if err := set.Storages()[1].Close(); err != nil {
		t.Fatal(err)
	}
	refused(t, plainly(t, set, plan.Options{}), "two")
}

func TestTwoNamesOfOneDatabaseAreOne(t *testing.T) {
	db := memory.NewDatabase()
	a, b := db.Open("a", memory.Options{}), db.Open("b", memory.Options{})
	set := bank.Set(t, a, b)
	bank.Create(t, a, record.CoordinatorTable(""))
	bank.Create(t, a, bank.Accounts("a"))
	bank.Create(t, b, bank.Accounts("b"))
	p := plainly(t, set, plan.Options{})
	accepted(t, p)
	wants(t, p, manifest.Snapshot, plan.Alone)
	if len(p.Databases) != 1 || len(p.Databases[0].Tables) != 3 || p.Database("b") != p.Databases[0] {
		t.Errorf("%+v", p.Databases)
	}
	for _, f := range p.Findings {
		if f.Code == "not-routed" {
			t.Errorf("%+v", f)
		}
	}
	finds(t, p, storage.Info, "same-database")
}

// TestACopyOfADatabaseIsNotThatDatabase has two servers of which one was made of a
// copy of the other: their identifiers are the same, their data is not any more.
func TestACopyOfADatabaseIsNotThatDatabase(t *testing.T) {
	for instance, databases := range map[string]int{"started then": 1, "started later": 2} {
		a := less{Storage: memory.New("a"), identity: "cluster/7", instance: "started then"}
		b := less{Storage: memory.New("b"), identity: "cluster/7", instance: instance}
		set := bank.Set(t, a, b)
		bank.Create(t, a, record.CoordinatorTable(""))
		bank.Create(t, a, bank.Accounts("a"))
		bank.Create(t, a, bank.Accounts("b")) // what it had when it was copied
		bank.Create(t, b, bank.Accounts("b"))
		p := plainly(t, set, plan.Options{})
		if len(p.Databases) != databases {
			t.Errorf("%s: %d databases", instance, len(p.Databases))
		}
	}
}

func TestATableThatNobodyReadsThereIsLeftOutWithAWarning(t *testing.T) {
	set := bank.New(t, bank.Memory, 1, "one", "two")
	bank.Create(t, set.Storages()[1], bank.Plain("one"))
	p := plainly(t, set, plan.Options{})
	accepted(t, p)
	if f := finds(t, p, storage.Warning, "not-routed"); f.Storage != "two" || f.Subject != "one.log" {
		t.Errorf("%+v", f)
	}
	if n := len(p.Databases[1].Tables); n != 1 {
		t.Errorf("%d tables", n)
	}
}

func TestTheCoordinatorsTableMustBeThere(t *testing.T) {
	s := memory.New("one")
	set := bank.Set(t, s)
	bank.Create(t, s, bank.Accounts("one"))
	refused(t, plainly(t, set, plan.Options{}), "coordinator.state is not there", "schema create --coordinator")

	bank.Create(t, s, record.CoordinatorTable(""))
	accepted(t, plainly(t, set, plan.Options{}))
	refused(t, plainly(t, set, plan.Options{CoordinatorNamespace: "elsewhere"}), "elsewhere.state is not there")
	p := plainly(t, set, plan.Options{Exclude: []string{"coordinator.state"}})
	refused(t, p, "in doubt")
	finds(t, p, storage.Blocker, "coordinator-excluded")
}

func TestASecondCoordinatorsTableIsRefusedUnlessItIsLeftOut(t *testing.T) {
	s := memory.New("one")
	set := bank.Set(t, s)
	bank.Create(t, s, bank.Accounts("one"))
	bank.Create(t, s, record.CoordinatorTable(""))
	bank.Create(t, s, record.CoordinatorTable("elsewhere"))
	for namespace, other := range map[string]string{"": "elsewhere", "elsewhere": "coordinator"} {
		p := plainly(t, set, plan.Options{CoordinatorNamespace: namespace})
		refused(t, p, other+".state is a Coordinator's table too", "coordinator.namespace="+other, "--exclude "+other+".state")
		finds(t, p, storage.Blocker, "second-coordinator")
		accepted(t, plainly(t, set, plan.Options{CoordinatorNamespace: namespace, Exclude: []string{other + ".state"}}))
	}
}

func TestATableThatIsNoCoordinatorsIsRefused(t *testing.T) {
	s := memory.New("one")
	set := bank.Set(t, s)
	bank.Create(t, s, bank.Accounts("one"))
	bad, err := model.NewTable(model.TableSpec{Name: record.CoordinatorName(""), PartitionKey: []string{"id"}, Columns: []model.Column{{Name: "id", Type: model.Int}}})
	if err != nil {
		t.Fatal(err)
	}
	bank.Create(t, s, bad)
	p := plainly(t, set, plan.Options{})
	refused(t, p)
	finds(t, p, storage.Blocker, "coordinator-unusable")
}

func TestTransactionColumnsKeptApartAreRefused(t *testing.T) {
	set := bank.New(t, bank.Memory, 1, "one")
	apart, err := model.NewTable(model.TableSpec{Name: model.TableName{Namespace: "one", Name: "orders_tx_metadata"}, PartitionKey: []string{"id"},
		Columns: []model.Column{{Name: "id", Type: model.Int}, {Name: record.TxID, Type: model.Text}, {Name: record.TxState, Type: model.Int}}})
	if err != nil {
		t.Fatal(err)
	}
	bank.Create(t, set.Storages()[0], apart)
	refused(t, plainly(t, set, plan.Options{}), "one.orders keeps its transaction columns apart")
	accepted(t, plainly(t, set, plan.Options{Exclude: []string{"one.orders_tx_metadata"}}))
}

func TestNothingToBackUpIsRefused(t *testing.T) {
	p := plainly(t, bank.Set(t, memory.New("one")), plan.Options{})
	refused(t, p, "there is no table to back up")
}

func TestAStorageWithoutAnyTableIsWarnedOf(t *testing.T) {
	one := bank.New(t, bank.Memory, 1, "one").Storages()[0]
	p := plainly(t, bank.Set(t, one, bank.Memory(t, "two")), plan.Options{})
	accepted(t, p)
	finds(t, p, storage.Warning, "no-tables")
	for _, f := range p.Findings {
		if f.Code == "no-tables" && f.Subject != "two" {
			t.Errorf("warned of %q", f.Subject)
		}
	}
}

func TestAnExclusionThatIsNoTableNameIsABadArgument(t *testing.T) {
	if _, err := plan.Make(t.Context(), bank.Set(t, memory.New("one")), plan.Options{Exclude: []string{"accounts"}}); !errors.Is(err, model.ErrBadArgument) {
		t.Error(err)
	}
}

// tight is a repository with some room.
type tight struct {
	repo.Repository
	free int64
}

func (r tight) Free(context.Context) (int64, error) { return r.free, nil }

func TestRoomIsComparedWithWhatTheTablesHold(t *testing.T) {
	set := bank.New(t, with("one", less{bytes: 8_000_000}), 1, "one")
	folder := repo.InFolder(t.TempDir())
	p := plainly(t, set, plan.Options{Repository: tight{folder, 1_000_000}})
	refused(t, p, "8.0 MB", "1.0 MB left")
	finds(t, p, storage.Blocker, "no-space")
	p = plainly(t, set, plan.Options{Repository: tight{folder, 4_000_000}})
	accepted(t, p)
	finds(t, p, storage.Warning, "little-space")
	accepted(t, plainly(t, set, plan.Options{Repository: tight{folder, -1}}))
}

func TestTheDatabaseIsToldWhereItWouldStage(t *testing.T) {
	var asked string
	set := bank.New(t, with("one", less{scratch: &asked}), 1, "one")
	plainly(t, set, plan.Options{Scratch: "/some/where"})
	if asked != "/some/where" {
		t.Error(asked)
	}
}

func TestAFolderForStagedDataThatIsNotThereIsRefused(t *testing.T) {
	set := bank.New(t, bank.Memory, 1, "one")
	p := plainly(t, set, plan.Options{Scratch: filepath.Join(t.TempDir(), "none")})
	refused(t, p, "none", "no such file", "--scratch")
	finds(t, p, storage.Blocker, "scratch-unusable")
}

func TestAForeignRepositoryIsRefusedInThePlan(t *testing.T) {
	set := bank.New(t, bank.Memory, 1, "one")
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "holiday.jpg"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p := plainly(t, set, plan.Options{Repository: repo.InFolder(folder)})
	refused(t, p, "is not a backup repository")
	if n := strings.Count(p.Refusal().Error(), "Nothing was changed"); n != 1 {
		t.Errorf("says %d times that nothing was changed: %v", n, p.Refusal())
	}
	finds(t, p, storage.Blocker, "repository-unusable")
}
