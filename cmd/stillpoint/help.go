package main

import "github.com/spf13/cobra"

// helpCommand is cobra's, but for a misuse: it explains what there is and nothing
// else.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]...",
		Short: "Explain a command",
		RunE: func(c *cobra.Command, args []string) error {
			about, rest, err := c.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return usagef("there is no command %q to explain. Try: stillpoint --help", args[len(args)-max(len(rest), 1)])
			}
			about.InitDefaultHelpFlag()
			return about.Help()
		},
	}
}
