// Command stillpoint manages databases under transactions: their schema, their
// backups, their checks and restores.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	_ "github.com/stillpoint-db/stillpoint/storage/all"
)

func main() {
	defer func() {
		// Go's own code for a panic means "inconsistent" here. A goroutine's panic
		// still ends with it.
		if p := recover(); p != nil {
			fmt.Fprintf(os.Stderr, "error: a fault of this program, please report it: %v\n%s", p, debug.Stack())
			os.Exit(1)
		}
	}()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	code := Run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
