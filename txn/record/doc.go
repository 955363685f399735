// Package record knows what transactional data looks like at rest: the columns
// that Consensus Commit adds to a table, what a record with them means, the rows
// of the Coordinator's table, and how the two together settle a record.
//
// It does no I/O and decides nothing by time, so that the transaction manager, a
// check of live data and a restore of a backup all read the same truth from the
// same code. Names, types and numbers are those of ScalarDB 3.19; tables made by
// 3.13 and later are understood.
package record
