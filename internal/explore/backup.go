package explore

import (
	"context"
	"errors"
	"iter"
	"sync"
	"time"

	"github.com/stillpoint-db/stillpoint/backup/fence"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/restore/settle"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/txn/record"
	"github.com/stillpoint-db/stillpoint/txn/txntest"
)

// copied is a backup: the rows of every table, and the commit points between
// which it was taken.
type copied struct {
	first, last int // commit points when the fence was taken, and when the last snapshot was open
	rows        map[model.TableName][]*model.Row
}

// backup takes a copy of all databases: under the fence if there are several,
// the Coordinator's first, the others at once.
func (w *world) backup(ctx context.Context, gates []*gate) (*copied, error) {
	var members []fence.Member
	var snaps []storage.Snapshot
	for i, g := range gates {
		snap, err := g.PrepareSnapshot(ctx, storage.SnapshotOptions{Tables: w.tablesOf(i)})
		if err != nil {
			return nil, err
		}
		defer func() { _ = snap.Close() }()
		snaps = append(snaps, snap)
		members = append(members, fence.Member{Storage: g.Name(), Fencer: g, Tables: w.tablesOf(i)})
	}
	c := &copied{rows: map[model.TableName][]*model.Row{}}
	open := func(ctx context.Context) error {
		c.first = w.oracle.count()
		if err := snaps[0].Open(ctx); err != nil {
			return err
		}
		if err := openAll(ctx, snaps[1:]); err != nil {
			return err
		}
		c.last = w.oracle.count()
		return nil
	}
	if len(gates) == 1 { // one database is one moment anyhow
		gates[0].opened = func() { c.first, c.last = w.oracle.count(), w.oracle.count() }
		if err := snaps[0].Open(ctx); err != nil {
			return nil, err
		}
	} else if _, err := fence.Under(ctx, members, fence.Options{Coordinator: coordinatorName, Budget: 20 * time.Second, Spread: w.spread}, open); err != nil {
		return nil, err
	}
	for i, s := range snaps {
		for _, name := range w.tablesOf(i) {
			if err := read(ctx, s, name, c); err != nil {
				return nil, err
			}
		}
	}
	return c, nil
}

// openAll opens snapshots at once.
func openAll(ctx context.Context, snaps []storage.Snapshot) error {
	errs := make([]error, len(snaps))
	var wg sync.WaitGroup
	for i, s := range snaps {
		wg.Go(func() { errs[i] = s.Open(ctx) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func read(ctx context.Context, s storage.Snapshot, name model.TableName, c *copied) error {
	table, err := s.Table(ctx, name)
	if err != nil {
		return err
	}
	parts, err := s.Split(ctx, table, 1)
	if err != nil {
		return err
	}
	for _, part := range parts {
		if err := s.Read(ctx, table, part, func(r *model.Row) error {
			c.rows[name] = append(c.rows[name], r.Clone())
			return nil
		}); err != nil {
			return err
		}
	}
	return s.Verify(ctx)
}

// restore settles a copy as a restore does and returns what its users see. live
// are the Coordinator's rows of the databases as they are now.
func restore(ctx context.Context, c *copied, live []*model.Row) (state, error) {
	decisions := settle.New()
	for name, rows := range c.rows {
		if name == coordinatorName {
			continue
		}
		for _, r := range rows {
			if _, err := decisions.Meet(layouts[name], r); err != nil {
				return nil, err
			}
		}
	}
	if err := decisions.Learn(ctx, settle.Coordinators{Copy: rowsOf(c.rows[coordinatorName]), Live: rowsOf(live)}); err != nil {
		return nil, err
	}
	s := state{}
	for name, rows := range c.rows {
		if name == coordinatorName {
			continue
		}
		l := layouts[name]
		for _, r := range rows {
			out, _ := decisions.Settle(l, r)
			if out == nil {
				continue
			}
			if !l.IsCommitted(out) {
				return nil, model.Errorf(model.ErrInconsistent, "%s%s is not committed after the restore", name, out.Key())
			}
			key, value := txntest.Show(l.UserRow(out))
			s[key] = value
		}
	}
	return s, nil
}

func rowsOf(rows []*model.Row) settle.Rows {
	return func(context.Context) iter.Seq2[*model.Row, error] {
		return func(yield func(*model.Row, error) bool) {
			for _, r := range rows {
				if !yield(r, nil) {
					return
				}
			}
		}
	}
}

var coordinatorName = record.CoordinatorName("")
