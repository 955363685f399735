package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/stillpoint-db/stillpoint/backup/catalog"
	"github.com/stillpoint-db/stillpoint/backup/repo"
	"github.com/stillpoint-db/stillpoint/config"
	"github.com/stillpoint-db/stillpoint/internal/progress"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/restore"
	"github.com/stillpoint-db/stillpoint/storage/multi"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

type restoreOptions struct {
	repo      repoFlag
	backup    string
	into      []string
	replace   bool
	terminate bool
	yes       bool
	journal   string
	scratch   string
	workers   int
	dryRun    bool // only a plan is made
}

func restoreCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "restore",
		Short: "Restore a backup, by a plan that is executed step by step",
		Long: `Restore a backup into the databases of --config, by a plan that is executed step
by step. A restore that was interrupted goes on when the same command is run again.`,
	}
	c.AddCommand(restorePlanCommand(a), restoreRunCommand(a))
	return c
}

func (o *restoreOptions) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.repo.folder, "repo", "", "the repository `FOLDER`")
	f.StringVar(&o.backup, "backup", "", "the `ID` of the backup, or latest")
	f.StringSliceVar(&o.into, "into", nil, "`OLD=NEW`: what the backup has from storage OLD goes to storage NEW of --config, or to FILE[:NAME], a storage of another properties file; several with commas")
	f.BoolVar(&o.replace, "replace", false, "drop the data that is in the way")
	f.BoolVar(&o.terminate, "terminate-sessions", false, "end the sessions of applications that are still connected")
	f.StringVar(&o.journal, "journal", "", "keep the journal in this `FILE`, not beside the backup (for a repository that can only be read)")
	f.StringVar(&o.scratch, "scratch", "", "the `FOLDER` for what the final check cannot keep in memory")
	f.IntVar(&o.workers, "workers", 4, "read or load `N` tables at once")
}

func restorePlanCommand(a *app) *cobra.Command {
	o := restoreOptions{dryRun: true}
	c := &cobra.Command{
		Use:   "plan",
		Short: "Show what a restore would do, and change nothing",
		Long: `Show what a restore would do, step by step: what each step destroys, about how long
it takes, and what changes for clients. Nothing is changed. Exit code 5 and the
reason if it would be refused.

` + exitHelp(0, 1, 5, 6, 64),
		Example: `  stillpoint restore plan --config prod.properties --repo /backups/prod --backup latest --replace
  stillpoint restore plan --config staging.properties --repo /backups/prod --backup latest --into my=pg`,
		Args: noArgs,
		RunE: a.do(func(ctx context.Context, _ []string) error {
			return a.restoring(ctx, &o, func(opts restore.Options) error {
				plan, err := restore.Make(ctx, opts)
				if err != nil {
					return err
				}
				a.emit(plan, func(w io.Writer) { _ = plan.WriteText(w) })
				return plan.Err()
			})
		}),
	}
	o.flags(c)
	return c
}

func restoreRunCommand(a *app) *cobra.Command {
	var o restoreOptions
	c := &cobra.Command{
		Use:   "run",
		Short: "Restore a backup, or go on with a restore that was interrupted",
		Long: `Restore a backup: show the plan, ask, and execute it. The whole backup is verified
before anything is destroyed. Records that were in doubt are settled by the
backup's own Coordinator. At the end everything is read back, compared with what
was loaded, and checked.

Until the last step the databases are marked as half restored, and have no
Coordinator's table, so that nobody takes them for whole. If the restore is
interrupted, even by the loss of this machine, run the same command again.

` + exitHelp(0, 1, 2, 4, 5, 6, 64),
		Example: `  stillpoint restore run --config prod.properties --repo /backups/prod --backup latest --replace --yes`,
		Args:    noArgs,
		RunE: a.do(func(ctx context.Context, _ []string) error {
			return a.restoring(ctx, &o, func(opts restore.Options) error { return a.runRestore(ctx, &o, opts) })
		}),
	}
	o.flags(c)
	c.Flags().BoolVar(&o.yes, "yes", false, "accept the plan without being asked")
	return c
}

// restoring opens what a restore needs, and closes it.
func (a *app) restoring(ctx context.Context, o *restoreOptions, run func(restore.Options) error) error {
	if o.repo.folder == "" || o.backup == "" {
		return usagef("--repo FOLDER and --backup ID (or latest) are needed")
	}
	if o.workers < 1 {
		return usagef("--workers is at least 1")
	}
	folder, err := o.repo.existing(ctx)
	if err != nil {
		return err
	}
	return a.founding(ctx, o.dryRun, func(cfg *config.Config, set *multi.Set) (err error) {
		target := restore.Target{Storages: set.Storages(), Label: filepath.Base(a.configFile), Coordinator: record.CoordinatorName(cfg.Transaction.CoordinatorNamespace),
			Route: func(n model.TableName) string { return set.Route(n).Name() }}
		closing, err := a.into(ctx, o, &target)
		defer func() { err = errors.Join(err, closing()) }()
		if err != nil {
			return err
		}
		id := o.backup
		if id == catalog.Latest {
			marked, err := restore.Marked(ctx, target.Storages)
			if err != nil {
				return err
			}
			if marked != "" {
				a.say("a restore of backup %s into these databases is not finished: going on with that one", marked)
				id = marked
			}
		}
		b, err := openBackup(ctx, folder, id)
		if err != nil {
			return err
		}
		backup, err := restore.FromCatalog(b)
		if err != nil {
			return err
		}
		opts := restore.Options{Backup: backup, Target: target, Journal: restore.Beside(b.Files()), Replace: o.replace,
			TerminateSessions: o.terminate, Workers: o.workers, Scratch: o.scratch, Logger: a.logger}
		if o.journal != "" {
			opts.Journal = restore.InFile(o.journal)
		}
		err = run(opts)
		_, journal := errors.AsType[*restore.JournalError](err)
		if err != nil && !journal && classOf(err).err == model.ErrDamaged { // and not after the first change
			return catalog.WithEarlier(ctx, folder, b.ID(), err)
		}
		return err
	})
}

// runRestore runs a restore with its progress, under the repository's lock.
func (a *app) runRestore(ctx context.Context, o *restoreOptions, opts restore.Options) (err error) {
	r, err := o.repo.open()
	if err != nil {
		return err
	}
	lock, err := r.Lock(ctx, "restore")
	switch hint := journalElsewhere(err); {
	case err == nil:
		defer func() { err = errors.Join(err, lock.Release()) }()
	case errors.Is(err, model.ErrLocked), hint == "" && o.journal == "":
		return err
	case o.journal == "":
		return &model.Error{Err: err, Hint: hint}
	} // where no lock can be had, a journal elsewhere has to do
	p := a.progress()
	defer p.Close()
	opts.Approve = func(_ context.Context, plan *restore.Plan) error { return a.approve(o, plan) }
	opts.Progress = restoreProgress(p)
	rep, err := restore.Run(ctx, opts)
	p.Close()
	if rep != nil {
		a.emit(rep, func(w io.Writer) { _ = rep.WriteText(w) })
	}
	return err
}

// journalElsewhere is the way out where nothing can be written to a repository,
// from which a backup can be restored all the same; "" for other errors.
func journalElsewhere(err error) string {
	const elsewhere = " the journal elsewhere with --journal FILE. Nothing was changed"
	if _, full := errors.AsType[*repo.NoSpaceError](err); full {
		return "Make room, or keep" + elsewhere
	}
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		return "If the repository may only be read, keep" + elsewhere
	}
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.ENOLCK) {
		return "Where the file system has no locks, keep" + elsewhere
	}
	return ""
}

// approve shows the plan and asks.
func (a *app) approve(o *restoreOptions, plan *restore.Plan) error {
	if !a.quiet || !o.yes {
		if err := plan.WriteText(a.stderr); err != nil {
			return err
		}
	}
	if o.yes {
		return nil
	}
	if !isTerminal(a.stdin) {
		return &model.Error{Class: model.ErrRefused, Op: "restore", Detail: "the plan has to be accepted, and there is no terminal to ask on", Hint: "--yes accepts it. Nothing was changed"}
	}
	fmt.Fprint(a.stderr, "Execute this plan? Type yes: ")
	answer, err := bufio.NewReader(a.stdin).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if strings.TrimSpace(answer) != "yes" {
		return &model.Error{Class: model.ErrRefused, Op: "restore", Detail: "the plan was not accepted", Hint: "Nothing was changed"}
	}
	return nil
}

// restoreProgress shows each step as a task.
func restoreProgress(p *progress.Reporter) func(restore.Event) {
	type shown struct {
		task *progress.Task
		rows int64
	}
	var mu sync.Mutex
	tasks := map[string]*shown{}
	return func(e restore.Event) {
		mu.Lock()
		defer mu.Unlock()
		if e.Skipped {
			return
		}
		t := tasks[e.Step.ID]
		if t == nil {
			name := string(e.Step.Kind)
			if e.Step.Table != "" {
				name = e.Step.Table + " " + name
			} else if e.Step.Storage != "" {
				name = e.Step.Storage + " " + name
			}
			total := e.Step.Rows
			if total == 0 {
				total = -1
			}
			t = &shown{task: p.Task(name, total, progress.Rows)}
			tasks[e.Step.ID] = t
		}
		if e.Rows > t.rows {
			t.task.Add(e.Rows - t.rows)
			t.rows = e.Rows
		}
		switch {
		case e.Done && t.rows == 0:
			t.task.Done("done")
		case e.Done:
			t.task.Done("")
		}
	}
}
