package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/stillpoint-db/stillpoint/backup/create"
	"github.com/stillpoint-db/stillpoint/backup/fence"
	"github.com/stillpoint-db/stillpoint/backup/manifest"
	"github.com/stillpoint-db/stillpoint/backup/plan"
	"github.com/stillpoint-db/stillpoint/backup/repo"
	"github.com/stillpoint-db/stillpoint/backup/verify"
	"github.com/stillpoint-db/stillpoint/config"
	"github.com/stillpoint-db/stillpoint/internal/progress"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/multi"
)

// createOptions are the flags of create.
type createOptions struct {
	from     sourceFlags
	to       repoFlag
	workers  int
	throttle string
	noVerify bool
}

func backupCreateCommand(a *app) *cobra.Command {
	var o createOptions
	c := &cobra.Command{
		Use:   "create",
		Short: "Take a backup",
		Long: `Take a backup. The plan is made first, and the command is refused for the reasons
that backup plan shows. Afterwards the files are read back and verified.

` + exitHelp(0, 1, 4, 5, 6, 7, 64),
		Example: `  stillpoint backup create --config prod.properties --repo /backups/prod
  stillpoint backup create --config prod.properties --repo /backups/prod --throttle 20MB`,
		Args: noArgs,
		RunE: a.do(func(ctx context.Context, _ []string) error {
			r, err := o.to.open()
			if err != nil {
				return err
			}
			if o.workers < 0 {
				return usagef("--workers is at least 1; 0 is one a processor")
			}
			rate, err := parseRate(o.throttle)
			if err != nil {
				return err
			}
			return a.connected(ctx, func(cfg *config.Config, set *multi.Set) error {
				return a.createBackup(ctx, cfg, set, r, &o, rate)
			})
		}),
	}
	o.from.flags(c)
	o.to.flag(c)
	f := c.Flags()
	f.IntVar(&o.workers, "workers", 0, "the most parts of tables that are read at once (default one a processor)")
	f.StringVar(&o.throttle, "throttle", "", "the most `BYTES` of rows that are read in a second, as in 20MB; at most one second's worth is read at once")
	f.BoolVar(&o.noVerify, "no-verify", false, "do not read the files back")
	return c
}

// parseRate reads a number of bytes with a unit: B, kB, MB or GB; "" is 0.
func parseRate(s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	number := strings.TrimRight(strings.TrimSuffix(s, "/s"), "bBkKmMgG")
	unit := strings.ToUpper(strings.TrimSpace(strings.TrimSuffix(s, "/s")[len(number):]))
	factor := map[string]float64{"": 1, "B": 1, "K": 1e3, "KB": 1e3, "M": 1e6, "MB": 1e6, "G": 1e9, "GB": 1e9}[unit]
	n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || factor == 0 || !(n*factor >= 1 && n*factor < 1e15) {
		return 0, usagef("--throttle %s is not a number of bytes a second, as in 20MB", s)
	}
	return int64(n * factor), nil
}

// createResult is the result of create.
type createResult struct {
	Backup   string             `json:"backup"`
	Verified manifest.Depth     `json:"verified,omitempty"`
	Manifest *manifest.Manifest `json:"manifest"`
	Repo     string             `json:"repo"`
}

func (a *app) createBackup(ctx context.Context, cfg *config.Config, set *multi.Set, r repo.Repository, o *createOptions, rate int64) error {
	show := &createProgress{a: a, r: a.progress(), tasks: map[string]*progress.Task{}}
	defer show.r.Close()
	m, err := create.Run(ctx, set, r, create.Options{Plan: o.from.options(cfg), Workers: o.workers, Throttle: rate,
		Version: programVersion(), Progress: show, Logger: a.logger})
	if err != nil {
		show.fail(err)
		return err
	}
	res := createResult{Backup: m.ID, Manifest: m, Repo: r.Location()}
	how := "not verified"
	if !o.noVerify {
		task := show.r.Task("verify", m.Totals.Size, progress.Bytes)
		rep, err := verify.Run(ctx, r, m.ID, verify.Options{Version: programVersion(), Progress: task.Add})
		if err == nil {
			err = rep.Err()
		}
		if err != nil {
			task.Fail(err)
			return fmt.Errorf("backup %s is sealed, but could not be verified: %w", m.ID, err)
		}
		task.Done("")
		res.Verified = rep.Depth
		how = "verified: files, contents"
	}
	show.r.Close()
	a.emit(res, func(w io.Writer) {
		fmt.Fprintf(w, "sealed  %s  %s -> %s, %s rows, %s; next: stillpoint backup verify --trial-restore --repo %s --backup %s\n",
			m.ID, progress.Size(m.Totals.Raw), progress.Size(m.Totals.Size), progress.Count(m.Totals.Rows), how, r.Location(), m.ID)
	})
	return nil
}

// createProgress shows how a backup goes on.
type createProgress struct {
	a *app
	r *progress.Reporter

	mu    sync.Mutex // guards the map; tasks guard themselves
	tasks map[string]*progress.Task
}

// Planned implements create.Progress.
func (p *createProgress) Planned(pl *plan.Plan) {
	for _, f := range pl.Findings {
		if f.Severity == storage.Warning {
			p.a.logger.Warn(f.String())
		}
	}
	p.r.Say("plan", "%s", pl.Why)
}

// Opened implements create.Progress.
func (p *createProgress) Opened(rep *fence.Report) {
	if rep == nil {
		p.r.Say("open", "the snapshot is open; nothing was held")
		return
	}
	p.r.Say("fence", "%s", fenceText(rep))
}

// fenceText tells what a fence did to the writers.
func fenceText(rep *fence.Report) string {
	var names []string
	var first, granted, released time.Time
	for _, s := range rep.Spans {
		names = append(names, s.Storage)
		if first.IsZero() || s.Asked.Before(first) {
			first = s.Asked
		}
		granted = latest(granted, s.Granted)
		released = latest(released, s.Released)
	}
	text := fmt.Sprintf("%s locked in %s, all snapshots open, released after %s (longest stall of a writer %s, 0 refused)",
		andList(names), milli(granted.Sub(first)), milli(released.Sub(first)), milli(rep.LongestStall))
	if rep.Tries > 1 {
		text += fmt.Sprintf("; %d attempts", rep.Tries)
	}
	return text
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// milli renders a short time, rounded up.
func milli(d time.Duration) string {
	return fmt.Sprintf("%d ms", (d+time.Millisecond-1)/time.Millisecond)
}

func andList(names []string) string {
	names = slices.Clone(names)
	if n := len(names); n > 1 {
		names = append(names[:n-2], names[n-2]+" and "+names[n-1])
	}
	return strings.Join(names, ", ")
}

// Copying implements create.Progress.
func (p *createProgress) Copying(store string, bytes int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tasks[store] = p.r.Task(store, bytes, progress.Bytes)
}

func (p *createProgress) task(store string) *progress.Task {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tasks[store]
}

// Copied implements create.Progress.
func (p *createProgress) Copied(store string, _, bytes int64) { p.task(store).Add(bytes) }

// Complete implements create.Progress.
func (p *createProgress) Complete(store string) { p.task(store).Done("") }

// fail ends the tasks that go on.
func (p *createProgress) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range p.tasks {
		t.Fail(fmt.Errorf("stopped: %w", err))
	}
}
