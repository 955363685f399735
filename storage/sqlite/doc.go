// Package sqlite is the storage adapter for SQLite. Importing it registers the
// driver "sqlite"; the URL is jdbc:sqlite:FILE, and the tables in the file are
// those of ScalarDB's SQLite adapter.
//
// One file is one storage and one atomic unit. The journal mode is always WAL,
// so that readers and the writer do not wait for each other, and every commit is
// synced to disk before it is reported (synchronous=FULL), so that it survives
// a loss of power.
//
// Writes of one Storage go through one connection, which commits the batches
// that have come while the last commit was under way in one SQLite transaction,
// each in a savepoint of its own. Storages of one process on the same file take
// turns in the order in which they asked; other processes are met by SQLite's
// own locks. Only local file systems have locks that can be relied on.
//
// SQLite keeps a value of any kind in any column. What is no value of the column's
// type, as ScalarDB writes it, is an error when it is read, and is never turned
// into one: text in a BIGINT column, 2 in a BOOLEAN one, a text among blobs.
//
// LIKE distinguishes upper and lower case here, as it does on other engines;
// Java's ScalarDB on SQLite does not.
package sqlite
