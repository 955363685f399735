package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stillpoint-db/stillpoint/backup/catalog"
	"github.com/stillpoint-db/stillpoint/backup/repo"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/restore"
)

func backupDeleteCommand(a *app) *cobra.Command {
	var from repoFlag
	var id string
	var yes, abandon bool
	c := &cobra.Command{
		Use:   "delete",
		Short: "Delete a backup",
		Long: `Delete a backup, sealed or unfinished. Without --yes the command shows what it
would delete and is refused. So is deleting a backup whose restore has begun and has
not finished. Nothing that is not a backup is ever deleted.

` + exitHelp(0, 1, 4, 5, 64),
		Example: `  stillpoint backup delete --repo /backups --backup 20261122T083001Z-7f3a --yes`,
		Args:    noArgs,
		RunE: a.do(func(ctx context.Context, _ []string) (err error) {
			r, err := from.existing(ctx)
			if err != nil {
				return err
			}
			if id == "" {
				return usagef("--backup ID is missing: which backup to delete")
			}
			if id, err = catalog.Resolve(ctx, r, id); err != nil {
				return misnamed(err)
			}
			if _, err := repo.ParseID(id); err != nil {
				return err
			}
			list, err := r.List(ctx)
			if err != nil {
				return err
			}
			state := ""
			for _, e := range list {
				if e.ID == id {
					state = string(e.State)
				}
			}
			if state == "" {
				return misnamed(&model.Error{Class: model.ErrNotFound, Detail: fmt.Sprintf("there is no backup %q in %s", id, r.Location()),
					Hint: "See them with: stillpoint backup list --repo " + r.Location()})
			}
			if !yes {
				return &model.Error{Class: model.ErrRefused, Detail: fmt.Sprintf("this would delete the %s backup %s in %s", state, id, r.Location()), Hint: "--yes does it"}
			}
			lock, err := r.Lock(ctx, "backup delete")
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, lock.Release()) }()
			if state == string(repo.Sealed) && !abandon {
				if err := refuseHalfRestored(ctx, r, id); err != nil {
					return err
				}
			}
			if err := r.Delete(ctx, id); err != nil {
				return err
			}
			a.emit(map[string]string{"deleted": id}, func(w io.Writer) { fmt.Fprintf(w, "deleted  %s\n", id) })
			return nil
		}),
	}
	from.flag(c)
	c.Flags().StringVar(&id, "backup", "", "the `ID` of a backup, or latest")
	c.Flags().BoolVar(&yes, "yes", false, "do it")
	c.Flags().BoolVar(&abandon, "abandon-restore", false, "delete it even if a restore of it is not finished, which cannot go on then")
	return c
}

// refuseHalfRestored fails if databases are half restored from a backup.
func refuseHalfRestored(ctx context.Context, r repo.Repository, id string) error {
	b, err := r.Open(ctx, id)
	if err != nil {
		return err
	}
	restores, err := restore.Unfinished(ctx, b)
	if err != nil || len(restores) == 0 {
		return err
	}
	return &model.Error{Class: model.ErrRefused, Detail: fmt.Sprintf("a restore of backup %s is not finished: %s", id, strings.Join(restores, "; ")),
		Hint: "Finish it with stillpoint restore run, or give it up with --abandon-restore. Nothing was changed"}
}
