package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/stillpoint-db/stillpoint/backup/catalog"
	"github.com/stillpoint-db/stillpoint/config"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/restore"
	"github.com/stillpoint-db/stillpoint/storage"
)

// trialRestore restores a backup into new SQLite files in a scratch folder, one
// for each of its storages, and removes them. The restore itself ends with a
// check of what it restored.
func (a *app) trialRestore(ctx context.Context, b *catalog.Backup, scratch string) (err error) {
	dir, err := os.MkdirTemp(scratch, "stillpoint-trial-")
	if err != nil {
		return fmt.Errorf("make a scratch folder for the trial restore: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	home := map[model.TableName]string{}
	var names []string
	seen := map[string]bool{}
	for i := range b.Manifest.Tables {
		t := &b.Manifest.Tables[i]
		home[t.Name()] = t.Storage
		if !seen[t.Storage] {
			seen[t.Storage], names = true, append(names, t.Storage)
		}
	}
	target := restore.Target{Label: "trial restore", Route: func(n model.TableName) string { return home[n] }}
	if c := b.Manifest.Coordinator; c != nil {
		target.Coordinator = model.TableName{Namespace: c.Namespace, Name: c.Table}
	}
	defer func() {
		for _, s := range target.Storages {
			err = errors.Join(err, s.Close())
		}
	}()
	for i, name := range names {
		url := "jdbc:sqlite:" + filepath.Join(dir, fmt.Sprintf("%d.db", i))
		driver, err := config.DriverOf(url)
		if err != nil {
			return err
		}
		s, err := storage.Open(ctx, storage.Config{Name: name, Driver: driver, URL: url, Logger: a.logger})
		if err != nil {
			return fmt.Errorf("open scratch for the trial restore: %w", err)
		}
		target.Storages = append(target.Storages, s)
	}
	backup, err := restore.FromCatalog(b)
	if err != nil {
		return err
	}
	report, err := restore.Run(ctx, restore.Options{Backup: backup, Target: target, Journal: trialJournal{},
		Scratch: dir, Logger: a.logger})
	if report != nil && report.Check != nil && !report.Check.Consistent {
		return report.Check.Err()
	}
	return trialError(err)
}

// trialError says what a trial restore that did not come about means for the
// backup.
func trialError(err error) error {
	if unfit, ok := errors.AsType[*restore.UnfitError](err); ok {
		return &model.Error{Class: model.ErrRefused, Op: "trial restore into SQLite", Detail: unfit.Error(),
			Hint: "Files and contents of the backup are in order; try it in databases of the engines that it comes from, with stillpoint restore run"}
	}
	if err == nil {
		return nil
	}
	trial := &model.Error{Op: "trial restore", Err: err,
		Hint: "Only scratch files were written, which are removed again. If they need more room, name a folder that has it with --scratch"}
	if e, ok := errors.AsType[*model.Error](err); ok && e.Op == "restore" {
		trial.Class, trial.Err = e.Class, e.Err // its hint is about somebody's databases
	}
	return trial
}

// trialJournal keeps the journal of a restore that nobody will go on with.
type trialJournal map[string][]byte

func (j trialJournal) Load(_ context.Context, name string) ([]byte, error) {
	b, ok := j[name]
	if !ok {
		return nil, model.Errorf(model.ErrNotFound, "there is no journal %s", name)
	}
	return b, nil
}

func (j trialJournal) Save(_ context.Context, name string, data []byte) error {
	j[name] = data
	return nil
}
