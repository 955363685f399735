package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stillpoint-db/stillpoint/config"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/restore"
	"github.com/stillpoint-db/stillpoint/storage"
)

// into understands --into, and opens the storages of other files that it names.
// closing closes those, and is never nil.
func (a *app) into(ctx context.Context, o *restoreOptions, target *restore.Target) (closing func() error, err error) {
	var opened []storage.Storage
	closing = func() error {
		var errs []error
		for _, s := range opened {
			errs = append(errs, s.Close())
		}
		return errors.Join(errs...)
	}
	target.Into = map[string]string{}
	target.Storages = slices.Clone(target.Storages)
	for _, arg := range o.into {
		from, to, ok := strings.Cut(arg, "=")
		if !ok || from == "" || to == "" {
			return closing, usagef("--into %s is not OLD=NEW", arg)
		}
		if _, twice := target.Into[from]; twice {
			return closing, usagef("--into names storage %q twice", from)
		}
		target.Into[from] = to
		if has(target.Storages, to) || !looksLikeFile(to) {
			continue
		}
		s, err := a.openFrom(ctx, to, o.dryRun)
		if err != nil {
			return closing, err
		}
		opened = append(opened, s)
		target.Storages = append(target.Storages, s)
	}
	return closing, nil
}

func has(storages []storage.Storage, name string) bool {
	return slices.ContainsFunc(storages, func(s storage.Storage) bool { return s.Name() == name })
}

func looksLikeFile(s string) bool {
	return strings.Contains(s, ".properties") || strings.ContainsAny(s, `/\`)
}

// openFrom opens a storage of another properties file, under the whole of what
// was written as its name.
func (a *app) openFrom(ctx context.Context, spec string, dryRun bool) (storage.Storage, error) {
	file, name := spec, ""
	if i := strings.LastIndexByte(spec, ':'); i > 1 && !strings.ContainsAny(spec[i:], `/\.`) {
		file, name = spec[:i], spec[i+1:]
	}
	cfg, err := config.Load(file)
	if err != nil {
		return nil, misnamed(err)
	}
	var names []string
	for _, s := range cfg.Storages {
		names = append(names, s.Name)
		if s.Name != name && (name != "" || len(cfg.Storages) > 1) {
			continue
		}
		s.Name, s.Logger, s.DryRun = spec, a.logger, dryRun
		if s.Driver == "" {
			if s.Driver, err = config.DriverOf(s.URL); err != nil {
				return nil, err
			}
		}
		return storage.Open(ctx, s)
	}
	return nil, &model.Error{Class: errUsage, Detail: fmt.Sprintf("%s has storages %q, and one of them has to be named", filepath.Base(file), names),
		Hint: fmt.Sprintf("Say --into OLD=%s:NAME", file)}
}
