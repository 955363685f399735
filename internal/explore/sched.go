package explore

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing/synctest"
	"time"
)

// fate is what the scheduler does with a call that has stopped.
type fate uint8

const (
	proceed     fate = iota
	loseRequest      // the caller is in doubt; nothing is done
	loseAnswer       // the caller is in doubt; it is done
	deliverLate      // the caller is in doubt; it is done when the scheduler next picks it
	conflict         // fails, certainly not done, may be tried again
	unavailable      // fails, certainly not done
	dead             // its process has crashed
)

var fateNames = [...]string{"goes on", "request lost", "answer lost", "late", "conflict", "unavailable", "dead"}

// process is a program that may freeze or crash. Its calls fail from then on.
type process struct {
	name    string
	ctx     context.Context // ends with the process
	crash   context.CancelFunc
	frozen  int  // it does nothing before this step; guarded by scheduler.mu
	mortal  bool // may crash and freeze
	perfect bool // meets no faults
}

// stop is a call that waits for the scheduler.
type stop struct {
	p     *process
	label string // stable under one seed, for order and trace
	kind  stopKind
	order int  // of two with one label the one whose write was first begun is first
	sent  bool // a write that its process has sent before it crashed; guarded by scheduler.mu
	goOn  chan fate
}

type stopKind uint8

const (
	stopRead  stopKind = iota
	stopWrite          // a batch that has not reached its database
	stopApply          // a batch that holds its locks
	stopLate           // a batch whose caller has gone
	stopStep           // a step of a program that is not a call, or not one that fails
)

// scheduler lets stopped calls go on, one at a time. All that stops, and run
// itself, is in one bubble.
type scheduler struct {
	rng     *rand.Rand
	budget  Budget
	sticky  float64 // how likely the process that moved last moves again
	arrived chan struct{}

	mu      sync.Mutex
	stops   []*stop
	count   int
	working int  // programs that have not ended
	ending  bool // no more faults

	step  atomic.Int64
	last  *process
	procs []*process
	saw   func(what string)
	trace func(line string)
	notes []string // what happened since the last step; guarded by mu
}

// Budget bounds what goes wrong in one schedule.
type Budget struct {
	Lost    int // answers and requests lost, or delivered late
	Refused int // calls that fail with nothing done
	Crashes int
	Freezes int
	Jumps   int // of the clock, beyond every lease
}

func newScheduler(rng *rand.Rand, budget Budget, trace func(line string)) *scheduler {
	s := &scheduler{rng: rng, budget: budget, saw: func(string) {}, arrived: make(chan struct{}, 1), trace: trace}
	if rng.IntN(2) == 0 {
		s.sticky = 0.5 + 0.4*rng.Float64()
	}
	return s
}

// process adds a process.
func (s *scheduler) process(ctx context.Context, name string) *process {
	p := &process{name: name, mortal: true}
	p.ctx, p.crash = context.WithCancel(ctx)
	s.procs = append(s.procs, p)
	return p
}

// work runs a program that the run waits for.
func (s *scheduler) work(f func()) {
	s.mu.Lock()
	s.working++
	s.mu.Unlock()
	go func() {
		defer func() {
			s.mu.Lock()
			s.working--
			s.mu.Unlock()
			s.wake()
		}()
		f()
	}()
}

type orderKey struct{}

// begin gives all stops of a write the place of its first.
func (s *scheduler) begin(ctx context.Context) context.Context {
	return context.WithValue(ctx, orderKey{}, s.next())
}

func (s *scheduler) next() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count++
	return s.count
}

func (s *scheduler) wake() {
	select {
	case s.arrived <- struct{}{}:
	default:
	}
}

// wait stops the caller until the scheduler lets it go on.
func (s *scheduler) wait(ctx context.Context, p *process, kind stopKind, label string) fate {
	if kind != stopLate && kind != stopApply && p.ctx.Err() != nil {
		return dead
	}
	order, begun := ctx.Value(orderKey{}).(int)
	if !begun {
		order = s.next()
	}
	st := &stop{p: p, label: p.name + " " + label, kind: kind, order: order, goOn: make(chan fate, 1)}
	s.mu.Lock()
	s.stops = append(s.stops, st)
	s.mu.Unlock()
	s.wake()
	if kind == stopLate || kind == stopApply { // the database does not care what became of its client
		return <-st.goOn
	}
	select { // never both: the scheduler lets a call go on, or moves the clock, or crashes a process
	case f := <-st.goOn:
		return f
	case <-p.ctx.Done():
	case <-ctx.Done(): // of which p.ctx may be the cause
	}
	switch sent := s.remove(st); {
	case p.ctx.Err() == nil && kind == stopWrite, sent:
		return deliverLate // it was on its way
	case p.ctx.Err() == nil:
		return unavailable
	}
	return dead
}

// remove forgets a call, and tells whether its process had sent it before it crashed.
func (s *scheduler) remove(st *stop) (sent bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stops = slices.DeleteFunc(s.stops, func(o *stop) bool { return o == st })
	return st.sent
}

// crash ends a process. Of the writes that it is about to make, chance decides
// which it has sent.
func (s *scheduler) crash(p *process) {
	s.mu.Lock()
	stops := slices.Clone(s.stops)
	slices.SortFunc(stops, compareStops)
	for _, st := range stops {
		if st.p == p && st.kind == stopWrite {
			st.sent = s.rng.IntN(2) == 0
		}
	}
	s.mu.Unlock()
	p.crash()
}

// errStuck means that nothing moves although programs are left.
var errStuck = fmt.Errorf("nothing moves any more, and not all programs have ended")

// run schedules until all programs have ended and nothing is under way.
func (s *scheduler) run() error {
	const most = 5000
	for s.now() < most {
		synctest.Wait()
		s.tell()
		s.step.Add(1) // while nobody looks at it
		s.mu.Lock()
		ready := s.ready()
		over := s.working == 0 && len(s.stops) == 0
		s.mu.Unlock()
		if over {
			return nil
		}
		if s.misfortune() {
			continue
		}
		if len(ready) == 0 {
			if s.rng.IntN(2) == 0 && s.sleep() || s.thaw() || s.sleep() {
				continue
			}
			return errStuck
		}
		s.letGo(ready)
	}
	return fmt.Errorf("not over after %d steps", most)
}

// ready lists the stopped calls of processes that are not frozen, in an order
// that does not depend on chance; s.mu is held.
func (s *scheduler) ready() []*stop {
	var ready []*stop
	for _, st := range s.stops {
		if st.kind == stopLate || st.kind == stopApply || st.p.frozen <= s.now() {
			ready = append(ready, st)
		}
	}
	slices.SortFunc(ready, compareStops)
	return ready
}

func compareStops(a, b *stop) int {
	return cmp.Or(cmp.Compare(a.label, b.label), cmp.Compare(a.order, b.order))
}

// letGo picks a call and its fate.
func (s *scheduler) letGo(ready []*stop) {
	st := ready[s.rng.IntN(len(ready))]
	if s.last != nil && s.rng.Float64() < s.sticky {
		for _, r := range ready {
			if r.p == s.last {
				st = r
				break
			}
		}
	}
	f := s.fate(st)
	s.last = st.p
	if f != proceed {
		s.saw(fateNames[f])
	}
	s.note("%s: %s", st.label, fateNames[f])
	s.remove(st)
	st.goOn <- f
}

// fate draws what happens to a call.
func (s *scheduler) fate(st *stop) fate {
	if st.p.perfect || s.ending {
		return proceed
	}
	switch st.kind {
	case stopWrite:
		if s.budget.Lost > 0 && s.rng.IntN(12) == 0 {
			s.budget.Lost--
			return [...]fate{loseRequest, loseAnswer, deliverLate}[s.rng.IntN(3)]
		}
		if s.budget.Refused > 0 && s.rng.IntN(30) == 0 {
			s.budget.Refused--
			return [...]fate{conflict, unavailable}[s.rng.IntN(2)]
		}
	case stopRead:
		if s.budget.Refused > 0 && s.rng.IntN(60) == 0 {
			s.budget.Refused--
			return unavailable
		}
	}
	return proceed
}

// misfortune may crash or freeze a process, or move the clock.
func (s *scheduler) misfortune() bool {
	if s.ending || s.rng.IntN(20) != 0 {
		return false
	}
	p := s.procs[s.rng.IntN(len(s.procs))]
	switch s.rng.IntN(3) {
	case 0:
		if s.budget.Crashes == 0 || !p.mortal || p.ctx.Err() != nil {
			return false
		}
		s.budget.Crashes--
		s.note("%s crashes", p.name)
		s.saw("crash")
		s.crash(p)
	case 1:
		if s.budget.Freezes == 0 || !p.mortal {
			return false
		}
		s.budget.Freezes--
		s.saw("freeze")
		s.freeze(p, 5+s.rng.IntN(40))
	case 2:
		if s.budget.Jumps == 0 {
			return false
		}
		s.budget.Jumps--
		d := [...]time.Duration{20 * time.Millisecond, 16 * time.Second}[s.rng.IntN(2)]
		s.note("%v pass", d)
		time.Sleep(d)
	}
	return true
}

// note adds a line to the trace.
func (s *scheduler) note(format string, args ...any) {
	if s.trace == nil {
		return
	}
	line := fmt.Sprintf("%4d "+format, append([]any{s.now()}, args...)...)
	s.mu.Lock()
	s.notes = append(s.notes, line)
	s.mu.Unlock()
}

// tell traces what was noted since the last step. Programs run at the same
// time between two steps, so the order of their lines is not theirs.
func (s *scheduler) tell() {
	s.mu.Lock()
	notes := s.notes
	s.notes = nil
	s.mu.Unlock()
	slices.Sort(notes)
	for _, line := range notes {
		s.trace(line)
	}
}

// now returns the number of the step.
func (s *scheduler) now() int { return int(s.step.Load()) }

// freeze keeps a process from moving for some steps.
func (s *scheduler) freeze(p *process, steps int) {
	s.mu.Lock()
	p.frozen = s.now() + steps
	s.mu.Unlock()
	s.note("%s does nothing for %d steps", p.name, steps)
}

// thaw ends all freezes; false if there were none.
func (s *scheduler) thaw() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	thawed := false
	for _, p := range s.procs {
		if p.frozen > s.now() {
			p.frozen = 0
			thawed = true
		}
	}
	return thawed
}

// sleep lets the clock go on until somebody moves.
func (s *scheduler) sleep() bool {
	limit := time.NewTimer(time.Hour)
	defer limit.Stop()
	select {
	case <-s.arrived:
		return true
	case <-limit.C:
		return false
	}
}
