// Package drills proves the whole product on real databases: programs in Go and
// Java move money, the stillpoint program backs up what they write, the data is
// lost and restored, and every account must be right. Writers and backups are
// frozen and killed on the way. It holds tests only:
//
//	go test -tags java,servers,failpoints ./drills
//
// Every writer, backup and restore is a process of its own. Writers know nothing
// of backups.
//
// What is right is said by two oracles that have nothing in common: the rules and
// queries of "stillpoint check" on the rows as they are in a backup, and the sums
// that a program sees through transactions on what was restored. Both must be
// able to fail: a copy of the databases one after the other, made at the same
// moments as each backup, is judged by the first and has to be found torn.
package drills
