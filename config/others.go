package config

// ignored are properties that ScalarDB knows and that have no effect here, with
// the reason.
var ignored = map[string]string{
	cc + "serializable_strategy":                                              "ScalarDB itself ignores it since 3.16",
	cc + "coordinator.write_set_logging.enabled":                              "write sets are not logged",
	cc + "coordinator.group_commit.enabled":                                   noGroups,
	cc + "coordinator.group_commit.slot_capacity":                             noGroups,
	cc + "coordinator.group_commit.group_size_fix_timeout_millis":             noGroups,
	cc + "coordinator.group_commit.delayed_slot_move_timeout_millis":          noGroups,
	cc + "coordinator.group_commit.old_group_abort_timeout_millis":            noGroups,
	cc + "coordinator.group_commit.timeout_check_interval_millis":             noGroups,
	cc + "coordinator.group_commit.metrics_monitor_log_enabled":               noGroups,
	scalar + "attribute_propagation.enabled":                                  "operations have no attributes",
	scalar + "system_namespace_name":                                          "it belongs to Cassandra",
	pool + "min_idle":                                                         openLater,
	pool + "connection_timeout_millis":                                        "a caller waits for a connection as long as its context lets it",
	pool + "idle_timeout_millis":                                              openLater,
	pool + "max_lifetime_millis":                                              openLater,
	pool + "keepalive_time_millis":                                            "connections are checked when they are used",
	"scalar.db.jdbc.prepared_statements_pool.enabled":                         "statements are always prepared once a connection",
	"scalar.db.jdbc.prepared_statements_pool.max_open":                        "statements are always prepared once a connection",
	"scalar.db.jdbc.table_metadata.connection_pool.min_idle":                  onePool,
	"scalar.db.jdbc.table_metadata.connection_pool.max_idle":                  onePool,
	"scalar.db.jdbc.table_metadata.connection_pool.max_total":                 onePool,
	"scalar.db.jdbc.table_metadata.connection_pool.connection_timeout_millis": onePool,
	"scalar.db.jdbc.table_metadata.connection_pool.idle_timeout_millis":       onePool,
	"scalar.db.jdbc.table_metadata.connection_pool.max_lifetime_millis":       onePool,
	"scalar.db.jdbc.table_metadata.connection_pool.keepalive_time_millis":     onePool,
	"scalar.db.jdbc.admin.connection_pool.min_idle":                           onePool,
	"scalar.db.jdbc.admin.connection_pool.max_idle":                           onePool,
	"scalar.db.jdbc.admin.connection_pool.max_total":                          onePool,
	"scalar.db.jdbc.admin.connection_pool.connection_timeout_millis":          onePool,
	"scalar.db.jdbc.admin.connection_pool.idle_timeout_millis":                onePool,
	"scalar.db.jdbc.admin.connection_pool.max_lifetime_millis":                onePool,
	"scalar.db.jdbc.admin.connection_pool.keepalive_time_millis":              onePool,
}

const (
	noGroups  = "commits are not grouped here; the groups of other managers are understood"
	openLater = "connections are opened when they are needed, and kept while they work"
	onePool   = "one pool serves data and definitions"
)

// others are the beginnings of properties that belong to other ScalarDB
// products and databases.
var others = []string{
	scalar + "analytics.",
	scalar + "blob_storage.",
	scalar + "cassandra.",
	scalar + "cloud_storage.",
	scalar + "cluster.",
	scalar + "cosmos.",
	scalar + "data_loader.",
	scalar + "dynamo.",
	scalar + "embedding.",
	scalar + "graphql.",
	scalar + "grpc.",
	scalar + "jdbc.db2.",
	scalar + "jdbc.oracle.",
	scalar + "jdbc.spanner.",
	scalar + "replication.",
	scalar + "s3.",
	scalar + "server.",
	scalar + "sql.",
}
