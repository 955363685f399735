// Package check tells whether transactional data is consistent: it reads every
// record and every row of the Coordinator's table, of live databases or of a
// backup, and reports each broken rule by name, table, key and transaction. It
// only reads.
//
//	report, err := check.Run(ctx, source, check.Options{})
//
// The rules are numbered as in docs/consistency-rules.md. V1 to V7 and V13 look
// at one record at a time, V10 at one row of the Coordinator's table. V8, V8a,
// V8b, V11 and V12 compare all that names one transaction, wherever it is; V9
// compares the keys that transactions say they wrote with the records; V16 are
// the user's own queries, evaluated on settled records. V14 and V15 are about
// storages that keep metadata or indexes apart from the rows; none of the
// storages here does, so they are reported as not applicable.
//
// # Memory
//
// Tables are streamed. What has to be compared across tables becomes small facts
// (60 to 150 bytes for a record, 40 to 100 for a row of the Coordinator's table)
// which are sorted by transaction in a buffer of Options.Memory bytes and spill
// into Options.Scratch. So memory is Options.Memory, once for each of at most
// three sorts, plus one page of rows, plus the findings listed (Options.MaxListed),
// however large the databases are; scratch space grows with the number of
// records.
//
// # Live databases
//
// On live databases the reads are not one snapshot, and records change under the
// check. The tables are read first and the Coordinator's last, so a record that
// is seen committed has its row seen too. What still looks wrong across rows is
// read again, record first and Coordinator second (and the undecided record a
// third time), and reported only if it still does. What remains on live
// databases: a one-phase commit of a transaction that somebody has also aborted
// by its id shows as V8a; and a query (V16) that does not come out is evaluated a
// second time, and reported as inconclusive, not as failed, if anything has been
// written in between. In-doubt records are counted and listed by class and are
// not a violation.
//
// # Strength
//
// One-phase commits leave no row in the Coordinator's table, and clean-up removes
// rows, so by default a committed record need not have one: it must only not be
// ABORTED (V8a). Managers before 3.16 leave before-images behind (V3) and those
// before 3.19 use several commit times (V11). These are warnings by default and
// errors with Options.Strict, which says that no such manager, no one-phase
// commit, no clean-up and no two-phase interface was ever used.
package check
