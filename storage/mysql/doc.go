// Package mysql stores tables in MySQL and MariaDB. Importing it registers the
// driver "mysql", which serves jdbc:mysql: and jdbc:mariadb: URLs:
//
//	import _ "github.com/stillpoint-db/stillpoint/storage/mysql"
//
// A namespace is a database of the server, as it is to ScalarDB.
//
// # Round trips
//
// A Get of one key, a Scan and a Mutate of one mutation are each one prepared
// statement. A Mutate of several is one flight, too. On MariaDB it is a prepared
// compound statement that the server runs by itself, with START TRANSACTION,
// the guards, COMMIT and, when a guard fails, ROLLBACK in it: a client that
// stops in the middle holds no lock. On MySQL, which has no compound statements
// outside of stored programs, it is one text of several statements in which a
// guard that fails raises an error; the text stops there, and the client rolls
// back in a second trip (or its session ends, which is the same).
//
// A statement that a session sees for the first time is prepared first: one more
// trip, which holds no lock. Batches of more than 64 mutations are not prepared
// but have their values in the text. A batch that is larger than
// max_allowed_packet takes a trip for each mutation; its client holds locks
// meanwhile. A Get of several keys is one statement for one table, and one
// flight for several tables.
//
// Without prepared statements values are written as literals that mean the same
// under every sql_mode: plain text in quotes, anything else in hexadecimal.
//
// # Fence and snapshots
//
// The fence is LOCK TABLES … READ, in the order of names, in a session of its
// own that the server ends should it say nothing for ten seconds. Snapshots are
// transactions WITH CONSISTENT SNAPSHOT, one for each reader, opened together
// under a fence. A table that is truncated, redefined, dropped or renamed
// afterwards cannot be read in them any more, which is an error and never an
// empty table.
//
// # Isolation
//
// Sessions are READ COMMITTED unless scalar.db.jdbc.isolation_level says
// otherwise. Every write is guarded by its primary key and sees the latest
// committed row whatever the level; under REPEATABLE READ a guard that finds no
// row would lock the gap where it is not, and concurrent inserts into one gap
// deadlock. Reads are single statements outside of transactions and therefore
// always fresh. Where the server writes its binary log as statements, which
// allows no READ COMMITTED, sessions are REPEATABLE READ.
//
// # Collations
//
// Databases for tables get the server's default, as ScalarDB's do, unless that
// takes keys as equal that differ in case or accents; then creating is refused.
// Databases of our own, those of the metadata table and of a restore's mark, are
// made with utf8mb4_bin on such a server. It, too, takes texts as equal that differ
// in blanks at their ends alone; where keys may, choose utf8mb4_nopad_bin of MariaDB
// or utf8mb4_0900_bin of MySQL.
package mysql
