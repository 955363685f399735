package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/stillpoint-db/stillpoint/check"
	"github.com/stillpoint-db/stillpoint/config"
	"github.com/stillpoint-db/stillpoint/internal/progress"
	"github.com/stillpoint-db/stillpoint/internal/textfile"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage/multi"
)

type checkOptions struct {
	repo      repoFlag
	backup    string
	queries   string
	strict    bool
	scratch   string
	maxListed int
	memory    int // MiB
}

func checkCommand(a *app) *cobra.Command {
	var o checkOptions
	c := &cobra.Command{
		Use:   "check",
		Short: "Check that data is transactionally consistent",
		Long: `Check that the data of live databases, or of a backup, is transactionally
consistent: every record and every row of the Coordinator's table is read, and
each broken rule is reported with its table, key and transaction. Nothing is
changed. Records of transactions that are under way are counted, and are no fault.

A query file holds questions whose answers are known; they are evaluated on the
records as they are once every transaction is settled:

  {"format": 1, "queries": [
    {"name": "total", "sum": ["bank.accounts.balance", "vault.accounts.balance"], "equals": 60000},
    {"name": "accounts", "count": ["bank.accounts", "vault.accounts"], "equals": 60},
    {"name": "every account equals its history",
     "sum": ["bank.accounts.balance"], "by": ["bank.accounts.id"],
     "equals": {"sum": ["bank.history.amount"], "by": ["bank.history.account"]}}]}

On live databases a query that does not come out while writers are active is
inconclusive (exit code 3), not failed.

` + exitHelp(0, 1, 2, 3, 6, 64),
		Example: `  stillpoint check --config prod.properties --queries totals.json
  stillpoint check --repo /backups/prod --backup latest`,
		Args: noArgs,
		RunE: a.do(func(ctx context.Context, _ []string) error { return a.check(ctx, &o) }),
	}
	f := c.Flags()
	f.StringVar(&o.repo.folder, "repo", "", "check a backup in this repository `FOLDER`, not live databases")
	f.StringVar(&o.backup, "backup", "", "the `ID` of the backup, or latest (with --repo)")
	f.StringVar(&o.queries, "queries", "", "a `FILE` with questions and their answers")
	f.BoolVar(&o.strict, "strict", false, "no one-phase commit, clean-up, or manager before 3.19 was ever used: what they would explain is an error")
	f.StringVar(&o.scratch, "scratch", "", "the `FOLDER` for what does not fit in memory (default: the system's temporary folder)")
	f.IntVar(&o.maxListed, "max-listed", 100, "list at most `N` violations of each rule; all are counted")
	f.IntVar(&o.memory, "memory", 32, "`MIB` of memory for each of at most three sorts")
	return c
}

func (a *app) check(ctx context.Context, o *checkOptions) error {
	opts := check.Options{Strict: o.strict, Scratch: o.scratch, MaxListed: o.maxListed, Memory: o.memory << 20}
	if o.maxListed < 1 {
		return usagef("--max-listed is at least 1")
	}
	if o.memory < 1 || o.memory > 1<<20 {
		return usagef("--memory is 1 to %d MiB", 1<<20)
	}
	if o.queries != "" {
		data, err := textfile.Read("read the queries", o.queries)
		if err != nil {
			return misnamed(err)
		}
		if opts.Queries, err = check.ParseQueries(data); err != nil {
			return err
		}
	}
	if o.repo.folder == "" {
		if o.backup != "" {
			return usagef("--backup %s needs --repo FOLDER", o.backup)
		}
		return a.connected(ctx, func(cfg *config.Config, set *multi.Set) error {
			return a.runCheck(ctx, check.NewDatabases(filepath.Base(a.configFile), set, cfg.Transaction.CoordinatorNamespace), opts)
		})
	}
	r, err := o.repo.existing(ctx)
	if err != nil {
		return err
	}
	b, err := openBackup(ctx, r, o.backup)
	if err != nil {
		return err
	}
	src, err := check.NewBackup(b)
	if err != nil {
		return err
	}
	return a.runCheck(ctx, src, opts)
}

func (a *app) runCheck(ctx context.Context, src check.Source, opts check.Options) error {
	p := a.progress()
	defer p.Close()
	var task *progress.Task
	var name string
	var seen int64
	opts.Progress = func(table string, rows int64) {
		if table != name {
			task.Done("")
			task, name, seen = p.Task(table, -1, progress.Rows), table, 0
		}
		task.Add(rows - seen)
		seen = rows
	}
	rep, err := check.Run(ctx, src, opts)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) && opts.Scratch != "" {
			return usagef("--scratch %s: %v", opts.Scratch, err)
		}
		return err
	}
	task.Done("")
	p.Close()
	a.emit(rep, func(w io.Writer) { _ = rep.WriteText(w) })
	if err := rep.Err(); err != nil {
		return err
	}
	if rep.Inconclusive {
		return &model.Error{Class: errPending, Op: "check", Subject: rep.Source, Detail: "some queries could not be decided because writers were active",
			Hint: "Check a backup instead, or run it again when they are quiet"}
	}
	return nil
}
