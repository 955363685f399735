// Command stillpoint-demo shows the whole story on embedded databases, and
// carries nothing but SQLite. It is the same as "stillpoint demo".
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/stillpoint-db/stillpoint/internal/demo"
	_ "github.com/stillpoint-db/stillpoint/storage/sqlite"
)

func main() {
	folder := flag.String("folder", "stillpoint-demo", "where to work; made new")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if _, err := demo.Run(ctx, os.Stdout, demo.Options{Folder: *folder}); err != nil {
		fmt.Fprintln(os.Stderr, "stillpoint-demo:", err)
		os.Exit(1)
	}
}
