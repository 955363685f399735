// Command stillpoint-demo shows the whole story on embedded databases, and
// carries nothing but SQLite. It is the same as "stillpoint demo".
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/stillpoint-db/stillpoint/internal/demo"
	"github.com/stillpoint-db/stillpoint/model"
	_ "github.com/stillpoint-db/stillpoint/storage/sqlite"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run returns the exit code, which is that of "stillpoint demo".
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("stillpoint-demo", flag.ContinueOnError)
	flags.SetOutput(stderr)
	folder := flags.String("folder", "stillpoint-demo", "the `FOLDER` to work in; made new, and replaced only if an earlier demo made it")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 64
	case flags.NArg() > 0:
		fmt.Fprintf(stderr, "error: stillpoint-demo takes no arguments, but is given %q\n", flags.Arg(0))
		return 64
	}
	_, err := demo.Run(ctx, stdout, demo.Options{Folder: *folder})
	if err == nil {
		return 0
	}
	fmt.Fprintln(stderr, "error:", err)
	switch {
	case errors.Is(err, model.ErrInconsistent):
		return 2
	case errors.Is(err, model.ErrRefused):
		return 5
	}
	return 1
}
