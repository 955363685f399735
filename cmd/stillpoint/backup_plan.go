package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/stillpoint-db/stillpoint/backup/plan"
	"github.com/stillpoint-db/stillpoint/config"
	"github.com/stillpoint-db/stillpoint/internal/progress"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/multi"
)

// planRate is the rate, in bytes a second, by which the plan guesses times.
const planRate = 100e6

func backupPlanCommand(a *app) *cobra.Command {
	var from sourceFlags
	var to repoFlag
	c := &cobra.Command{
		Use:   "plan",
		Short: "Show how a backup would be taken, and what stands in its way",
		Long: `Show how a backup would be taken, and what stands in its way. Nothing is changed.
What can be tried is tried: rights, and whether the lock of each database that
would be fenced really holds the write of another session.

` + exitHelp(0, 1, 5, 64),
		Example: "  stillpoint backup plan --config prod.properties --repo /backups/prod",
		Args:    noArgs,
		RunE: a.do(func(ctx context.Context, _ []string) error {
			return a.connected(ctx, func(cfg *config.Config, set *multi.Set) error {
				opts := from.options(cfg)
				if to.folder != "" {
					r, err := to.open()
					if err != nil {
						return err
					}
					opts.Repository = r
				}
				p, err := plan.Make(ctx, set, opts)
				if err != nil {
					return err
				}
				a.emit(p, func(w io.Writer) { printPlan(w, p) })
				return p.Refusal()
			})
		}),
	}
	from.flags(c)
	to.flag(c)
	return c
}

func printPlan(w io.Writer, p *plan.Plan) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "storage\tengine\tmechanism\tnote")
	for _, d := range p.Databases {
		name := strings.Join(append([]string{d.Name}, d.Aliases...), ", ")
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\n", name, strings.TrimSpace(d.Engine+" "+d.Version), d.Mechanism, planNote(d))
	}
	_ = tw.Flush()
	for _, f := range p.Findings {
		if f.Severity != storage.Blocker { // those are the error
			fmt.Fprintf(w, "%s: %s\n", f.Severity, f)
		}
	}
	fmt.Fprintf(w, "=> %s\n", p.Why)
}

// planNote tells size and time of a database.
func planNote(d *plan.Database) string {
	note := fmt.Sprintf("%d tables", len(d.Tables))
	if len(d.Tables) == 1 {
		note = "1 table"
	}
	if d.Bytes < 0 {
		return note
	}
	seconds := max(1, int64(float64(d.Bytes)/planRate+0.5))
	return fmt.Sprintf("%s, %s, about %v", note, progress.Size(d.Bytes), time.Duration(seconds)*time.Second)
}
