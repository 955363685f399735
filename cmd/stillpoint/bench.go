package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stillpoint-db/stillpoint"
	"github.com/stillpoint-db/stillpoint/config"
	"github.com/stillpoint-db/stillpoint/internal/workload"
)

func benchCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "bench",
		Short: "Run benchmark workloads on the configured databases",
		Long: `Run benchmark workloads on the configured databases, for figures of your own
hardware. The tables are made if they are missing; the numbers compare runs on
one machine at one time, and nothing else.`,
	}
	c.AddCommand(benchTransferCommand(a), benchYCSBCommand(a))
	return c
}

type benchOptions struct {
	duration time.Duration
	workers  int
}

func (o *benchOptions) flags(c *cobra.Command) {
	o.duration = 10 * time.Second
	c.Flags().Var((*seconds)(&o.duration), "duration", "how long to run, as in 30s or 2m; a mere number is seconds")
	c.Flags().IntVar(&o.workers, "workers", 8, "how many goroutines run transactions")
}

// seconds is a duration in Go's form, or a number of seconds.
type seconds time.Duration

func (s *seconds) String() string { return time.Duration(*s).String() }
func (s *seconds) Type() string   { return "duration" }

func (s *seconds) Set(text string) error {
	d, err := time.ParseDuration(text)
	if n, nerr := strconv.ParseFloat(text, 64); nerr == nil {
		d, err = time.Duration(n*float64(time.Second)), nil
	}
	*s = seconds(d)
	return err
}

func (o *benchOptions) check() error {
	if o.duration <= 0 || o.workers < 1 {
		return usagef("--duration must be positive and --workers at least 1")
	}
	return nil
}

func benchTransferCommand(a *app) *cobra.Command {
	var o benchOptions
	accounts := 100
	c := &cobra.Command{
		Use:   "transfer",
		Short: "Move money between accounts in all storages, and prove that none is lost",
		Long: `Move money between accounts spread over all configured storages, with a row of
history for each side of a move, and then prove that the total is what it was
and that every account equals its history. The tables bench_accounts and
bench_history are made in one namespace of each storage if they are missing.

Several of these may run at the same time, and again and again, on the same
tables. Exit code 1 if the total or a history is wrong.

` + exitHelp(0, 1, 5, 64),
		Example: `  stillpoint bench transfer --config prod.properties --duration 30s --workers 16`,
		Args:    noArgs,
		RunE: a.do(func(ctx context.Context, _ []string) error {
			if err := o.check(); err != nil {
				return err
			}
			if accounts < 2 {
				return usagef("--accounts must be at least 2")
			}
			return a.benching(ctx, func(db *stillpoint.DB, namespaces []string) error {
				return a.benchTransfer(ctx, db, namespaces, accounts, o)
			})
		}),
	}
	o.flags(c)
	c.Flags().IntVar(&accounts, "accounts", accounts, "how many accounts to open in each storage; those that are there stay")
	return c
}

// transferReport is the result for scripts.
type transferReport struct {
	Namespaces []named `json:"namespaces"`
	workload.Result
	PerSecond float64         `json:"per_second"`
	Verified  workload.Report `json:"verified"`
	OK        bool            `json:"ok"`
}

func (a *app) benchTransfer(ctx context.Context, db *stillpoint.DB, namespaces []string, accounts int, o benchOptions) error {
	bank := workload.NewBank(db, namespaces, accounts, 1000)
	if err := bank.Open(ctx); err != nil {
		return err
	}
	res := bank.Run(ctx, workload.RunOptions{Duration: o.duration, Workers: o.workers})
	if err := ctx.Err(); err != nil {
		return err
	}
	verified, err := bank.VerifyWhenQuiet(ctx, 2*time.Minute)
	if err != nil {
		return err
	}
	out := transferReport{Namespaces: ids(namespaces), Result: res, PerSecond: float64(res.Committed) / res.Elapsed.Seconds(), Verified: verified, OK: verified.OK()}
	a.emit(out, func(w io.Writer) {
		fmt.Fprintf(w, "%d transfers committed, %.0f/s; %d gave up on conflicts, %d of unknown outcome, %d failed; longest stall of a worker %v\n",
			res.Committed, out.PerSecond, res.Conflicts, res.Unknown, res.Failed, res.LongestStall.Round(time.Millisecond))
		for _, e := range res.Errors {
			fmt.Fprintln(w, "  failed:", e)
		}
		fmt.Fprintln(w, verified)
	})
	if !verified.OK() {
		return fmt.Errorf("the bank is wrong: %s", verified)
	}
	if res.Committed == 0 && res.Failed > 0 {
		return fmt.Errorf("no transfer was committed: %s", strings.Join(res.Errors, "; "))
	}
	return nil
}

func benchYCSBCommand(a *app) *cobra.Command {
	var o benchOptions
	y := workload.YCSBOptions{Ops: 1}
	records, payload := 1000, 1000
	c := &cobra.Command{
		Use:   "ycsb",
		Short: "Run YCSB A, C or F in transactions",
		Long: `Run YCSB workloads in transactions over the table usertable in one namespace of
each storage: A reads half of its records and reads and writes the other half, C
reads, F reads and writes each. A transaction works on --ops records in each
namespace.

` + exitHelp(0, 1, 5, 64),
		Example: `  stillpoint bench ycsb --config prod.properties --workload F --ops 4 --duration 30s`,
		Args:    noArgs,
		RunE: a.do(func(ctx context.Context, _ []string) error {
			if err := o.check(); err != nil {
				return err
			}
			if records < 1 || payload < 0 {
				return usagef("--records must be at least 1 and --payload not negative")
			}
			y.Workload = strings.ToUpper(y.Workload)
			y.Workers, y.Duration = o.workers, o.duration
			return a.benching(ctx, func(db *stillpoint.DB, namespaces []string) error {
				run := workload.NewYCSB(db, namespaces, records, payload)
				if err := run.Load(ctx); err != nil {
					return err
				}
				res, err := run.Run(ctx, y)
				if err != nil {
					return err
				}
				a.emit(res, func(w io.Writer) {
					fmt.Fprintf(w, "workload %s: %d committed, %.0f/s, p50 %v, p99 %v; %d retries, %d failed\n", res.Workload, res.Committed,
						res.PerSecond, res.P50.Round(time.Microsecond), res.P99.Round(time.Microsecond), res.Retries, res.Failed)
				})
				if res.Committed == 0 && res.Failed > 0 {
					return errors.New(res.Error)
				}
				return ctx.Err()
			})
		}),
	}
	o.flags(c)
	f := c.Flags()
	f.StringVar(&y.Workload, "workload", "F", "`A`, C or F")
	f.IntVar(&y.Ops, "ops", y.Ops, "records of a transaction, in each namespace")
	f.BoolVar(&y.Batched, "batched", false, "make the reads of a transaction in one round trip")
	f.IntVar(&records, "records", records, "records in each table")
	f.IntVar(&payload, "payload", payload, "bytes of a record")
	return c
}

// benching opens the databases with transactions over them.
func (a *app) benching(ctx context.Context, run func(db *stillpoint.DB, namespaces []string) error) error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	db, err := stillpoint.Open(ctx, (*stillpoint.Config)(cfg), stillpoint.WithLogger(a.logger))
	if err != nil {
		return err
	}
	namespaces, without := benchNamespaces(cfg)
	for _, name := range without {
		a.logger.Warn(fmt.Sprintf("storage %q takes no part: no namespace but the Coordinator's is mapped to it in scalar.db.multi_storage.namespace_mapping", name))
	}
	return errors.Join(run(db, namespaces), db.Close())
}

// benchNamespaces chooses one namespace of each storage: the first that is
// mapped to it, the Coordinator's excepted; "bench" where the default storage
// has none. It names the storages that are without.
func benchNamespaces(cfg *config.Config) (namespaces, without []string) {
	byStorage := map[string]string{}
	for _, ns := range slices.Backward(slices.Sorted(maps.Keys(cfg.Routing.Namespaces))) {
		if ns != cfg.Transaction.CoordinatorNamespace {
			byStorage[cfg.Routing.Namespaces[ns]] = ns
		}
	}
	def := cfg.Routing.Default
	if def == "" && len(cfg.Storages) > 0 {
		def = cfg.Storages[0].Name
	}
	if byStorage[def] == "" {
		byStorage[def] = "bench"
	}
	for _, st := range cfg.Storages {
		if byStorage[st.Name] == "" {
			without = append(without, st.Name)
		}
	}
	return slices.Sorted(maps.Values(byStorage)), without
}
