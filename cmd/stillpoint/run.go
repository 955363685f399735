package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stillpoint-db/stillpoint/internal/progress"
)

// Run runs one command line and returns its exit code. Results go to stdout;
// messages, logs and progress go to stderr. It ends soon after ctx does.
func Run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &app{stdin: stdin, stdout: &resultWriter{w: stdout}, stderr: stderr, output: "text", logger: slog.New(slog.DiscardHandler)}
	if wantsJSON(args) {
		a.output = "json" // so that even a command line that cannot be parsed is answered as asked
	}
	root := rootCommand(a)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err != nil && !a.started {
		err = usage(err)
	}
	return a.finish(ctx, err)
}

// app is what all commands share: the streams, the flags that every command
// has, and the result.
type app struct {
	stdin  io.Reader
	stdout *resultWriter
	stderr io.Writer

	configFile     string
	output         string // "text" or "json"
	progressMode   string // "auto", "json" or "none"
	quiet, verbose bool

	logger  *slog.Logger
	started bool // the command line is understood; errors are the command's
	result  any  // see emit
}

func rootCommand(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "stillpoint",
		Short: "Transactions over several SQL databases, and consistent backups of all of them together",
		Long: `Transactions over several SQL databases, and consistent backups of all of them
together, without a pause.

Every command that touches databases takes the properties file that the
applications use: --config FILE. Results go to standard output, everything else
to standard error; with --output json, standard output is exactly one JSON
object, for failures too.

` + exitHelp(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.CompletionOptions.HiddenDefaultCmd = true
	f := root.PersistentFlags()
	f.StringVar(&a.configFile, "config", "", "the properties `FILE` that names the databases")
	f.StringVar(&a.output, "output", a.output, "`FORMAT` of the result: text or json")
	f.StringVar(&a.progressMode, "progress", "auto", "`FORM` of progress on standard error: auto, json or none")
	f.BoolVarP(&a.quiet, "quiet", "q", false, "errors only on standard error")
	f.BoolVarP(&a.verbose, "verbose", "v", false, "say more on standard error")
	root.PersistentPreRunE = func(*cobra.Command, []string) error { return a.prepare() }
	root.SetHelpCommand(helpCommand())
	for _, command := range commands {
		root.AddCommand(command(a))
	}
	for _, c := range root.Commands() {
		requireSubcommand(c)
	}
	requireSubcommand(root)
	other := root.RunE
	show := root.Flags().Bool("version", false, "show the version")
	root.RunE = func(cmd *cobra.Command, args []string) error {
		if *show && len(args) == 0 {
			a.started = true
			a.version()
			return nil
		}
		return other(cmd, args)
	}
	return root
}

// prepare checks the flags that every command has.
func (a *app) prepare() error {
	if a.output != "text" && a.output != "json" {
		got := a.output
		a.output = "text"
		return usagef("--output is text or json, not %q", got)
	}
	if !slices.Contains([]string{"auto", "json", "none"}, a.progressMode) {
		return usagef("--progress is auto, json or none, not %q", a.progressMode)
	}
	if a.quiet && a.verbose {
		return usagef("--quiet and --verbose exclude each other")
	}
	level := slog.LevelWarn
	switch {
	case a.quiet:
		level = slog.LevelError
	case a.verbose:
		level = slog.LevelDebug
	}
	a.logger = slog.New(newLogHandler(a.stderr, level))
	return nil
}

// do makes the function that cobra runs. What it returns from then on is the
// command's failure, and not a misuse of the command line.
func (a *app) do(run func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		a.started = true
		return run(cmd.Context(), args)
	}
}

// progress makes what shows the progress of a command's work. The command
// closes it before it emits its result.
func (a *app) progress() *progress.Reporter {
	form := progress.Auto
	switch {
	case a.progressMode == "json":
		form = progress.JSON
	case a.progressMode == "none" || a.quiet:
		form = progress.Silent
	}
	return progress.New(a.stderr, form)
}

// noArgs is for commands that take flags only.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("%s takes no arguments, only flags; %q is none. Try: %s --help", c.CommandPath(), args[0], c.CommandPath())
	}
	return nil
}

// requireSubcommand makes a command that only groups others refuse to be run,
// or to be run with a name that it does not know.
func requireSubcommand(c *cobra.Command) {
	if c.Runnable() || !c.HasSubCommands() {
		return
	}
	c.Args = cobra.ArbitraryArgs
	c.RunE = func(cmd *cobra.Command, args []string) error {
		var names []string
		for _, sub := range cmd.Commands() {
			if sub.IsAvailableCommand() {
				names = append(names, sub.Name())
			}
		}
		list := strings.Join(names, ", ")
		if len(args) == 0 {
			return usagef("%s needs a command: %s. Try: %s --help", cmd.CommandPath(), list, cmd.CommandPath())
		}
		return usagef("%s has no command %q; it has %s%s", cmd.CommandPath(), args[0], list, didYouMean(args[0], names))
	}
}

// wantsJSON looks for --output json without understanding anything else.
func wantsJSON(args []string) bool {
	for i, arg := range args {
		if arg == "--output=json" || arg == "--output" && i+1 < len(args) && args[i+1] == "json" {
			return true
		}
	}
	return false
}

// colour tells whether messages to a stream may be coloured.
func colour(w io.Writer) bool {
	return os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && isTerminal(w)
}
