package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/stillpoint-db/stillpoint/config"
	"github.com/stillpoint-db/stillpoint/internal/marker"
	"github.com/stillpoint-db/stillpoint/storage/multi"
	"github.com/stillpoint-db/stillpoint/txn"
)

// managed runs a function with a transaction manager on the databases of
// --config.
func (a *app) managed(ctx context.Context, run func(m *txn.Manager, cfg *config.Config, set *multi.Set) error) error {
	return a.connected(ctx, func(cfg *config.Config, set *multi.Set) (err error) {
		if err := marker.Refuse(ctx, "open storage", set.Storages()); err != nil {
			return err
		}
		opts, err := cfg.TxnOptions(a.logger)
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
