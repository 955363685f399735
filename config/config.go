// Package config turns a ScalarDB properties file into a typed Config, and a
// Config into opened storages.
//
// In the common case:
//
//	cfg, err := config.Load("prod.properties")
//	set, err := config.Open(ctx, cfg, logger)
//
// The keys, their defaults, and where and why these differ from ScalarDB's are
// one table in this package; docs/configuration.md is printed from it.
package config

import (
	"log/slog"
	"time"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/multi"
)

// Config is everything that a program needs to know to run transactions. Make
// one with Load, Parse, FromMap, ForURL, or Default plus the storages. It is not
// changed by any function of this package but those that make it.
type Config struct {
	// Storages are the databases, in the order of the file. A Driver that is
	// empty is found by the URL.
	Storages []storage.Config
	// Routing says which storage holds which table.
	Routing multi.Routing

	Transaction        Transaction
	CrossPartitionScan CrossPartitionScan

	// DefaultNamespace is the namespace of a table that is named without one;
	// "" = every table must be named with its namespace.
	DefaultNamespace string
	// MetadataExpiration is how long a table definition is used without being
	// read again; negative = forever.
	MetadataExpiration time.Duration
	// ScanFetchSize is the most rows that a scan asks a database for at once.
	ScanFetchSize int

	// Notices are what should be said once about the configuration: ignored
	// and unknown properties, and the like. Open logs them.
	Notices []Notice
}

// Isolation is an isolation level of transactions.
type Isolation string

// The isolation levels.
const (
	Snapshot      Isolation = "SNAPSHOT"
	Serializable  Isolation = "SERIALIZABLE"
	ReadCommitted Isolation = "READ_COMMITTED"
)

// Transaction holds the settings of Consensus Commit.
type Transaction struct {
	Isolation            Isolation
	CoordinatorNamespace string

	// Parallelism is the most storage calls of one step of a commit that are
	// under way at the same time.
	Parallelism int

	// OnePhaseCommit: a transaction within one atomic unit is committed by one
	// write, without a Coordinator row, where that is legal.
	OnePhaseCommit bool
	// AsyncCommit: Commit returns when the outcome is decided; the records
	// follow in the background.
	AsyncCommit bool
	// AsyncBacklog is the most records that may wait to be settled in the
	// background; a commit that finds it full settles its own first.
	AsyncBacklog int

	// IncludeMetadata: reads return the transaction columns too.
	IncludeMetadata bool
	// EventualIndexReads: tables are created without the indexes of
	// before-images, and index reads may miss what is being changed.
	EventualIndexReads bool
}

// CrossPartitionScan says what scans over a whole table may do.
type CrossPartitionScan struct {
	Enabled, Filtering, Ordering bool
}

// Notice is one thing to say about a configuration.
type Notice struct {
	Level slog.Level
	Text  string
}

// Default returns the configuration that an empty file would mean, if it could
// name no storage: every field as in the column "ours" of docs/configuration.md.
func Default() *Config {
	return &Config{
		Transaction: Transaction{
			Isolation:            Snapshot,
			CoordinatorNamespace: "coordinator",
			Parallelism:          16,
			OnePhaseCommit:       true,
			AsyncCommit:          true,
			AsyncBacklog:         1024,
		},
		CrossPartitionScan: CrossPartitionScan{Enabled: true, Filtering: true, Ordering: true},
		MetadataExpiration: time.Minute,
		ScanFetchSize:      1000,
	}
}

// SingleStorage is the name of the storage in a configuration that has one and
// gives it no name.
const SingleStorage = "db"

// ForURL returns the default configuration with one storage, named "db":
// model.ErrBadArgument if no driver is known for the URL.
func ForURL(url, user string, password storage.Secret) (*Config, error) {
	driver, err := DriverOf(url)
	if err != nil {
		return nil, model.Errorf(model.ErrBadArgument, "the URL of the database: %w", err)
	}
	cfg := Default()
	cfg.Storages = []storage.Config{{
		Name: SingleStorage, Driver: driver, URL: url, User: user, Password: password,
		Properties: map[string]string{},
	}}
	return cfg, nil
}
