//go:build mutants

package mutant

import "sync/atomic"

// Enabled tells whether this build can be broken on purpose.
const Enabled = true

var active atomic.Value // Name

// On tells whether the line is to be broken.
func On(n Name) bool {
	a, _ := active.Load().(Name)
	return a == n
}

// Set breaks one line, process-wide, until the returned function is called.
func Set(n Name) (restore func()) {
	active.Store(n)
	return func() { active.Store(Name("")) }
}
