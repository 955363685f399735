package config

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/multi"
)

// Open opens all storages at the same time and makes a Set of them; closing the
// Set closes them. If any cannot be opened, those that could are closed again,
// and each failure is reported with the storage's name: model.ErrUnavailable or
// model.ErrBadArgument. The configuration's notices go to the logger, which may
// be nil.
func Open(ctx context.Context, cfg *Config, logger *slog.Logger) (*multi.Set, error) {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	for _, n := range cfg.Notices {
		logger.Log(ctx, n.Level, n.Text)
	}
	opened := make([]storage.Storage, len(cfg.Storages))
	errs := make([]error, len(cfg.Storages))
	var wg sync.WaitGroup
	for i, sc := range cfg.Storages {
		wg.Go(func() { opened[i], errs[i] = openOne(ctx, sc, logger) })
	}
	wg.Wait()
	err := errors.Join(errs...)
	if err == nil {
		var set *multi.Set
		if set, err = multi.New(opened, cfg.Routing); err == nil {
			return set, nil
		}
	}
	for _, st := range opened {
		if st != nil {
			err = errors.Join(err, st.Close())
		}
	}
	return nil, err
}

func openOne(ctx context.Context, sc storage.Config, logger *slog.Logger) (storage.Storage, error) {
	if sc.Driver == "" {
		driver, err := DriverOf(sc.URL)
		if err != nil {
			return nil, model.Errorf(model.ErrBadArgument, "storage %q: %w", sc.Name, err)
		}
		sc.Driver = driver
	}
	sc.Logger = logger.With("storage", sc.Name)
	sc.Properties = withPool(sc)
	st, err := storage.Open(ctx, sc)
	if err == nil {
		return st, nil
	}
	if strings.Contains(err.Error(), strconv.Quote(sc.Name)) {
		return nil, err
	}
	return nil, fmt.Errorf("open storage %q: %w", sc.Name, err)
}

// withPool returns the storage's properties, with a pool sized to the machine
// where a server database is given none.
func withPool(sc storage.Config) map[string]string {
	props := map[string]string{}
	for k, v := range sc.Properties {
		props[k] = v
	}
	if (sc.Driver == "postgres" || sc.Driver == "mysql") && props[pool+"max_total"] == "" {
		props[pool+"max_total"] = strconv.Itoa(PoolSize())
	}
	return props
}
