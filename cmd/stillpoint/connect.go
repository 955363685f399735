package main

import (
	"context"
	"fmt"

	"github.com/stillpoint-db/stillpoint/config"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/multi"
)

// load reads the file of --config.
func (a *app) load() (*config.Config, error) {
	if a.configFile == "" {
		return nil, usagef("--config FILE is missing: the properties file that names the databases")
	}
	cfg, err := config.Load(a.configFile)
	return cfg, misnamed(err)
}

// connected runs a function on the opened databases of --config, and closes
// them. They must be there: a file that is missing, or looked for in the wrong
// folder, is not made in passing.
func (a *app) connected(ctx context.Context, run func(cfg *config.Config, set *multi.Set) error) error {
	return a.opened(ctx, func(s *storage.Config) { s.MustExist = true }, run)
}

// founding is connected for commands that may make databases; in a dry run they
// are not made either.
func (a *app) founding(ctx context.Context, dryRun bool, run func(cfg *config.Config, set *multi.Set) error) error {
	return a.opened(ctx, func(s *storage.Config) { s.DryRun = dryRun }, run)
}

func (a *app) opened(ctx context.Context, how func(*storage.Config), run func(cfg *config.Config, set *multi.Set) error) (err error) {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	for i := range cfg.Storages {
		how(&cfg.Storages[i])
	}
	set, err := config.Open(ctx, cfg, a.logger)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := set.Close(); cerr != nil && err == nil {
			err = fmt.Errorf("close the databases: %w", cerr)
		}
	}()
	return run(cfg, set)
}
