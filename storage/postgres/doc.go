// Package postgres is the PostgreSQL adapter. Import it for its effect:
//
//	import _ "github.com/stillpoint-db/stillpoint/storage/postgres"
//
// Its driver is called "postgres" and takes JDBC URLs, as in
// jdbc:postgresql://127.0.0.1:5432/bank?sslmode=verify-full.
//
// # One flight
//
// A Get of any number of keys, a page of a Scan and a Mutate of any size are
// each one round trip: all statements travel together and end in one Sync, which
// PostgreSQL executes as one implicit transaction. No BEGIN is ever sent for
// them, so that a client that freezes between two packets holds no lock. A guard
// that does not hold makes its statement fail (by a division by zero that only
// our texts can cause, or a duplicate key) and the server takes the whole flight
// back. Batches larger than the socket's buffers are the exception: while such a
// request is still being sent, the server executes its beginning.
//
// # What an error means
//
// Statements are prepared once on each connection. An error that the server
// reports before it confirms the Sync means that nothing is applied. A request
// that could not be written completely holds no complete Sync and is not applied
// either. Everything else after the request is sent is an unknown outcome, an
// error of class 08 too: a connection pooler raises it when its server is gone. When
// a context or a deadline ends, the server is asked to cancel and its verdict is
// awaited for a moment, so that most such outcomes are certain.
//
// # Rights
//
// Applications need SELECT, INSERT, UPDATE and DELETE on their tables. A backup
// needs SELECT for reading and UPDATE (or DELETE, or TRUNCATE) for the fence; row
// security must not apply to its user. A restore needs INSERT and TRUNCATE, CREATE
// on the database where a schema is missing, and membership of pg_signal_backend
// to end sessions. Under a superuser an autovacuum gives way to a fence at once;
// under others a fence on a table that is being vacuumed is busy.
//
// # Locks of a snapshot
//
// A snapshot holds ACCESS SHARE on its tables for as long as it is read. That
// lets every reader and writer pass, but not ALTER, TRUNCATE or DROP, and writers
// queue up behind those. A snapshot therefore gives way to such a statement after
// a second, and fails.
package postgres
