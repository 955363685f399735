// Package history records what transactions did and saw, and tells whether any
// order of them explains it.
//
// Every key holds a list of tokens, each appended by one transaction and never
// twice, so that a list read tells which versions came before it, in order (the
// idea is that of Elle, by Kingsbury and Alvaro). From the lists follow the
// dependencies between transactions: who overwrote whom (ww), who read from
// whom (wr), who read what somebody then overwrote (rw), and from the clock who
// ended before another began. A cycle of dependencies is an anomaly, named as
// Adya does. A key may be deleted and inserted again: each life of a key is a
// list of its own, told apart by its first token.
package history
