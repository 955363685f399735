package config

import (
	"fmt"
	"runtime"
	"time"
)

// Key is one property: what it is called, what it means, and what holds where
// a file does not give it.
type Key struct {
	Name string
	Ours string // the value where none is given, or the rule for it
	Java string // the same in ScalarDB 3.19; "-" = it does not know the key
	Why  string // why the two differ; "" = they do not
	Doc  string // what it sets

	field      func(*Config) field // where it goes; nil for keys of one storage
	check      func(string) error  // keys of one storage: is the value one?
	perStorage bool                // may differ between storages
	connection bool                // not passed to drivers as a property
}

// PerStorage tells whether storages of one program may have different values.
func (k Key) PerStorage() bool { return k.perStorage }

const (
	scalar     = "scalar.db."
	stillpoint = "stillpoint."
	cc         = "scalar.db.consensus_commit."
	multiKey   = "scalar.db.multi_storage."
	pool       = "scalar.db.jdbc.connection_pool."

	oldIsolation = scalar + "isolation_level" // the old name of cc+"isolation_level"
)

// PoolSize is the most connections that a server database is given where the
// configuration does not say: enough to keep this machine busy while commits
// wait for the disk of the server, and no more than a server has by default.
func PoolSize() int { return min(max(16, 8*runtime.GOMAXPROCS(0)), 64) }

// Keys returns the table of all properties that have a meaning here, in the
// order of the documentation.
func Keys() []Key {
	keys := []Key{
		{Name: scalar + "storage", Ours: "must be given", Java: "`cassandra`", connection: true, perStorage: true,
			Why: "nobody should reach for a database by accident",
			Doc: "`jdbc`, `multi-storage`, or `memory` (for tests; gone when the program ends)"},
		{Name: scalar + "contact_points", Ours: "must be given", Java: "", connection: true, perStorage: true,
			Doc: "the JDBC URL: `jdbc:sqlite:`, `jdbc:postgresql:`, `jdbc:mysql:` or `jdbc:mariadb:`. A comma in it is written `\\\\,`"},
		{Name: scalar + "username", Java: "", connection: true, perStorage: true, Doc: "the database's user"},
		{Name: scalar + "password", Java: "", connection: true, perStorage: true, Doc: "its password; never shown"},
		{Name: scalar + "contact_port", Ours: "0", Java: "0", connection: true, perStorage: true, check: number(0),
			Doc: "not used: the URL holds the port"},
		{Name: scalar + "transaction_manager", Ours: "`consensus-commit`", Java: "`consensus-commit`",
			check: onlyConsensusCommit, Doc: "`consensus-commit` is the only one here"},

		{Name: multiKey + "storages", Java: "", connection: true, Doc: "names of the storages, with commas between"},
		{Name: multiKey + "storages.<name>.<rest>", Java: "", connection: true, Doc: "`scalar.db.<rest>` of that storage; what is not under `scalar.db.multi_storage.` holds for every storage that does not say otherwise"},
		{Name: multiKey + "namespace_mapping", Java: "", connection: true, Doc: "`namespace:storage`, with commas between"},
		{Name: multiKey + "table_mapping", Java: "", connection: true, Doc: "`namespace.table:storage`, with commas between; wins over the namespace. ScalarDB advises against it"},
		{Name: multiKey + "default_storage", Ours: "must be given", Java: "must be given", connection: true, Doc: "the storage of everything else, one of `storages`"},

		{Name: cc + "isolation_level", Java: "`SNAPSHOT`", Doc: "`SNAPSHOT`, `SERIALIZABLE` or `READ_COMMITTED`; `scalar.db.isolation_level` is its old name",
			field: func(c *Config) field { return isolationField{&c.Transaction.Isolation} }},
		{Name: cc + "coordinator.namespace", Java: "`coordinator`", Doc: "namespace of the Coordinator's table",
			field: func(c *Config) field { return textField{&c.Transaction.CoordinatorNamespace} }},
		{Name: cc + "one_phase_commit.enabled", Java: "`false`", Why: "one durable write instead of three, and one answer to wait for",
			Doc:   "commit what lies in one atomic unit by one write, where that is legal",
			field: func(c *Config) field { return boolField{&c.Transaction.OnePhaseCommit} }},
		{Name: cc + "async_commit.enabled", Java: "`false`", Why: "the outcome is decided before the records are touched; the backlog is bounded",
			Doc:   "answer a commit when its outcome is durable, and commit the records in the background",
			field: func(c *Config) field { return boolField{&c.Transaction.AsyncCommit} }},
		{Name: cc + "parallel_executor_count", Java: "128", Why: "Java counts threads for all commits; this is for each", Doc: "the most storage calls of one step of a commit at the same time",
			field: func(c *Config) field { return intField{&c.Transaction.Parallelism, 1} }},
		{Name: cc + "include_metadata.enabled", Java: "`false`", Doc: "reads return the transaction columns too",
			field: func(c *Config) field { return boolField{&c.Transaction.IncludeMetadata} }},
		{Name: cc + "index.eventually_consistent_read.enabled", Java: "`false`", Doc: "tables are created without indexes of before-images; index reads may then miss what is just being changed",
			field: func(c *Config) field { return boolField{&c.Transaction.EventualIndexReads} }},

		{Name: scalar + "default_namespace_name", Java: "", Doc: "namespace of tables that are named without one",
			field: func(c *Config) field { return textField{&c.DefaultNamespace} }},
		{Name: scalar + "metadata.cache_expiration_time_secs", Java: "60", Doc: "how long a table definition is used unread, in seconds; negative = forever",
			field: func(c *Config) field { return durationField{&c.MetadataExpiration, time.Second} }},
		{Name: scalar + "scan_fetch_size", Java: "10", Why: "a round trip for ten rows costs more than the rows", Doc: "the most rows that a scan asks a database for at once",
			field: func(c *Config) field { return intField{&c.ScanFetchSize, 1} }},
		{Name: scalar + "cross_partition_scan.enabled", Java: "`true`", Doc: "scans over a whole table",
			field: func(c *Config) field { return boolField{&c.CrossPartitionScan.Enabled} }},
		{Name: scalar + "cross_partition_scan.filtering.enabled", Ours: "as `cross_partition_scan.enabled`", Java: "`false`",
			Why: "SQL databases can do it, and a program that asks for it needs it", Doc: "conditions in such scans",
			field: func(c *Config) field { return boolField{&c.CrossPartitionScan.Filtering} }},
		{Name: scalar + "cross_partition_scan.ordering.enabled", Ours: "as `cross_partition_scan.enabled`", Java: "`false`",
			Why: "SQL databases can do it, and a program that asks for it needs it", Doc: "orders in such scans",
			field: func(c *Config) field { return boolField{&c.CrossPartitionScan.Ordering} }},

		{Name: pool + "max_total", Ours: "8 a processor, 16 to 64; SQLite: its own rule", Java: "200", perStorage: true, check: number(1),
			Why: "sized to the machine: more connections than that only queue in the server", Doc: "the most connections of a storage"},
		{Name: pool + "max_idle", Ours: "as `max_total`", Java: "ignored since 3.9", perStorage: true, check: number(0),
			Why: "an idle connection costs little, a new one several round trips", Doc: "MySQL and MariaDB: connections that stay open when nobody needs them"},
		{Name: "scalar.db.jdbc.isolation_level", Ours: "MySQL and MariaDB: `READ_COMMITTED`; PostgreSQL: the server's", Java: "the server's", perStorage: true,
			check: oneOf("READ_UNCOMMITTED", "READ_COMMITTED", "REPEATABLE_READ", "SERIALIZABLE"),
			Why:   "the protocol needs no more, and more means waiting", Doc: "isolation of the database's own transactions. Nothing to do with that of ours; not used by SQLite"},
		{Name: "scalar.db.jdbc.table_metadata.schema", Ours: "`scalardb`", Java: "`scalardb`", perStorage: true, check: anyText, Doc: "where the table definitions are recorded"},
		{Name: "scalar.db.jdbc.mysql.variable_key_column_size", Ours: "128", Java: "128", perStorage: true, check: number(64), Doc: "characters or bytes of TEXT and BLOB key columns on MySQL; at least 64. Not used with `jdbc:mariadb:` URLs"},
	}
	keys = append(keys, ownKeys()...)
	for i, k := range keys {
		if k.Ours == "" && k.field != nil {
			keys[i].Ours = literal(k.field(Default()).String())
		}
	}
	return keys
}

// ownKeys are the properties that only this project knows. Whoever needs a new
// one adds it here: with a field if it is one for the whole program, or with a
// check and perStorage if the drivers read it from storage.Config.Properties.
// For one storage of several it is written stillpoint.storages.<name>.<rest>.
func ownKeys() []Key {
	return []Key{
		{Name: stillpoint + "async_commit.backlog", Java: "-", Doc: "the most records that may wait to be committed in the background; at that many, a commit does its own before it answers",
			field: func(c *Config) field { return intField{&c.Transaction.AsyncBacklog, 1} }},
		{Name: stillpoint + "collation", Ours: "not accepted", Java: "-", perStorage: true, check: exactly("accept"),
			Doc: "MySQL and MariaDB: `accept` lets `schema create` make tables in a database whose default collation does not tell upper from lower case"},
	}
}

func literal(s string) string {
	switch {
	case s == "":
		return ""
	case s[0] == '-' || '0' <= s[0] && s[0] <= '9':
		return s
	}
	return "`" + s + "`"
}

func onlyConsensusCommit(s string) error {
	if s != "consensus-commit" {
		return fmt.Errorf("%q is not a transaction manager of this program, which knows consensus-commit only. Remove the line or set it to consensus-commit", s)
	}
	return nil
}
