package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stillpoint-db/stillpoint/backup/catalog"
	"github.com/stillpoint-db/stillpoint/backup/plan"
	"github.com/stillpoint-db/stillpoint/backup/repo"
	"github.com/stillpoint-db/stillpoint/config"
)

func backupCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "backup",
		Short: "Back all databases up together, consistently, while they are written to",
		Long: `Back all databases up together, consistently, while they are written to.

A backup shows all databases at one moment: where there are several, their
writers are held for some milliseconds while a snapshot is opened in each, and go
on before the first row is copied. A backup that is not sealed does not exist: a
run that was killed is removed by the next one.`,
	}
	c.AddCommand(backupPlanCommand(a), backupCreateCommand(a), backupListCommand(a), backupShowCommand(a), backupVerifyCommand(a), backupDeleteCommand(a))
	return c
}

// repoFlag is the flag --repo.
type repoFlag struct{ folder string }

func (f *repoFlag) flag(c *cobra.Command) {
	c.Flags().StringVar(&f.folder, "repo", "", "the `FOLDER` that backups are kept in")
}

// open names the repository.
func (f *repoFlag) open() (repo.Repository, error) {
	switch {
	case f.folder == "":
		return nil, usagef("--repo FOLDER is missing: where backups are kept")
	case strings.Contains(f.folder, "://"):
		return nil, usagef("--repo %s: backups are kept in folders; object stores are not supported yet", f.folder)
	}
	return repo.InFolder(f.folder), nil
}

// existing names a repository that must be there.
func (f *repoFlag) existing(ctx context.Context) (repo.Repository, error) {
	r, err := f.open()
	if err != nil {
		return nil, err
	}
	_, err = r.List(ctx)
	return r, misnamed(err)
}

// openBackup opens a backup that the command line names.
func openBackup(ctx context.Context, r repo.Repository, id string) (*catalog.Backup, error) {
	b, err := catalog.Open(ctx, r, id)
	return b, misnamed(err)
}

// backupFlag is the flag --backup.
type backupFlag struct{ id string }

func (f *backupFlag) flag(c *cobra.Command) {
	c.Flags().StringVar(&f.id, "backup", catalog.Latest, "the `ID` of a backup, or latest")
}

// sourceFlags say what is backed up.
type sourceFlags struct {
	exclude    []string
	scratch    string
	acceptLost bool
}

func (f *sourceFlags) flags(c *cobra.Command) {
	c.Flags().StringSliceVar(&f.exclude, "exclude", nil, "leave out a `TABLE`: namespace.table, or namespace.*")
	c.Flags().BoolVar(&f.acceptLost, "accept-lost", false, "go on though a database that the last backup holds has no table any more")
	c.Flags().StringVar(&f.scratch, "scratch", "", "the `FOLDER` in which pages of SQLite files are staged (default the temporary folder)")
}

func (f *sourceFlags) options(cfg *config.Config) plan.Options {
	return plan.Options{CoordinatorNamespace: cfg.Transaction.CoordinatorNamespace, OnePhase: cfg.Transaction.OnePhaseCommit,
		Exclude: f.exclude, Scratch: f.scratch, AcceptLost: f.acceptLost}
}
