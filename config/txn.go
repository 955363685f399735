package config

import (
	"log/slog"
	"time"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/txn"
)

// TxnOptions are what the configuration says to a transaction manager, with a
// logger that may be nil: model.ErrBadArgument if it is not valid.
func (c *Config) TxnOptions(logger *slog.Logger) (txn.Options, error) {
	isolation, err := txn.ParseIsolation(string(c.Transaction.Isolation))
	if err != nil {
		return txn.Options{}, model.Errorf(model.ErrBadArgument, "%sisolation_level: %w", cc, err)
	}
	opts := txn.Defaults()
	opts.Isolation = isolation
	opts.CoordinatorNamespace = c.Transaction.CoordinatorNamespace
	opts.OnePhaseCommit = c.Transaction.OnePhaseCommit
	opts.AsyncCommit = c.Transaction.AsyncCommit
	opts.Backlog = c.Transaction.AsyncBacklog
	opts.IncludeMetadata = c.Transaction.IncludeMetadata
	opts.Parallelism = c.Transaction.Parallelism
	opts.PageSize = c.ScanFetchSize
	if opts.MetadataTTL = c.MetadataExpiration; opts.MetadataTTL == 0 {
		opts.MetadataTTL = time.Nanosecond // there, 0 means the default
	}
	opts.Logger = logger
	return opts, nil
}
