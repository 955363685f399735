package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/stillpoint-db/stillpoint/backup/catalog"
	"github.com/stillpoint-db/stillpoint/backup/manifest"
	"github.com/stillpoint-db/stillpoint/backup/repo"
	"github.com/stillpoint-db/stillpoint/internal/progress"
	"github.com/stillpoint-db/stillpoint/model"
)

func backupListCommand(a *app) *cobra.Command {
	var from repoFlag
	c := &cobra.Command{
		Use:   "list",
		Short: "List the backups of a repository",
		Long: `List the backups of a repository, the oldest first. Unfinished ones are being
written, or were left by a run that died: they cannot be restored, and the next
backup create removes them.

` + exitHelp(0, 1, 5, 64),
		Example: `  stillpoint backup list --repo /backups
  stillpoint backup list --repo /backups --output json`,
		Args: noArgs,
		RunE: a.do(func(ctx context.Context, _ []string) error {
			r, err := from.existing(ctx)
			if err != nil {
				return err
			}
			list, err := catalog.List(ctx, r)
			if err != nil {
				return err
			}
			backups := make([]listedBackup, len(list))
			for i, e := range list {
				backups[i] = listedBackup{e, ids(e.Storages)}
			}
			a.emit(map[string]any{"repo": r.Location(), "backups": backups}, func(w io.Writer) { printList(w, list, time.Now()) })
			return nil
		}),
	}
	from.flag(c)
	return c
}

// listedBackup is a backup in the result of list.
type listedBackup struct {
	catalog.Entry
	Storages []named `json:"storages,omitempty"`
}

func printList(w io.Writer, list []catalog.Entry, now time.Time) {
	if len(list) == 0 {
		fmt.Fprintln(w, "no backups")
		return
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "backup\tage\tstate\tdatabases\tkind\trows\tsize\tverified")
	for _, e := range list {
		fmt.Fprintf(tw, "%s\t%s\t", e.ID, age(now.Sub(e.Created)))
		switch {
		case e.State != repo.Sealed:
			fmt.Fprintf(tw, "%s\t\t\t\t\t\n", e.State)
		case e.Manifest == nil && !errors.Is(e.Err, model.ErrDamaged): // of a later version, or somebody else's
			fmt.Fprintf(tw, "unreadable\t\t\t\t\t%s\n", e.Problem)
		case e.Manifest == nil:
			fmt.Fprintf(tw, "damaged\t\t\t\t\t%s\n", e.Problem)
		default:
			fmt.Fprintf(tw, "sealed\t%s\t%s\t%s\t%s\t%s\n", strings.Join(e.Storages, ", "), e.Strategy,
				progress.Count(e.Totals.Rows), progress.Size(e.Totals.Size), verifiedText(e.Verified))
		}
	}
	_ = tw.Flush()
}

// verifiedText tells how far a backup was verified.
func verifiedText(v *manifest.Verified) string {
	switch {
	case v == nil:
		return "never"
	case !v.Sound:
		return "DAMAGED, " + v.At.Format(time.RFC3339)
	case v.Inconsistent != "":
		return fmt.Sprintf("%s, DATA INCONSISTENT, %s", v.Depth, v.At.Format(time.RFC3339))
	}
	return fmt.Sprintf("%s, %s", v.Depth, v.At.Format(time.RFC3339))
}

// age renders how old something is, in one unit.
func age(d time.Duration) string {
	switch {
	case d < -time.Minute:
		return "in the future" // by its id, or by another clock
	case d < 0:
		return "0 s"
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

func backupShowCommand(a *app) *cobra.Command {
	var from repoFlag
	var which backupFlag
	c := &cobra.Command{
		Use:     "show",
		Short:   "Show what is in a backup",
		Long:    "Show what is in a backup; with --output json, its whole manifest.\n\n" + exitHelp(0, 1, 5, 6, 64),
		Example: `  stillpoint backup show --repo /backups --backup latest`,
		Args:    noArgs,
		RunE: a.do(func(ctx context.Context, _ []string) error {
			r, err := from.existing(ctx)
			if err != nil {
				return err
			}
			b, err := openBackup(ctx, r, which.id)
			if err != nil {
				return err
			}
			v, err := b.Verified(ctx)
			if err != nil {
				return err
			}
			res := struct {
				Backup   string             `json:"backup"`
				Verified *manifest.Verified `json:"verified,omitempty"`
				Manifest *manifest.Manifest `json:"manifest"`
			}{b.ID(), v, b.Manifest}
			a.emit(res, func(w io.Writer) { printBackup(w, b.Manifest, v) })
			return nil
		}),
	}
	from.flag(c)
	which.flag(c)
	return c
}

func printBackup(w io.Writer, m *manifest.Manifest, v *manifest.Verified) {
	fmt.Fprintf(w, "backup %s, of %s, by stillpoint %s\n", m.ID, m.Moment.Format("2006-01-02 15:04:05.000Z07:00"), m.Stillpoint)
	fmt.Fprintf(w, "strategy %s: %s\n", m.Strategy, m.Why)
	if m.Fence != nil {
		fmt.Fprintf(w, "fence: %s\n", fenceText(m.Fence))
	}
	fmt.Fprintf(w, "verified: %s\n", verifiedText(v))
	for _, f := range m.Findings {
		fmt.Fprintf(w, "%s: %s\n", f.Severity, f.Text)
	}
	if len(m.Excluded) > 0 {
		fmt.Fprintf(w, "left out: %s\n", strings.Join(m.Excluded, ", "))
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "table\tstorage\tkind\trows\tbytes\tstored\tfiles")
	for i := range m.Tables {
		t := &m.Tables[i]
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\t%d\n", t.Name(), t.Storage, t.Kind, progress.Count(t.Rows), progress.Size(t.Raw), progress.Size(t.Size), len(t.Files))
	}
	_ = tw.Flush()
}
