package restore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stillpoint-db/stillpoint/check"
	"github.com/stillpoint-db/stillpoint/internal/failpoint"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/restore/settle"
	"golang.org/x/sync/errgroup"
)

// Options say what to restore, where to, and how.
type Options struct {
	Backup  Backup
	Target  Target
	Journal Journal

	Replace           bool // data that is in the way may be dropped
	TerminateSessions bool // sessions of others may be ended
	// Approve is asked once, before anything is changed, with the plan to be
	// executed; its error ends the run. nil approves.
	Approve func(context.Context, *Plan) error

	Workers int    // tables that are read or loaded at once; 0 = 4
	Scratch string // folder for what a check cannot keep in memory; "" = the system's temporary folder
	// Progress, if not nil, is called now and then, from one goroutine at a
	// time.
	Progress func(Event)
	Logger   *slog.Logger // nil = silent
}

// Event is a sign of life.
type Event struct {
	Step    Step   `json:"step"`
	Done    bool   `json:"done"`
	Skipped bool   `json:"skipped,omitempty"` // done by an earlier run
	Rows    int64  `json:"rows,omitempty"`    // of the step, so far
	Note    string `json:"note,omitempty"`
}

const defaultWorkers = 4

// executor runs one plan.
type executor struct {
	opts      Options
	plan      *Plan
	places    map[string]powers // by the backup's storage name
	byName    map[string]powers // by the target's name
	tables    map[string]BackupTable
	journal   *journal
	resumed   bool
	decisions *settle.Decisions
	begun     time.Time
	marking   atomic.Bool // the first mark may be there

	mu sync.Mutex // serializes Progress
}

// Run restores: it makes a plan, asks for approval and executes it, or goes on
// with the plan of a run that did not finish. It may be killed at any point and
// run again.
//
// The classes of errors: model.ErrRefused if something forbids to begin (nothing
// was changed), model.ErrDamaged if the backup is not what was written (nothing
// was changed), model.ErrUnavailable for whatever fails after the first change,
// and model.ErrInconsistent, with a report, if the restore finished and the data
// breaks an invariant, as it did in the backup.
func Run(ctx context.Context, opts Options) (*Report, error) {
	if opts.Workers <= 0 {
		opts.Workers = defaultWorkers
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	x := &executor{opts: opts, begun: time.Now()}
	if err := x.prepare(ctx); err != nil {
		return nil, err
	}
	if err := x.execute(ctx); err != nil {
		return nil, x.explain(err)
	}
	rep, err := x.report()
	if err != nil {
		return nil, err
	}
	return rep, rep.Err()
}

// prepare finds the journal of a restore under way, or makes and saves a plan.
func (x *executor) prepare(ctx context.Context) error {
	p, err := newPlanner(ctx, x.opts)
	if err != nil {
		return err
	}
	x.places = p.places
	x.byName = p.byName()
	x.tables = map[string]BackupTable{}
	for _, bt := range x.opts.Backup.Tables() {
		x.tables[bt.Table.Name().String()] = bt
	}
	name := journalName(p.plan.Places)
	x.journal, err = underWay(ctx, x.opts, name, p)
	if unsaid, is := errors.AsType[*unsaidError](err); is {
		return unsaid.close(ctx)
	}
	if err != nil {
		return err
	}
	if x.journal != nil {
		x.plan, x.resumed = x.journal.Plan, true
		x.opts.Logger.Info("going on with a restore", "restore", x.plan.ID, "backup", x.plan.Backup, "steps_done", x.plan.Done)
		return nil
	}
	x.plan = p.plan
	if err := x.plan.Err(); err != nil {
		return err
	}
	if x.opts.Approve != nil {
		if err := x.opts.Approve(ctx, x.plan); err != nil {
			return err
		}
	}
	x.journal = &journal{Format: journalFormat, Plan: x.plan, Outcomes: map[string]*stepOutcome{}, store: x.opts.Journal, name: name}
	failpoint.Here("restore.approved")
	if err := x.journal.save(ctx); err != nil {
		return err
	}
	failpoint.Here("restore.journal-begun")
	return nil
}

// underWay returns the journal of a restore of this backup into these databases
// that has begun to change them and has not finished; nil if there is none. Its
// plan's Done is set.
func underWay(ctx context.Context, opts Options, name string, p *planner) (*journal, error) {
	j, err := loadJournal(ctx, opts.Journal, name)
	if j == nil || err != nil {
		return nil, err
	}
	targets := p.byName()
	if j.Plan.Backup != opts.Backup.ID() {
		return nil, &model.Error{Class: model.ErrRefused, Detail: fmt.Sprintf("the journal is that of a restore of backup %s, not %s", j.Plan.Backup, opts.Backup.ID()),
			Hint: "Finish that one first, or give another --journal. Nothing was changed"}
	}
	old := j.Plan.where()
	if !j.Plan.rename(p.plan.Places) {
		if j.marked() { // in a file that was given for two restores
			return nil, &model.Error{Class: model.ErrRefused, Detail: "the journal is that of a restore into other databases, which is not finished: " + old,
				Hint: "Give another --journal; finish the first restore if its databases still exist. Nothing was changed"}
		}
		return nil, nil
	}
	if err := j.Plan.fits(opts.Backup); err != nil {
		return nil, err
	}
	checked := false
	for _, s := range j.Plan.Steps {
		if s.Kind == Check && j.Outcomes[s.ID] != nil {
			checked = true // only the marks are left to remove, or are removed
		}
	}
	j.Plan.Done = 0
	some := false // of the marks are there
	for _, s := range j.Plan.Steps {
		if j.Outcomes[s.ID] != nil {
			j.Plan.Done++
		}
		if s.Kind != Mark {
			continue
		}
		if j.Outcomes[s.ID] == nil {
			return nil, nil // nothing was destroyed yet: begin anew, with a plan of today
		}
		marked, err := hasMark(ctx, targets[s.Storage], j.Plan.ID)
		if err != nil || !marked && !checked {
			return nil, err // not the databases that the journal knows
		}
		some = some || marked
	}
	if !some {
		// It finished, and could not say so. That is of use as long as nobody has
		// written since.
		same, err := j.unchanged(ctx, opts.Backup, p.places)
		if err != nil {
			return nil, err
		}
		if !same {
			return nil, &unsaidError{j}
		}
	}
	return j, nil
}

// unsaidError says that the restore of a journal has finished and could not say
// so, and that its databases were written to since.
type unsaidError struct{ journal *journal }

// Error implements error.
func (e *unsaidError) Error() string {
	return "the last run of this restore has finished, and the databases were written to since"
}

// close says in the journal what its run could not, and refuses: who repeats a
// command that failed at its last step does not mean to drop what was written since.
func (e *unsaidError) close(ctx context.Context) error {
	e.journal.Finished = true
	if err := e.journal.save(ctx); err != nil {
		return err
	}
	return &model.Error{Class: model.ErrRefused, Err: e, Hint: "No database was changed, and the journal is closed now. To restore once more, over what was written, run the same command again"}
}

// unchanged tells whether the tables still hold what was loaded into them.
func (j *journal) unchanged(ctx context.Context, b Backup, places map[string]powers) (bool, error) {
	loaded := map[string]*stepOutcome{}
	for _, s := range j.Plan.Steps {
		if s.Kind == Load || s.Kind == LoadCoordinator {
			loaded[s.Table] = j.Outcomes[s.ID]
		}
	}
	for _, bt := range b.Tables() {
		want, d := loaded[bt.Table.Name().String()], newDigest(bt.Table)
		if want == nil {
			return false, nil
		}
		for row, err := range check.ScanAll(ctx, places[bt.Storage].Storage, bt.Table) {
			if err != nil && transient(ctx, err) {
				return false, err
			}
			if err != nil {
				return false, nil // dropped, or something else by now
			}
			d.add(row)
		}
		if d.rows != want.Rows || d.String() != want.Digest {
			return false, nil
		}
	}
	return true, nil
}

func hasMark(ctx context.Context, t powers, restore string) (bool, error) {
	marks, err := t.marks(ctx)
	for _, m := range marks {
		if m.Restore == restore {
			return true, nil
		}
	}
	return false, err
}

// execute runs the steps in order; tables that follow one another in being
// loaded are loaded at once.
func (x *executor) execute(ctx context.Context) error {
	steps := x.plan.Steps
	for i := 0; i < len(steps); i++ {
		n := 1
		for steps[i].Kind == Load && i+n < len(steps) && steps[i+n].Kind == Load {
			n++
		}
		if err := x.beforeLoading(ctx, steps[i:i+n]); err != nil {
			return err
		}
		g, gctx := errgroup.WithContext(ctx)
		g.SetLimit(x.opts.Workers)
		for _, s := range steps[i : i+n] {
			g.Go(func() error { return x.step(gctx, s) })
		}
		if err := g.Wait(); err != nil {
			return err
		}
		i += n - 1
	}
	return x.finish(ctx)
}

// beforeLoading makes sure, in a run that goes on, that there is no Coordinator's
// table while tables are loaded: somebody may have made it meanwhile.
func (x *executor) beforeLoading(ctx context.Context, steps []Step) error {
	if !x.resumed || !slices.ContainsFunc(steps, func(s Step) bool { return s.Kind == Load && !x.journal.done(s.ID) }) {
		return nil
	}
	if err := x.journal.forget(context.WithoutCancel(ctx), func(s Step) bool { return s.Kind == LoadCoordinator }); err != nil {
		return err
	}
	return x.withdrawAgain(ctx)
}

// step runs one step, unless it is done.
func (x *executor) step(ctx context.Context, s Step) error {
	if x.journal.done(s.ID) && !x.again(s) {
		x.tell(Event{Step: s, Done: true, Skipped: true})
		return nil
	}
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	x.tell(Event{Step: s})
	o, err := x.run(ctx, s)
	if err != nil {
		return fmt.Errorf("step %s (%s): %w", s.ID, s.Text, err)
	}
	failpoint.Here("restore.step-done")
	if err := x.journal.record(context.WithoutCancel(ctx), s.ID, o); err != nil {
		return err
	}
	failpoint.Here("restore.step-recorded")
	x.tell(Event{Step: s, Done: true, Rows: o.Rows})
	return nil
}

// again tells whether a step that is done must be done again by a later run:
// what it found out is not in the journal, or may have changed.
func (x *executor) again(s Step) bool {
	switch s.Kind {
	case VerifyBackup:
		return !x.loaded()
	case EndSessions:
		return !x.kindDone(Check)
	}
	return false
}

// loaded tells whether every table has been loaded.
func (x *executor) loaded() bool { return x.kindDone(Load) && x.kindDone(LoadCoordinator) }

func (x *executor) kindDone(k Kind) bool {
	for _, s := range x.plan.Steps {
		if s.Kind == k && !x.journal.done(s.ID) {
			return false
		}
	}
	return true
}

func (x *executor) run(ctx context.Context, s Step) (*stepOutcome, error) {
	switch s.Kind {
	case VerifyBackup:
		return x.verifyBackup(ctx, s)
	case EndSessions:
		return x.endSessions(ctx, s)
	case Mark:
		return x.mark(ctx, s)
	case WithdrawCoordinator:
		return x.withdrawCoordinator(ctx, s)
	case Clear:
		return x.clear(ctx, s)
	case Create:
		return x.create(ctx, s)
	case Load:
		return x.load(ctx, s)
	case LoadCoordinator:
		return x.loadCoordinator(ctx, s)
	case Check:
		return x.check(ctx, s)
	case Unmark:
		return x.unmark(ctx, s)
	}
	return nil, model.Errorf(model.ErrRefused, "the journal has a step %q that this version of stillpoint does not know", s.Kind)
}

// finish closes the journal.
func (x *executor) finish(ctx context.Context) error {
	x.journal.mu.Lock()
	defer x.journal.mu.Unlock()
	x.journal.Finished = true
	return x.journal.save(context.WithoutCancel(ctx))
}

// tell passes an event on.
func (x *executor) tell(e Event) {
	if x.opts.Progress == nil {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.opts.Progress(e)
}

// explain adds to an error what is true now.
func (x *executor) explain(err error) error {
	done := 0
	for _, s := range x.plan.Steps {
		if x.journal.done(s.ID) {
			done++
		}
	}
	e := &model.Error{Op: "restore", Err: err}
	switch {
	case x.kindDone(Unmark):
		e.Hint = "All data is restored and checked, and the databases may be used; only the journal could not be closed. Running the same command again closes it"
	case x.kindDone(Check):
		e.Hint = "All data is restored and checked; what is left is to remove the marks. Run the same command again"
	case x.kindDone(Mark) && errors.Is(err, model.ErrDamaged):
		e.Hint = fmt.Sprintf("The databases are half restored and marked as such (%d of %d steps are done). Restore another backup over them with --backup ID --replace", done, len(x.plan.Steps))
	case x.kindDone(Mark):
		e.Hint = fmt.Sprintf("The databases are half restored and marked as such (%d of %d steps are done); the backup is whole. Run the same command again to go on", done, len(x.plan.Steps))
		if errors.Is(err, model.ErrExists) || errors.Is(err, model.ErrBadArgument) {
			e.Hint += ". If it ends here again, this engine cannot hold the rows as they are, or takes two keys for one: restore that storage into another engine, with --into and --replace"
		}
	case x.marking.Load():
		e.Hint = "No data was touched yet, but a database may bear the mark of this restore already. Run the same command again"
	default:
		e.Hint = "Nothing was changed"
		return e
	}
	if !errors.Is(err, context.Canceled) {
		e.Class = model.ErrUnavailable // whatever the cause's class is: it is not true that nothing was changed
	}
	return e
}

// host names this machine in marks.
func host() string {
	name, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return name
}
