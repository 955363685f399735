package config

import (
	"maps"
	"slices"
)

// Unused returns the properties that ScalarDB knows and that have no effect
// here, in order, with the reason in Why.
func Unused() []Key {
	var keys []Key
	for _, name := range slices.Sorted(maps.Keys(ignored)) {
		keys = append(keys, Key{Name: name, Why: ignored[name].reason})
	}
	return keys
}

// unused is why a property that ScalarDB knows has no effect here.
type unused struct {
	reason string
	same   string // the value that asks for what happens anyway: not worth a word
}

var ignored = map[string]unused{
	cc + "serializable_strategy":                                              {reason: "ScalarDB itself ignores it since 3.16", same: "false"},
	cc + "coordinator.write_set_logging.enabled":                              {reason: "write sets are not logged", same: "false"},
	cc + "coordinator.group_commit.enabled":                                   {reason: noGroups, same: "false"},
	cc + "coordinator.group_commit.slot_capacity":                             {reason: noGroups, same: "false"},
	cc + "coordinator.group_commit.group_size_fix_timeout_millis":             {reason: noGroups, same: "false"},
	cc + "coordinator.group_commit.delayed_slot_move_timeout_millis":          {reason: noGroups, same: "false"},
	cc + "coordinator.group_commit.old_group_abort_timeout_millis":            {reason: noGroups, same: "false"},
	cc + "coordinator.group_commit.timeout_check_interval_millis":             {reason: noGroups, same: "false"},
	cc + "coordinator.group_commit.metrics_monitor_log_enabled":               {reason: noGroups, same: "false"},
	scalar + "attribute_propagation.enabled":                                  {reason: "operations have no attributes", same: "false"},
	scalar + "system_namespace_name":                                          {reason: "it belongs to Cassandra", same: "false"},
	pool + "min_idle":                                                         {reason: openLater, same: "false"},
	pool + "connection_timeout_millis":                                        {reason: "a caller waits for a connection as long as its context lets it", same: "false"},
	pool + "idle_timeout_millis":                                              {reason: openLater, same: "false"},
	pool + "max_lifetime_millis":                                              {reason: openLater, same: "false"},
	pool + "keepalive_time_millis":                                            {reason: "connections are checked when they are used", same: "false"},
	"scalar.db.jdbc.prepared_statements_pool.enabled":                         {reason: "statements are always prepared once a connection", same: "false"},
	"scalar.db.jdbc.prepared_statements_pool.max_open":                        {reason: "statements are always prepared once a connection", same: "false"},
	"scalar.db.jdbc.table_metadata.connection_pool.min_idle":                  {reason: onePool, same: "false"},
	"scalar.db.jdbc.table_metadata.connection_pool.max_idle":                  {reason: onePool, same: "false"},
	"scalar.db.jdbc.table_metadata.connection_pool.max_total":                 {reason: onePool, same: "false"},
	"scalar.db.jdbc.table_metadata.connection_pool.connection_timeout_millis": {reason: onePool, same: "false"},
	"scalar.db.jdbc.table_metadata.connection_pool.idle_timeout_millis":       {reason: onePool, same: "false"},
	"scalar.db.jdbc.table_metadata.connection_pool.max_lifetime_millis":       {reason: onePool, same: "false"},
	"scalar.db.jdbc.table_metadata.connection_pool.keepalive_time_millis":     {reason: onePool, same: "false"},
	"scalar.db.jdbc.admin.connection_pool.min_idle":                           {reason: onePool, same: "false"},
	"scalar.db.jdbc.admin.connection_pool.max_idle":                           {reason: onePool, same: "false"},
	"scalar.db.jdbc.admin.connection_pool.max_total":                          {reason: onePool, same: "false"},
	"scalar.db.jdbc.admin.connection_pool.connection_timeout_millis":          {reason: onePool, same: "false"},
	"scalar.db.jdbc.admin.connection_pool.idle_timeout_millis":                {reason: onePool, same: "false"},
	"scalar.db.jdbc.admin.connection_pool.max_lifetime_millis":                {reason: onePool, same: "false"},
	"scalar.db.jdbc.admin.connection_pool.keepalive_time_millis":              {reason: onePool, same: "false"},
	cc + "participant_id":                                                     {reason: "no transaction is shared with other processes", same: "true"},
	cc + "async_rollback.enabled":                                             {reason: "a rollback asks no database", same: "true"},
	cc + "parallel_preparation.enabled":                                       {reason: inParallel, same: "true"},
	cc + "parallel_commit.enabled":                                            {reason: inParallel, same: "true"},
	cc + "parallel_validation.enabled":                                        {reason: inParallel, same: "true"},
	cc + "parallel_rollback.enabled":                                          {reason: inParallel, same: "true"},
	cc + "parallel_implicit_pre_read.enabled":                                 {reason: inParallel, same: "true"},
	cc + "coordinator.write_omission_on_read_only.enabled":                    {reason: "a transaction that wrote nothing leaves no row", same: "true"},
	scalar + "active_transaction_management.enabled":                          {reason: notManaged, same: "true"},
	scalar + "active_transaction_management.expiration_time_millis":           {reason: notManaged, same: "true"},
	scalar + "active_transaction_management.max_active_transactions":          {reason: notManaged, same: "true"},
}

const (
	noGroups   = "commits are not grouped here; the groups of other managers are understood"
	onePool    = "one pool serves data and definitions"
	openLater  = "connections are opened when they are needed, and kept while they work"
	inParallel = "what can go in parallel does, up to parallel_executor_count"
	notManaged = "a transaction that is begun holds nothing in a database until it commits"
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
