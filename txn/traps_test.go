package txn_test

import (
	"testing"

	"github.com/stillpoint-db/stillpoint/internal/mutant"
	"github.com/stillpoint-db/stillpoint/txn"
)

// trap is a way to get the protocol wrong, a scenario that tells, and the lines
// whose removal makes it go wrong (run with the build tag "mutants").
type trap struct {
	name    string
	mutants []mutant.Name
	run     func(t testing.TB)
}

var traps = []trap{
	{"T1 every column is in the before-image", []mutant.Name{"txn.partial-before-image"}, trapBeforeImage},
	{"T2 one of two writers of a version loses", []mutant.Name{"txn.prepare-guard"}, trapLostUpdate},
	{"T2 an insert meets a record", []mutant.Name{"txn.insert-guard"}, trapInsertTwice},
	{"T2 versions count every write", []mutant.Name{"txn.version"}, trapVersion},
	{"T3 the record is read before the Coordinator", []mutant.Name{"txn.coordinator-before-record"}, trapOrder},
	{"T4 members of group commits are decided by their group", []mutant.Name{"txn.plain-group-ids"}, trapGroupIDs},
	{"T4 and T14 a member is aborted in two steps", []mutant.Name{"txn.one-step-abort", "txn.plain-group-ids"}, trapGroupAbort},
	{"T5 an imported record comes back as it was", []mutant.Name{"txn.imported-mark", "txn.imported-guard"}, trapImported},
	{"T6 a missing row does not mean aborted", []mutant.Name{"txn.absent-is-aborted"}, trapAbsent},
	{"T7 an impossible row decides nothing", []mutant.Name{"txn.trust-coordinator"}, trapBadRow},
	{"T8 a lost answer is not a failure", []mutant.Name{"txn.unknown-is-failed"}, trapLostAnswer},
	{"T9 its own row is success", []mutant.Name{"txn.own-row-is-conflict"}, trapOwnRow},
	{"T10 a deletion keeps what it deletes until it is decided", []mutant.Name{"txn.delete-clears-columns", "txn.early-commit-time"}, trapDeleted},
	{"T11 the before-index is read after the index", []mutant.Name{"txn.before-index-first"}, trapIndexOrder},
	{"T11 an index read finds what a write under way hides", []mutant.Name{"txn.no-before-index", "txn.before-index-first"}, trapIndexHidden},
	{"T11 so does a condition", []mutant.Name{"txn.after-image-only"}, trapConditionHidden},
	{"an order finds the record that a write under way moves", []mutant.Name{"txn.trust-order"}, trapOrderMoved},
	{"T12 committed records keep no before-image", []mutant.Name{"txn.keep-before-image"}, trapNulls},
	{"T13 a writer has its lease", []mutant.Name{"txn.no-lease"}, trapLease},
	{"T15 G1 a record written by others into a scanned range", []mutant.Name{"txn.skip-own-rows"}, trapG1},
	{"T15 G2 a record changed between read and write", []mutant.Name{"txn.last-read-guards"}, trapG2},
	{"T15 G3 a record hidden by a write under way", []mutant.Name{"txn.pass-foreign-prepared"}, trapG3},
	{"write skew within one database", []mutant.Name{"txn.fuse-unvalidated"}, trapSkewOne},
	{"write skew between two databases", []mutant.Name{"txn.fuse-unvalidated", "txn.skip-validation"}, trapSkewTwo},
	{"no record is committed before the decision", []mutant.Name{"txn.commit-before-coordinator"}, trapCommitOrder},
	{"an abort by others wins", []mutant.Name{"txn.ignore-late-abort", "txn.coordinator-guard"}, trapLateAbort},
	{"a late settlement spares the next version", []mutant.Name{"txn.unguarded-commit"}, trapLateCommit},
	{"a frozen writer commits no half into restored databases", []mutant.Name{"txn.trust-preparation"}, trapFrozen},
}

func TestTraps(t *testing.T) {
	for _, trap := range traps {
		t.Run(trap.name, func(t *testing.T) { trap.run(t) })
	}
}

// leavePrepared runs a transaction on account 1 by a process that ends before its
// decision, and returns its id.
func leavePrepared(c *client, write func(*txn.Tx) error) string {
	c.w.t.Helper()
	victim := c.w.open(textbook)
	victim.crashBefore(decides)
	tx := victim.begin()
	c.w.must(write(tx))
	if err := tx.Commit(ctx); err == nil {
		c.w.t.Fatal("the commit of a dead process succeeded")
	}
	return tx.ID()
}

func putOne(n int64) func(*txn.Tx) error {
	return func(tx *txn.Tx) error { return tx.Put(ctx, put(accountsName, 1, n)) }
}
