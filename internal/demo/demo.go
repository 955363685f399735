// Package demo is the whole story in a minute, on SQLite: transfers over two
// databases, a backup while they run, the loss of both, and the proof that the
// restored ones are right. The program that runs it must import the SQLite
// storage.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/stillpoint-db/stillpoint"
	"github.com/stillpoint-db/stillpoint/backup/catalog"
	"github.com/stillpoint-db/stillpoint/backup/create"
	"github.com/stillpoint-db/stillpoint/backup/manifest"
	"github.com/stillpoint-db/stillpoint/backup/plan"
	"github.com/stillpoint-db/stillpoint/backup/repo"
	"github.com/stillpoint-db/stillpoint/config"
	"github.com/stillpoint-db/stillpoint/internal/workload"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/restore"
	"github.com/stillpoint-db/stillpoint/storage/multi"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

const (
	accounts = 30 // in each database
	initial  = 1000
	workers  = 8
	marker   = ".stillpoint-demo" // in a folder that the demo made
)

var branches = []string{"bank", "vault"}

// Options say where the demo works and what it may take its time for.
type Options struct {
	Folder string        // made new; one that an earlier demo made is replaced
	Warm   time.Duration // how long transfers run before the backup; 0 = 2 s
}

// Report is what the demo found, for scripts.
type Report struct {
	Folder       string          `json:"folder"`
	PerSecond    float64         `json:"transfers_per_second"`
	Backup       string          `json:"backup"`
	BackupTime   time.Duration   `json:"backup_ns"`
	LongestStall time.Duration   `json:"longest_stall_ns"` // of a writer, by the fence
	Refused      int64           `json:"refused"`          // transfers that failed while the backup ran
	NaiveTotal   int64           `json:"naive_total"`
	Want         int64           `json:"want"`
	Restored     workload.Report `json:"restored"`
	InDoubt      int64           `json:"settled_records"`
}

// Run runs the demo and prints to w. It fails if anything that it shows does
// not hold.
func Run(ctx context.Context, w io.Writer, o Options) (*Report, error) {
	if o.Warm == 0 {
		o.Warm = 2 * time.Second
	}
	d := &demo{w: w, o: o, report: Report{Folder: o.Folder}}
	if err := d.prepare(); err != nil {
		return nil, err
	}
	if err := d.transfersAndBackup(ctx); err != nil {
		return nil, err
	}
	if err := d.lose(); err != nil {
		return nil, err
	}
	if err := d.restore(ctx); err != nil {
		return nil, err
	}
	if err := d.verify(ctx); err != nil {
		return nil, err
	}
	fmt.Fprintf(w, "Everything is in %s. Next: docs/getting-started.md\n", shown(o.Folder))
	return &d.report, nil
}

type demo struct {
	w      io.Writer
	o      Options
	report Report
}

// line prints what is done, and what came of it when it is.
func (d *demo) line(what string, f func() (string, error)) error {
	fmt.Fprintf(d.w, "%s ", what)
	result, err := f()
	if err != nil {
		fmt.Fprintln(d.w, "failed")
		return fmt.Errorf("%s: %w", what, err)
	}
	fmt.Fprintf(d.w, "%s %s\n", strings.Repeat(".", max(3, 64-len(what))), result)
	return nil
}

func shown(folder string) string {
	if filepath.IsAbs(folder) {
		return folder
	}
	return "./" + filepath.Clean(folder)
}

func (d *demo) file(name string) string { return filepath.Join(d.o.Folder, name) }

// prepare makes the folder; it removes only what an earlier demo made.
func (d *demo) prepare() error {
	entries, err := os.ReadDir(d.o.Folder)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if len(entries) > 0 {
		if _, err := os.Stat(d.file(marker)); err != nil {
			return &model.Error{Class: model.ErrRefused, Op: "demo", Detail: "the folder " + d.o.Folder + " holds something else",
				Hint: "Run it in another folder, or name one with --folder"}
		}
		if err := os.RemoveAll(d.o.Folder); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(d.o.Folder, 0o755); err != nil {
		return &model.Error{Op: "demo", Err: err, Hint: "Run it in a folder that may be written to, or name one with --folder"}
	}
	if err := os.WriteFile(d.file(marker), nil, 0o644); err != nil {
		return err
	}
	return os.WriteFile(d.file("demo.properties"), []byte(properties), 0o644)
}

// properties are for the folder itself, so that the commands that people try
// next work from within it.
const properties = `# Two SQLite databases; the Coordinator's table is in the first.
scalar.db.storage=multi-storage
scalar.db.multi_storage.storages=bank,vault
scalar.db.multi_storage.storages.bank.storage=jdbc
scalar.db.multi_storage.storages.bank.contact_points=jdbc:sqlite:bank.db
scalar.db.multi_storage.storages.vault.storage=jdbc
scalar.db.multi_storage.storages.vault.contact_points=jdbc:sqlite:vault.db
scalar.db.multi_storage.namespace_mapping=bank:bank,vault:vault,coordinator:bank
scalar.db.multi_storage.default_storage=bank
`

// settings are the same properties, seen from here.
func (d *demo) settings() (*config.Config, error) {
	text := properties
	for _, b := range branches {
		text = strings.ReplaceAll(text, "jdbc:sqlite:"+b+".db", "jdbc:sqlite:"+d.file(b+".db"))
	}
	return config.Parse("demo.properties", []byte(text))
}

func (d *demo) open(ctx context.Context) (*stillpoint.DB, error) {
	cfg, err := d.settings()
	if err != nil {
		return nil, err
	}
	return stillpoint.Open(ctx, (*stillpoint.Config)(cfg))
}

// transfersAndBackup moves money and takes a backup meanwhile, as another
// process would: over connections of its own.
func (d *demo) transfersAndBackup(ctx context.Context) (err error) {
	db, err := d.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	bank := workload.NewBank(db, branches, accounts, initial)
	if err := bank.Open(ctx); err != nil {
		return err
	}
	d.report.Want = bank.Want()
	fmt.Fprintf(d.w, "two SQLite databases: bank.db (%d accounts), vault.db (%d accounts), %s in all\n", accounts, accounts, grouped(bank.Want()))

	running, stop := context.WithCancel(ctx)
	defer stop()
	var moved, refused atomic.Int64
	finished := make(chan workload.Result, 1)
	go func() {
		finished <- bank.Run(running, workload.RunOptions{Workers: workers, Observe: func(_ time.Duration, err error) {
			if err != nil {
				refused.Add(1)
			} else {
				moved.Add(1)
			}
		}})
	}()
	defer func() {
		stop()
		if r := <-finished; r.Failed > 0 && err == nil {
			err = fmt.Errorf("transfers failed: %s", strings.Join(r.Errors, "; "))
		}
	}()
	err = d.line(fmt.Sprintf("%d goroutines move money between them", workers), func() (string, error) {
		select {
		case <-time.After(d.o.Warm):
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
		d.report.PerSecond = float64(moved.Load()) / d.o.Warm.Seconds()
		return fmt.Sprintf("%s transfers/s", grouped(int64(d.report.PerSecond))), nil
	})
	if err != nil {
		return err
	}
	if err := d.backup(ctx, &refused); err != nil {
		return err
	}
	return d.naive(ctx)
}

func (d *demo) backup(ctx context.Context, refused *atomic.Int64) error {
	return d.line("backing up while they run", func() (string, error) {
		before, begun := refused.Load(), time.Now()
		m, err := d.create(ctx)
		if err != nil {
			return "", err
		}
		r := &d.report
		r.Backup, r.BackupTime, r.Refused = m.ID, time.Since(begun), refused.Load()-before
		if m.Fence != nil {
			r.LongestStall = m.Fence.LongestStall
		}
		refusedText := "nothing refused"
		if r.Refused > 0 {
			refusedText = fmt.Sprintf("%d refused", r.Refused)
		}
		return fmt.Sprintf("%s, %s, writers held for %s at most", ms(r.BackupTime), refusedText, ms(r.LongestStall)), nil
	})
}

func (d *demo) create(ctx context.Context) (*manifest.Manifest, error) {
	var m *manifest.Manifest
	err := d.connected(ctx, func(cfg *config.Config, set *multi.Set) (err error) {
		m, err = create.Run(ctx, set, repo.InFolder(d.file("backups")), create.Options{
			Plan: plan.Options{CoordinatorNamespace: cfg.Transaction.CoordinatorNamespace, OnePhase: cfg.Transaction.OnePhaseCommit},
		})
		return err
	})
	return m, err
}

func (d *demo) connected(ctx context.Context, f func(*config.Config, *multi.Set) error) error {
	cfg, err := d.settings()
	if err != nil {
		return err
	}
	set, err := config.Open(ctx, cfg, nil)
	if err != nil {
		return err
	}
	return errors.Join(f(cfg, set), set.Close())
}

// naive reads the two databases one after the other, as one dump each would:
// the control that shows that the checks bite.
func (d *demo) naive(ctx context.Context) error {
	return d.line("  the same moment copied naively, for comparison", func() (string, error) {
		return d.naiveTotal(ctx)
	})
}

func (d *demo) naiveTotal(ctx context.Context) (string, error) {
	var total int64
	err := d.connected(ctx, func(_ *config.Config, set *multi.Set) error {
		// Dumps of real size take their time. A few tries, because now and then
		// the money happens to add up.
		for range 10 {
			total = 0
			for _, b := range branches {
				sum, err := storedSum(ctx, set, model.TableName{Namespace: b, Name: workload.AccountsTable})
				if err != nil {
					return err
				}
				total += sum
				time.Sleep(50 * time.Millisecond)
			}
			if total != d.report.Want {
				return nil
			}
		}
		return nil
	})
	d.report.NaiveTotal = total
	if total == d.report.Want {
		return "right by luck: nothing moved between the two copies", err
	}
	return fmt.Sprintf("torn: %s of %s", grouped(total), grouped(d.report.Want)), err
}

// lose deletes both databases.
func (d *demo) lose() error {
	return d.line("deleting both databases", func() (string, error) {
		for _, b := range branches {
			files, err := filepath.Glob(d.file(b + ".db*"))
			if err != nil {
				return "", err
			}
			for _, f := range files {
				if err := os.Remove(f); err != nil {
					return "", err
				}
			}
		}
		return "gone", nil
	})
}

func (d *demo) restore(ctx context.Context) error {
	return d.line("restoring", func() (string, error) {
		var rep *restore.Report
		err := d.connected(ctx, func(cfg *config.Config, set *multi.Set) error {
			b, err := catalog.Open(ctx, repo.InFolder(d.file("backups")), d.report.Backup)
			if err != nil {
				return err
			}
			backup, err := restore.FromCatalog(b)
			if err != nil {
				return err
			}
			rep, err = restore.Run(ctx, restore.Options{Backup: backup, Journal: restore.Beside(b.Files()), Target: restore.Target{
				Storages: set.Storages(), Label: "demo.properties",
				Coordinator: record.CoordinatorName(cfg.Transaction.CoordinatorNamespace),
				Route:       func(n model.TableName) string { return set.Route(n).Name() },
			}})
			if err != nil {
				return err
			}
			return rep.Err()
		})
		if err != nil {
			return "", err
		}
		var nAccounts, nHistory int64
		for _, t := range rep.Tables {
			switch {
			case strings.HasSuffix(t.ID, workload.AccountsTable):
				nAccounts += t.Rows
			case strings.HasSuffix(t.ID, workload.HistoryTable):
				nHistory += t.Rows
			}
		}
		d.report.InDoubt = rep.InDoubt
		return fmt.Sprintf("%s accounts, %s history rows, %d in doubt settled", grouped(nAccounts), grouped(nHistory), rep.InDoubt), nil
	})
}

func (d *demo) verify(ctx context.Context) error {
	return d.line("checking", func() (result string, err error) {
		db, err := d.open(ctx)
		if err != nil {
			return "", err
		}
		defer func() { err = errors.Join(err, db.Close()) }()
		r, err := workload.NewBank(db, branches, accounts, initial).Verify(ctx)
		if err != nil {
			return "", err
		}
		d.report.Restored = r
		if !r.OK() {
			return "", model.Errorf(model.ErrInconsistent, "%s", r)
		}
		return fmt.Sprintf("%s of %s; every account equals its history", grouped(r.Total), grouped(r.Want)), nil
	})
}
