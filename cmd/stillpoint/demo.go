package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/stillpoint-db/stillpoint/internal/demo"
)

func demoCommand(a *app) *cobra.Command {
	var o demo.Options
	c := &cobra.Command{
		Use:   "demo",
		Short: "Show the whole story on embedded databases in a few seconds",
		Long: `Show the whole story on two SQLite databases: transfers between them, a backup
while they run, the loss of both, a restore, and the proof that nothing is torn.
It needs no --config, and works in a folder of its own.

` + exitHelp(0, 1, 5, 64),
		Example: `  stillpoint demo
  stillpoint demo --folder /tmp/stillpoint-demo --output json`,
		Args: noArgs,
		RunE: a.do(func(ctx context.Context, _ []string) error {
			if o.Folder == "" {
				return usagef("--folder FOLDER is empty")
			}
			var w io.Writer = a.stdout
			if a.output == "json" {
				w = io.Discard
			}
			report, err := demo.Run(ctx, w, o)
			if err != nil {
				return err
			}
			a.emit(report, func(io.Writer) {})
			return nil
		}),
	}
	c.Flags().StringVar(&o.Folder, "folder", "stillpoint-demo", "the `FOLDER` to work in; made new, and replaced only if an earlier demo made it")
	return c
}
