// Package txntest runs random transactions against a transaction manager over
// any storage and records what they did and saw, for package history to judge.
//
// Every row holds a list of tokens and, in another column that updates leave
// alone, the first of them: a row whose columns do not fit together was torn.
package txntest
