// Package explore runs the transaction manager, the commit fence, snapshots and
// the settling of restored records against each other over simulated databases,
// under schedules drawn at random from a seed. DESIGN.md tells what is
// explored, what is held against it and what is not covered.
//
// It works inside a bubble of testing/synctest only: every call of a database
// stops and waits until the scheduler lets it go on, one at a time, and the
// clock stands still unless everybody sleeps or the scheduler moves it.
package explore
