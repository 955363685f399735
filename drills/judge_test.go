//go:build java && servers && failpoints

package drills

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"os"
	"testing"
	"time"

	"github.com/stillpoint-db/stillpoint"
	"github.com/stillpoint-db/stillpoint/backup/catalog"
	"github.com/stillpoint-db/stillpoint/backup/repo"
	"github.com/stillpoint-db/stillpoint/check"
	"github.com/stillpoint-db/stillpoint/config"
	"github.com/stillpoint-db/stillpoint/internal/workload"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

// queries asks whether all money is there and every account equals its history.
func (w *world) queries(t *testing.T) []check.Query {
	t.Helper()
	type aggregate map[string]any
	var balances []string
	var list []map[string]any
	for _, ns := range w.namespaces {
		a, h := ns+"."+workload.AccountsTable, ns+"."+workload.HistoryTable
		balances = append(balances, a+".balance")
		list = append(list, map[string]any{"name": ns + ": accounts equal their history", "sum": []string{a + ".balance"}, "by": []string{a + ".id"},
			"equals": aggregate{"sum": []string{h + ".amount"}, "by": []string{h + ".account"}}})
	}
	list = append(list, map[string]any{"name": "total", "sum": balances, "equals": len(w.namespaces) * accounts * initial})
	data, err := json.Marshal(map[string]any{"format": check.QueryFormat, "queries": list})
	if err != nil {
		t.Fatal(err)
	}
	qs, err := check.ParseQueries(data)
	if err != nil {
		t.Fatal(err)
	}
	return qs
}

// judge says what is wrong with data that nobody writes to any more.
func judge(t *testing.T, w *world, src check.Source) error {
	t.Helper()
	rep, err := check.Run(t.Context(), src, check.Options{Queries: w.queries(t)})
	if err != nil {
		t.Fatal(err)
	}
	return rep.Err()
}

// opened is a backup as a source to be judged.
func opened(t *testing.T, folder, id string) *check.Backup {
	t.Helper()
	b, err := catalog.Open(t.Context(), repo.InFolder(folder), id)
	if err != nil {
		t.Fatal(err)
	}
	src, err := check.NewBackup(b)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// wantWhole fails the test unless the rows of a backup are right as they are.
func wantWhole(t *testing.T, w *world, folder, id string) {
	t.Helper()
	if err := judge(t, w, opened(t, folder, id)); err != nil {
		t.Errorf("backup %s is wrong: %v", id, err)
	}
}

// wantRight fails the test unless what a program sees in databases is right. Nobody
// else may use them.
func wantRight(t *testing.T, w *world) workload.Report {
	t.Helper()
	var r workload.Report
	w.use(t, func(_ *stillpoint.DB, bank *workload.Bank) {
		var err error
		if r, err = bank.Verify(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	if !r.OK() || r.Accounts != int64(len(w.namespaces)*accounts) || r.Want != r.Accounts*initial {
		t.Errorf("the bank is wrong: %s", r)
	}
	return r
}

// wantRestored restores a backup into new SQLite files and looks at the result.
func wantRestored(t *testing.T, w *world, folder, id string) workload.Report {
	t.Helper()
	into := w.inSQLite(t)
	restore(t, into, folder, id)
	r := wantRight(t, into)
	into.wipe(t)
	return r
}

// copied is what a script that knows nothing of transactions has: a consistent
// snapshot of each database, one after the other.
type copied struct {
	tables      []check.Table
	coordinator check.Table
	rows        map[model.TableName][]*model.Row
}

// Label implements check.Source.
func (c *copied) Label() string { return "naive copy" }

// Moment implements check.Source.
func (c *copied) Moment() time.Time { return time.Now() }

// Tables implements check.Source.
func (c *copied) Tables(context.Context) ([]check.Table, error) { return c.tables, nil }

// Skipped implements check.Source.
func (c *copied) Skipped() []check.Table { return nil }

// Coordinator implements check.Source.
func (c *copied) Coordinator(context.Context) (check.Table, error) { return c.coordinator, nil }

// Rows implements check.Source.
func (c *copied) Rows(_ context.Context, t check.Table) iter.Seq2[*model.Row, error] {
	return func(yield func(*model.Row, error) bool) {
		for _, row := range c.rows[t.Name()] {
			if !yield(row, nil) {
				return
			}
		}
	}
}

// naiveCopy copies all databases of a world one after the other, each by the same
// snapshots that backups use: the fence is all that is missing.
func naiveCopy(ctx context.Context, w *world) (_ *copied, err error) {
	cfg, err := config.FromMap(w.properties)
	if err != nil {
		return nil, err
	}
	set, err := config.Open(ctx, cfg, nil)
	if err != nil {
		return nil, err
	}
	defer set.Close()
	live := check.NewDatabases("live", set, "")
	c := &copied{rows: map[model.TableName][]*model.Row{}}
	if c.tables, err = live.Tables(ctx); err != nil {
		return nil, err
	}
	if c.coordinator, err = live.Coordinator(ctx); err != nil {
		return nil, err
	}
	for _, s := range set.Storages() {
		var names []model.TableName
		for _, t := range append(c.tables[:len(c.tables):len(c.tables)], c.coordinator) {
			if t.Storage == s.Name() {
				names = append(names, t.Name())
			}
		}
		if err := c.copyOne(ctx, s, names); err != nil {
			return nil, fmt.Errorf("copy %s: %w", s.Name(), err)
		}
	}
	return c, nil
}

func (c *copied) copyOne(ctx context.Context, s storage.Storage, names []model.TableName) error {
	scratch, err := os.MkdirTemp("", "stillpoint-drills-naive-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	snap, err := s.(storage.Snapshotter).PrepareSnapshot(ctx, storage.SnapshotOptions{Tables: names, Scratch: scratch})
	if err != nil {
		return err
	}
	defer snap.Close()
	if err := snap.Open(ctx); err != nil {
		return err
	}
	if err := snap.Detach(ctx); err != nil {
		return err
	}
	for _, name := range names {
		def, err := snap.Table(ctx, name)
		if err != nil {
			return err
		}
		parts, err := snap.Split(ctx, def, 1)
		if err != nil {
			return err
		}
		for _, p := range parts {
			if err := snap.Read(ctx, def, p, func(row *model.Row) error {
				c.rows[name] = append(c.rows[name], row.Clone())
				return nil
			}); err != nil {
				return err
			}
		}
	}
	return nil
}

// decisions counts the committed transactions that are seen in the histories of
// a backup, and those of them that the Coordinator knows nothing of: they were
// committed by one write.
func decisions(t *testing.T, w *world, folder, id string) (all, onePhase int) {
	t.Helper()
	b, err := catalog.Open(t.Context(), repo.InFolder(folder), id)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, ns := range w.namespaces {
		m := b.Manifest.Table(model.TableName{Namespace: ns, Name: workload.HistoryTable})
		for row, err := range b.Rows(t.Context(), m) {
			if err != nil {
				t.Fatal(err)
			}
			if row.Get(record.TxState).Int64() == int64(record.Committed) {
				seen[string([]byte(row.Get(record.TxID).Str()))] = true
			}
		}
	}
	all = len(seen)
	for row, err := range b.Rows(t.Context(), b.Manifest.Table(record.CoordinatorName(""))) {
		if err != nil {
			t.Fatal(err)
		}
		delete(seen, row.Get(record.TxID).Str())
	}
	return all, len(seen)
}
