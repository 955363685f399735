package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/stillpoint-db/stillpoint/config"
	"github.com/stillpoint-db/stillpoint/storage/multi"
	"github.com/stillpoint-db/stillpoint/txn"
)

// managed runs a function with a transaction manager on the databases of
// --config.
func (a *app) managed(ctx context.Context, run func(m *txn.Manager, cfg *config.Config, set *multi.Set) error) error {
	return a.connected(ctx, func(cfg *config.Config, set *multi.Set) (err error) {
		opts, err := managerOptions(cfg, a.logger)
		if err != nil {
			return err
		}
		m, err := txn.Open(ctx, set, opts)
		if err != nil {
			return err
		}
		defer func() {
			if cerr := m.Close(context.WithoutCancel(ctx)); cerr != nil {
				err = errors.Join(err, fmt.Errorf("close the transaction manager: %w", cerr))
			}
		}()
		return run(m, cfg, set)
	})
}

// managerOptions are what the configuration says about transactions.
func managerOptions(cfg *config.Config, logger *slog.Logger) (txn.Options, error) {
	isolation, err := txn.ParseIsolation(string(cfg.Transaction.Isolation))
	if err != nil {
		return txn.Options{}, err
	}
	opts := txn.Defaults()
	opts.Isolation = isolation
	opts.CoordinatorNamespace = cfg.Transaction.CoordinatorNamespace
	opts.OnePhaseCommit = cfg.Transaction.OnePhaseCommit
	opts.AsyncCommit = cfg.Transaction.AsyncCommit
	opts.Backlog = cfg.Transaction.AsyncBacklog
	opts.MetadataTTL = cfg.MetadataExpiration
	opts.Parallelism = cfg.Transaction.ParallelExecutorCount
	opts.Logger = logger
	return opts, nil
}
