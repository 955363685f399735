// Command stillpoint manages databases under transactions: their schema, their
// backups, their checks and restores.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	_ "github.com/stillpoint-db/stillpoint/storage/all"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	code := Run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
