package explore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/stillpoint-db/stillpoint/internal/history"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/memory"
	"github.com/stillpoint-db/stillpoint/storage/multi"
	"github.com/stillpoint-db/stillpoint/txn"
	"github.com/stillpoint-db/stillpoint/txn/record"
	"github.com/stillpoint-db/stillpoint/txn/txntest"
)

// The databases are d0, d1, d2; each has one table. The Coordinator lives in d0.
const maxDatabases = 3

var (
	tableNames [maxDatabases]model.TableName
	physical   = map[model.TableName]*model.Table{}
	layouts    = map[model.TableName]*record.Layout{}
)

func init() {
	for i := range tableNames {
		name := model.TableName{Namespace: fmt.Sprintf("n%d", i), Name: "t"}
		tableNames[i] = name
		physical[name] = txntest.PhysicalTable(name)
		l, err := record.NewLayout(physical[name])
		if err != nil {
			panic("explore: " + err.Error())
		}
		layouts[name] = l
	}
	physical[coordinatorName] = record.CoordinatorTable("")
}

// Shape is the world of one schedule, drawn from its seed.
type Shape struct {
	Databases    int
	Managers     int
	Transactions int // of each manager
	Backups      int
	Recoveries   int // runs of RecoverAll beside the transactions
	Isolation    txn.Isolation
	Txn          txn.Options
	Memory       memory.Options
	Partitions   int
	Rows         int
	Budget       Budget
}

// draw makes a shape.
func draw(rng *rand.Rand) Shape {
	coin := func() bool { return rng.IntN(2) == 0 }
	sh := Shape{
		Databases:    [...]int{1, 2, 2, 2, 3, 3, 3}[rng.IntN(7)],
		Managers:     2 + rng.IntN(2),
		Transactions: 2 + rng.IntN(2),
		Backups:      1 + rng.IntN(2),
		Partitions:   1 + rng.IntN(2),
		Rows:         1 + rng.IntN(2),
		Budget:       Budget{Lost: rng.IntN(3), Refused: rng.IntN(2), Crashes: rng.IntN(2), Freezes: rng.IntN(2), Jumps: rng.IntN(3)},
	}
	if rng.IntN(3) == 0 {
		sh.Recoveries = 1 + rng.IntN(2)
	}
	if rng.IntN(8) == 0 { // a larger one
		sh.Managers, sh.Transactions, sh.Backups = 4, 5, 3
		sh.Budget = Budget{Lost: 6, Refused: 3, Crashes: 2, Freezes: 3, Jumps: 4}
	}
	sh.Isolation = [...]txn.Isolation{txn.Serializable, txn.Serializable, txn.Serializable, txn.Snapshot, txn.Snapshot, txn.ReadCommitted}[rng.IntN(6)]
	sh.Txn = txn.Defaults()
	sh.Txn.Isolation = sh.Isolation
	sh.Txn.OnePhaseCommit = rng.IntN(4) > 0
	sh.Txn.AsyncCommit = coin()
	if rng.IntN(4) == 0 {
		sh.Txn.Schedule = txn.Textbook
	}
	if sh.Isolation == txn.Serializable && rng.IntN(4) == 0 {
		sh.Txn.PageSize = 1 // below that a scan of several pages may find something else the next time
	}
	sh.Memory = memory.Options{NoCopyColumns: coin(), NoLockedChecks: rng.IntN(4) == 0, NoBatchedReads: coin(), FenceLimit: 10 * time.Second}
	if rng.IntN(6) == 0 {
		sh.Memory.Unit = memory.Partition
	}
	return sh
}

// world is one schedule under way.
type world struct {
	shape  Shape
	sched  *scheduler
	oracle *oracle
	load   txntest.Workload
	dbs    []*memory.Database
	copies []*copied
	spread func(time.Duration) time.Duration // of the backup's pauses

	mu     sync.Mutex
	voided int
	seen   Sightings
	errs   []error
}

// Sightings count what happened, so that a test can tell that it did.
type Sightings map[string]int

// Add adds the counts of another.
func (s Sightings) Add(o Sightings) {
	for k, n := range o {
		s[k] += n
	}
}

func (w *world) saw(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen[what]++
}

// tablesOf lists the tables of database i.
func (w *world) tablesOf(i int) []model.TableName {
	if i == 0 {
		return []model.TableName{coordinatorName, tableNames[0]}
	}
	return []model.TableName{tableNames[i]}
}

// Result is what one schedule has shown.
type Result struct {
	Steps    int
	Commits  int
	Backups  int // right ones; those that were refused do not count
	Refused  int // backups that gave up and said so
	Seen     Sightings
	Problems []string
}

// Run runs the schedule of a seed. It must be called inside a bubble of
// testing/synctest. trace, if not nil, is told of every step.
func Run(ctx context.Context, seed uint64, trace func(line string)) (res Result) {
	rng := rand.New(rand.NewPCG(seed, 0xb0bb1e))
	w := &world{shape: draw(rng), oracle: newOracle(), seen: Sightings{}}
	w.sched = newScheduler(rng, w.shape.Budget, trace)
	w.sched.saw = w.saw
	w.shape.Txn.Hooks.Done = func(e txn.Event) {
		if e.Err == nil {
			w.saw("committed " + e.Path)
		}
	}
	w.load = txntest.Workload{Tables: tableNames[:w.shape.Databases], Partitions: w.shape.Partitions, Rows: w.shape.Rows, MaxOps: 3,
		Isolation: w.shape.Isolation, History: new(history.Recorder)}
	problem := func(format string, args ...any) { res.Problems = append(res.Problems, fmt.Sprintf(format, args...)) }
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := w.setUp(ctx, rng); err != nil {
		problem("set up: %v", err)
		return res
	}
	for i := range w.shape.Managers {
		w.startManager(ctx, i, rng.Uint64())
	}
	w.startBackup(ctx, rng)
	w.startRecovery(ctx, rng)
	if err := w.sched.run(); err != nil {
		problem("%v", err)
		return res
	}
	time.Sleep(16 * time.Second) // beyond every lease
	for _, err := range w.errs {
		problem("%v", err)
	}
	w.judge(ctx, problem)
	res.Steps, res.Commits, res.Backups, res.Refused = w.sched.now(), w.oracle.count(), len(w.copies), w.voided
	res.Seen = w.seen
	if trace != nil && len(res.Problems) > 0 {
		trace(fmt.Sprintf("history:\n%s", w.load.History.History()))
	}
	return res
}

// setUp makes the databases, with the Coordinator's table, one table each and
// some imported rows.
func (w *world) setUp(ctx context.Context, rng *rand.Rand) error {
	var handles []*memory.Storage
	for i := range w.shape.Databases {
		db := memory.NewDatabase()
		handles = append(handles, db.Open(fmt.Sprintf("d%d", i), memory.Options{}))
		a := handles[i].Admin()
		for _, name := range w.tablesOf(i) {
			if err := a.CreateNamespace(ctx, name.Namespace); err != nil {
				return err
			}
			if err := a.CreateTable(ctx, physical[name]); err != nil {
				return err
			}
		}
		w.dbs = append(w.dbs, db)
	}
	s, err := router(handles)
	if err != nil {
		return err
	}
	writes, err := w.load.Import(ctx, s, rng, imported)
	w.oracle.begin(imported, writes)
	return err
}

// imported names the transaction that stands for the rows that none has written.
const imported = "imported"

// gates connects a process to all databases.
func (w *world) gates(p *process) []*gate {
	var gs []*gate
	for i, db := range w.dbs {
		gs = append(gs, connect(w.sched, p, fmt.Sprintf("d%d", i), db, w.shape.Memory, w.oracle.applied))
	}
	return gs
}

// router joins storages of all databases to one.
func router[S storage.Storage](of []S) (*multi.Set, error) {
	var all []storage.Storage
	spaces := map[string]string{coordinatorName.Namespace: of[0].Name()}
	for i, s := range of {
		all = append(all, s)
		spaces[tableNames[i].Namespace] = s.Name()
	}
	return multi.New(all, multi.Routing{Default: of[0].Name(), Namespaces: spaces})
}

// startManager starts a process that runs transactions one after the other.
func (w *world) startManager(ctx context.Context, i int, seed uint64) {
	p := w.sched.process(ctx, fmt.Sprintf("m%d", i))
	rng := rand.New(rand.NewPCG(seed, uint64(i)))
	w.sched.work(func() {
		m, err := w.manager(p)
		if err != nil {
			w.fail(err)
			return
		}
		for j := range w.shape.Transactions {
			id := fmt.Sprintf("%s-%d", p.name, j)
			_, err := w.load.Run(withTx(p.ctx, id), m, rng, id, func(ws txntest.Writes) { w.oracle.plan(id, ws) })
			if err != nil && !expected(err) {
				w.fail(fmt.Errorf("transaction %s: %w", id, err))
			}
			if p.ctx.Err() != nil {
				break
			}
		}
		_ = m.Close(p.ctx) // fails if the process has crashed
	})
}

// expected tells an error that a transaction may meet from one that it may not.
func expected(err error) bool {
	for _, class := range []error{model.ErrConflict, model.ErrUnavailable, model.ErrUnknownOutcome, context.Canceled} {
		if errors.Is(err, class) {
			return true
		}
	}
	return false
}

func (w *world) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.errs = append(w.errs, err)
}

// startBackup starts a process that takes backups at random moments.
func (w *world) startBackup(ctx context.Context, rng *rand.Rand) {
	p := w.sched.process(ctx, "backup")
	p.perfect, p.mortal = true, rng.IntN(4) == 0
	pauses := rand.New(rand.NewPCG(rng.Uint64(), 3))
	w.spread = func(n time.Duration) time.Duration { return time.Duration(pauses.Int64N(int64(n))) }
	delays := make([]int, w.shape.Backups)
	for i := range delays {
		delays[i] = rng.IntN(60)
	}
	w.sched.work(func() {
		gates := w.gates(p)
		for _, d := range delays {
			w.sched.freeze(p, d)
			w.sched.wait(ctx, p, stopStep, "begins")
			c, err := w.backup(p.ctx, gates)
			switch {
			case p.ctx.Err() != nil:
				return
			case err == nil:
				w.copies = append(w.copies, c) // read when all programs have ended
			case errors.Is(err, model.ErrVoid), errors.Is(err, model.ErrConflict), errors.Is(err, model.ErrUnavailable):
				w.voided++
			default:
				w.fail(fmt.Errorf("backup: %w", err))
			}
		}
	})
}

// startRecovery starts a process that settles all records in doubt at random
// moments, some of them without regard for leases.
func (w *world) startRecovery(ctx context.Context, rng *rand.Rand) {
	if w.shape.Recoveries == 0 {
		return
	}
	p := w.sched.process(ctx, "recovery")
	rng = rand.New(rand.NewPCG(rng.Uint64(), 2))
	w.sched.work(func() {
		m, err := w.manager(p)
		if err != nil {
			w.fail(err)
			return
		}
		for range w.shape.Recoveries {
			w.sched.freeze(p, rng.IntN(80))
			w.sched.wait(ctx, p, stopStep, "begins")
			rep, err := m.RecoverAll(p.ctx, txn.RecoverOptions{IgnoreLease: rng.IntN(2) == 0})
			if err != nil && !expected(err) {
				w.fail(fmt.Errorf("recovery: %w", err))
			}
			if rep.RolledForward > 0 {
				w.saw("recovery rolled forward")
			}
			if rep.Aborted > 0 {
				w.saw("recovery aborted a transaction")
			}
		}
		_ = m.Close(p.ctx) // fails if the process has crashed
	})
}

// manager opens a process's manager over all databases.
func (w *world) manager(p *process) (*txn.Manager, error) {
	s, err := router(w.gates(p))
	if err != nil {
		return nil, err
	}
	return txn.Open(p.ctx, s, w.shape.Txn)
}

// judge compares what is there with what should be.
func (w *world) judge(ctx context.Context, problem func(string, ...any)) {
	handles := make([]*memory.Storage, len(w.dbs))
	for i, db := range w.dbs {
		handles[i] = db.Open(fmt.Sprintf("d%d", i), w.shape.Memory)
	}
	w.judgeCopies(ctx, handles[0], problem)
	s, err := router(handles)
	if err != nil {
		problem("%v", err)
		return
	}
	m, err := txn.Open(ctx, s, txn.Options{Isolation: txn.Serializable})
	if err != nil {
		problem("%v", err)
		return
	}
	if err := w.load.Final(ctx, m, "final"); err != nil {
		problem("%v", err)
	}
	w.judgeStates(ctx, m, problem)
	if err := m.Close(ctx); err != nil {
		problem("%v", err)
	}
	w.judgeLive(problem)
}

// judgeCopies restores every copy and compares it with the state of its cut.
func (w *world) judgeCopies(ctx context.Context, coordinator *memory.Storage, problem func(string, ...any)) {
	if len(w.copies) == 0 {
		return
	}
	page, err := coordinator.Scan(ctx, storage.Scan{Table: physical[coordinatorName], Kind: storage.ScanTable})
	if err != nil {
		problem("%v", err)
		return
	}
	for i, c := range w.copies {
		if c.first != c.last {
			problem("backup %d: %d commit points under the fence", i, c.last-c.first)
		}
		got, err := restore(ctx, c, page.Rows)
		if err != nil {
			problem("restore of backup %d: %v", i, err)
			continue
		}
		if d := got.differs(w.oracle.replay(c.first)); d != "" {
			how := torn
			if w.isAnyCut(got, c) {
				how = late
			}
			problem("%s: backup %d restored: %s", how, i, d)
		}
	}
}

// How a restored copy can be wrong.
const (
	torn = "TORN" // it is the state of no moment while it was taken
	late = "LATE" // it is the state of a moment after the fence was taken
)

// isAnyCut tells whether a restored state is that of a later moment at which the
// copy was being taken. Then it is a right cut, though not the one meant.
func (w *world) isAnyCut(got state, c *copied) bool {
	for n := c.first + 1; n <= c.last; n++ {
		if got.differs(w.oracle.replay(n)) == "" {
			return true
		}
	}
	return false
}

// judgeStates asks the Coordinator about the transactions whose clients do not
// know.
func (w *world) judgeStates(ctx context.Context, m *txn.Manager, problem func(string, ...any)) {
	for _, t := range w.load.History.History() {
		if t.Outcome != history.Unknown {
			continue
		}
		w.saw("unknown outcome")
		d, err := m.State(ctx, t.Name)
		switch committed := w.oracle.committed(t.Name); {
		case err != nil:
			problem("state of %s: %v", t.Name, err)
		case d.State == record.Committed && !committed, d.State == record.Aborted && committed:
			problem("the Coordinator says %s of %s; its commit point was applied: %v", d.State, t.Name, committed)
		}
	}
}

// judgeLive compares the databases in the end, and what the clients were told,
// with the commit points.
func (w *world) judgeLive(problem func(string, ...any)) {
	h := w.load.History.History()
	final := state{}
	for _, t := range h {
		switch {
		case t.Final:
			for _, o := range t.Ops {
				if len(o.List) > 0 {
					final[o.Key] = history.Join(o.List) + " | " + o.List[0]
				}
			}
		case t.Outcome == history.Committed && !w.oracle.committed(t.Name) && w.oracle.changes(t.Name):
			problem("%s was reported committed and had no commit point", t.Name)
		case t.Outcome == history.Aborted && w.oracle.committed(t.Name):
			problem("%s was reported aborted after its commit point", t.Name)
		}
	}
	if d := final.differs(w.oracle.replay(w.oracle.count())); d != "" {
		problem("the databases are not what the commit points make: %s", d)
	}
	for _, a := range history.Check(h, txntest.LevelOf(w.shape.Isolation)) {
		problem("history: %s", a)
	}
}
