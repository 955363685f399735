package faulty

import (
	"time"

	"github.com/stillpoint-db/stillpoint/model"
)

// Effect is what is done to a call.
type Effect struct {
	kind effect
	d    time.Duration
}

type effect uint8

const (
	pass effect = iota
	conflict
	unavailable
	loseRequest
	loseAnswer
	loseEither
	late
	delay
	crashBefore
	crashAfter
	freezeBefore
	freezeAfter
)

var effectNames = [...]string{"pass", "conflict", "unavailable", "lose request", "lose answer", "lose either", "late",
	"delay", "crash before", "crash after", "freeze before", "freeze after"}

// String names the effect.
func (e Effect) String() string {
	name := effectNames[e.kind]
	if e.d > 0 {
		name += " " + e.d.String()
	}
	return name
}

// The effects. A read whose answer or request is lost fails as unavailable.
var (
	// Pass lets the call through; a rule with it shields from the later ones.
	Pass = Effect{kind: pass}
	// Conflict fails the call before it does anything: certainly not applied,
	// and trying again may help.
	Conflict = Effect{kind: conflict}
	// Unavailable fails the call before it does anything: the database could
	// not be reached.
	Unavailable = Effect{kind: unavailable}
	// LoseRequest leaves the caller in doubt; the call is not done.
	LoseRequest = Effect{kind: loseRequest}
	// LoseAnswer leaves the caller in doubt; the call is done.
	LoseAnswer = Effect{kind: loseAnswer}
	// LoseEither is LoseRequest or LoseAnswer, by chance.
	LoseEither = Effect{kind: loseEither}
	// CrashBefore is Storage.Crash before the call is done.
	CrashBefore = Effect{kind: crashBefore}
	// CrashAfter is Storage.Crash after the call is done.
	CrashAfter = Effect{kind: crashAfter}
	// FreezeBefore holds the call until Storage.Thaw and then does it, whatever
	// became of its context meanwhile. A crash ends the wait.
	FreezeBefore = Effect{kind: freezeBefore}
	// FreezeAfter does the call and holds its answer until Storage.Thaw. A
	// crash ends the wait.
	FreezeAfter = Effect{kind: freezeAfter}
)

// Delay holds the call for d before it is done, or until its context ends.
func Delay(d time.Duration) Effect { return Effect{kind: delay, d: d} }

// Late leaves the caller in doubt at once; the call is done d later. That of a
// read is not done at all.
func Late(d time.Duration) Effect { return Effect{kind: late, d: d} }

// Rule says which calls an effect happens to. Its methods narrow it down and
// return it; they must not be called once it is added to a Storage.
type Rule struct {
	effect Effect
	method Method
	table  model.TableName
	when   func(Call) bool
	nth    int
	times  int
	chance float64

	matched, done int
}

// On makes a rule: the effect happens to all calls of the method.
func (e Effect) On(m Method) *Rule { return &Rule{effect: e, method: m, chance: 1} }

// Table narrows to calls that touch the table.
func (r *Rule) Table(name model.TableName) *Rule {
	r.table = name
	return r
}

// If narrows to calls for which f is true. f must not call the storage.
func (r *Rule) If(f func(Call) bool) *Rule {
	r.when = f
	return r
}

// Nth narrows to the n-th call, from 1, of those that the rule matches otherwise.
func (r *Rule) Nth(n int) *Rule {
	r.nth = n
	return r
}

// Times lets the effect happen n times at most.
func (r *Rule) Times(n int) *Rule {
	r.times = n
	return r
}

// Chance lets the effect happen with the probability p.
func (r *Rule) Chance(p float64) *Rule {
	r.chance = p
	return r
}

// matches tells whether the effect happens to a call, and counts. roll gives a
// number in [0, 1).
func (r *Rule) matches(c Call, roll func() float64) bool {
	switch {
	case r.method != Any && r.method != c.Method,
		r.table != model.TableName{} && !c.Touches(r.table),
		r.when != nil && !r.when(c):
		return false
	}
	r.matched++
	switch {
	case r.nth > 0 && r.matched != r.nth,
		r.times > 0 && r.done >= r.times,
		r.chance < 1 && roll() >= r.chance:
		return false
	}
	r.done++
	return true
}
