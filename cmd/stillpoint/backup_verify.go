package main

import (
	"context"
	"fmt"
	"io"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/stillpoint-db/stillpoint/backup/catalog"
	"github.com/stillpoint-db/stillpoint/backup/manifest"
	"github.com/stillpoint-db/stillpoint/backup/verify"
	"github.com/stillpoint-db/stillpoint/internal/progress"
)

func backupVerifyCommand(a *app) *cobra.Command {
	var from repoFlag
	var which backupFlag
	var filesOnly, trial bool
	var scratch string
	c := &cobra.Command{
		Use:   "verify",
		Short: "Tell whether a backup is still what was written",
		Long: `Tell whether a backup is still what was written: every file, and every row in it.
Every problem is reported, with what can still be restored. With --trial-restore
the backup is also restored into scratch SQLite files, which are then checked: exit
code 2 if the data is inconsistent, as it was when it was backed up.
How far a backup was verified is noted beside it, for backup list.

` + exitHelp(0, 1, 2, 5, 6, 64),
		Example: `  stillpoint backup verify --repo /backups
  stillpoint backup verify --repo /backups --backup latest --trial-restore`,
		Args: noArgs,
		RunE: a.do(func(ctx context.Context, _ []string) error {
			r, err := from.existing(ctx)
			if err != nil {
				return err
			}
			if filesOnly && trial {
				return usagef("--files-only and --trial-restore exclude each other")
			}
			opts := verify.Options{Version: programVersion(), Depth: manifest.Contents}
			if filesOnly {
				opts.Depth = manifest.Files
			}
			if trial {
				opts.Depth = manifest.Trial
				opts.Trial = func(ctx context.Context, b *catalog.Backup) error { return a.trialRestore(ctx, b, scratch) }
			}
			show := a.progress()
			defer show.Close()
			task := show.Task("verify", -1, progress.Bytes)
			opts.Progress = task.Add
			rep, err := verify.Run(ctx, r, which.id, opts)
			if err != nil {
				task.Fail(err)
				return misnamed(err)
			}
			task.Done("")
			show.Close()
			if rep.Unrecorded != "" {
				a.logger.Warn("the result is not noted beside the backup: " + rep.Unrecorded)
			}
			a.emit(verifyResult{rep, ids(rep.Restorable), ids(rep.Lost)}, func(w io.Writer) { printVerified(w, rep) })
			return rep.Err()
		}),
	}
	from.flag(c)
	which.flag(c)
	c.Flags().BoolVar(&filesOnly, "files-only", false, "sizes and checksums of the files only")
	c.Flags().StringVar(&scratch, "scratch", "", "the `FOLDER` for a trial restore (default the temporary folder)")
	c.Flags().BoolVar(&trial, "trial-restore", false, "restore into scratch too, and check that")
	return c
}

// verifyResult is the result of verify.
type verifyResult struct {
	*verify.Report
	Restorable []named `json:"restorable"`
	Lost       []named `json:"lost"`
}

func printVerified(w io.Writer, rep *verify.Report) {
	if len(rep.Problems) > 0 {
		for _, p := range rep.Problems {
			fmt.Fprintln(w, p)
		}
		return
	}
	rows := ""
	if rep.Rows > 0 {
		rows = fmt.Sprintf(", %s rows", progress.Count(rep.Rows))
	}
	what := map[manifest.Depth]string{manifest.Files: "files", manifest.Contents: "files, contents", manifest.Trial: "files, contents, trial restore"}[rep.Depth]
	fmt.Fprintf(w, "verified  %s  %d files, %s%s: %s\n", rep.ID, rep.Files, progress.Size(rep.Size), rows, what)
}

// programVersion is the version that backups are signed with.
func programVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
