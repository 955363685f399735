// Package mutant lets tests break the protocol on purpose, one line at a time,
// to show that a check notices. A guarded line asks On; without the build tag
// "mutants" On is a constant false and the compiler drops the question.
package mutant

// Name names one way to break the code, as in "txn.prepare-guard".
type Name string
