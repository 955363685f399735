package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/stillpoint-db/stillpoint/config"
	"github.com/stillpoint-db/stillpoint/internal/progress"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage/multi"
	"github.com/stillpoint-db/stillpoint/txn"
)

type recoverOptions struct {
	ignoreLease bool
}

func recoverCommand(a *app) *cobra.Command {
	var o recoverOptions
	c := &cobra.Command{
		Use:   "recover [NAMESPACE.TABLE]...",
		Short: "Settle all records in doubt now",
		Long: `Settle all records in doubt now, in all transactional tables or in those that are
named: records of committed transactions are completed, those of aborted ones taken
back. Without it, each is settled by the next transaction that meets it.

It may run beside any traffic. Records whose writer may still be at work (younger
than 15 seconds) are left alone and counted, and the exit code is 3.

` + exitHelp(0, 1, 3, 5, 64),
		Example: `  stillpoint recover --config prod.properties
  stillpoint recover --config prod.properties --ignore-lease bank.accounts`,
		RunE: a.do(func(ctx context.Context, args []string) error {
			names := make([]model.TableName, len(args))
			for i, arg := range args {
				var err error
				if names[i], err = model.ParseTableName(arg); err != nil {
					return err
				}
			}
			return a.recover(ctx, o, names)
		}),
	}
	c.Flags().BoolVar(&o.ignoreLease, "ignore-lease", false, "also of young writers; for when it is known that none is alive")
	return c
}

// recoverResult is the result of recover.
type recoverResult struct {
	txn.RecoverReport
	LeaseIgnored bool `json:"lease_ignored,omitempty"`
}

func (a *app) recover(ctx context.Context, o recoverOptions, names []model.TableName) error {
	return a.managed(ctx, func(m *txn.Manager, _ *config.Config, _ *multi.Set) error {
		p := a.progress()
		task, done := p.Task("recover", -1, "settled"), int64(0)
		report, err := m.RecoverAll(ctx, txn.RecoverOptions{IgnoreLease: o.ignoreLease, Progress: func(r txn.RecoverReport) {
			settled := int64(r.RolledForward + r.RolledBack)
			task.Add(settled - done)
			done = settled
		}}, names...)
		if err != nil {
			task.Fail(err)
		} else {
			task.Done("")
		}
		p.Close()
		a.emit(recoverResult{report, o.ignoreLease}, func(w io.Writer) {
			fmt.Fprintf(w, "tables looked through: %s, in %s; records completed: %s, taken back: %s, left to their writers: %s; transactions aborted: %s\n",
				progress.Count(int64(report.Tables)), report.Elapsed.Round(time.Millisecond), progress.Count(int64(report.RolledForward)),
				progress.Count(int64(report.RolledBack)), progress.Count(int64(report.Live)), progress.Count(int64(report.Aborted)))
		})
		if err == nil && report.Live > 0 {
			return &model.Error{Class: errPending, Op: "recover",
				Detail: fmt.Sprintf("%s records may belong to writers at work", progress.Count(int64(report.Live))),
				Hint:   "Run it again in 15 seconds, or with --ignore-lease if no writer is alive"}
		}
		return err
	})
}
