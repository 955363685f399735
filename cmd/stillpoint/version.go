package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stillpoint-db/stillpoint/storage"
)

func versionCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Show the version, and the databases that this binary speaks",
		Args:  noArgs,
		RunE:  a.do(func(context.Context, []string) error { a.version(); return nil }),
	}
}

type versionResult struct {
	Version  string  `json:"version"`
	Commit   string  `json:"commit,omitempty"`
	Go       string  `json:"go"`
	Platform string  `json:"platform"`
	Storages []named `json:"storages"`
}

func (a *app) version() {
	v := versionResult{Version: "(devel)", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, Storages: ids(storage.Drivers())}
	if info, ok := debug.ReadBuildInfo(); ok {
		if info.Main.Version != "" {
			v.Version = info.Main.Version
		}
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				v.Commit = s.Value
			}
		}
	}
	a.emit(v, func(w io.Writer) {
		fmt.Fprintf(w, "stillpoint %s, %s, %s; storages: %s\n", v.Version, v.Go, v.Platform, strings.Join(storage.Drivers(), ", "))
	})
}
