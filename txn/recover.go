package txn

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stillpoint-db/stillpoint/internal/failpoint"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

// RecoverOptions are the options of RecoverAll.
type RecoverOptions struct {
	// IgnoreLease aborts undecided writers however young their records are. It
	// is for when it is known that none is alive; a living one would find its
	// commit refused, and nothing worse.
	IgnoreLease bool
	// Progress, if not nil, is called after each page.
	Progress func(RecoverReport)
}

// RecoverReport counts what RecoverAll did.
type RecoverReport struct {
	Tables        int           `json:"tables"`         // looked through
	RolledForward int           `json:"rolled_forward"` // records of committed transactions
	RolledBack    int           `json:"rolled_back"`    // records of aborted transactions
	Aborted       int           `json:"aborted"`        // transactions that were undecided and are aborted now
	Live          int           `json:"live"`           // records left alone: their writer may be at work
	Elapsed       time.Duration `json:"elapsed_ns"`
}

// RecoverAll settles every record in doubt of the given tables, or of all
// transactional tables, instead of leaving each to its next reader. It reads
// page by page and does the same as those readers would, so it can run beside
// any traffic, be stopped at any time, and be run again.
func (m *Manager) RecoverAll(ctx context.Context, opts RecoverOptions, names ...model.TableName) (RecoverReport, error) {
	var report RecoverReport
	start := m.opts.Now()
	if len(names) == 0 {
		var err error
		if names, err = m.transactional(ctx); err != nil {
			return report, err
		}
	}
	for _, name := range names {
		t, err := m.table(ctx, name)
		if err != nil {
			return report, fmt.Errorf("recover %s: %w", name, err)
		}
		r := &recovery{m: m, table: t, opts: opts, report: &report}
		if err := r.run(ctx); err != nil {
			return report, fmt.Errorf("recover %s: %w", name, err)
		}
		report.Tables++
		report.Elapsed = m.opts.Now().Sub(start)
	}
	return report, nil
}

// transactional lists all transactional tables.
func (m *Manager) transactional(ctx context.Context) ([]model.TableName, error) {
	admin := m.store.Admin()
	namespaces, err := admin.Namespaces(ctx)
	if err != nil {
		return nil, fmt.Errorf("list namespaces: %w", err)
	}
	var out []model.TableName
	for _, ns := range namespaces {
		if ns == m.coord.table.Name().Namespace {
			continue
		}
		tables, err := admin.Tables(ctx, ns)
		if err != nil {
			return nil, fmt.Errorf("list the tables of %s: %w", ns, err)
		}
		for _, name := range tables {
			switch _, err := m.table(ctx, name); {
			case err == nil:
				out = append(out, name)
			case !errors.Is(err, model.ErrRefused): // refused: not transactional
				return nil, err
			}
		}
	}
	return out, nil
}

// recovery settles one table.
type recovery struct {
	m      *Manager
	table  *table
	opts   RecoverOptions
	report *RecoverReport
}

func (r *recovery) run(ctx context.Context) error {
	s := storage.Scan{Table: r.table.Physical, Kind: storage.ScanTable, Limit: r.m.opts.PageSize, Where: model.Predicate{
		{isValue(record.TxState, model.IntValue(int32(record.Prepared)))},
		{isValue(record.TxState, model.IntValue(int32(record.Deleted)))},
	}}
	for {
		page, err := r.m.store.Scan(ctx, s)
		if err != nil {
			return err
		}
		if err := r.page(ctx, page.Rows); err != nil {
			return err
		}
		if r.opts.Progress != nil {
			r.opts.Progress(*r.report)
		}
		if page.Next == "" {
			return nil
		}
		s.Token = page.Next
	}
}

func (r *recovery) page(ctx context.Context, rows []*model.Row) error {
	decisions, err := r.decide(ctx, rows)
	if err != nil {
		return err
	}
	var writes []storage.Mutation
	forward := 0
	for _, row := range rows {
		d := decisions[r.table.WriterID(row)]
		if r.table.IsCommitted(row) {
			continue
		}
		if d.State == 0 {
			r.report.Live++
			continue
		}
		if d.State == record.Committed {
			forward++
		}
		writes = append(writes, r.table.settlement(row.Key(), row, d))
	}
	if len(writes) == 0 {
		return nil
	}
	failpoint.Here("txn.recover.settle")
	if err := r.m.back.write(ctx, writes); err != nil {
		return err
	}
	r.report.RolledForward += forward
	r.report.RolledBack += len(writes) - forward
	return nil
}

// decide finds out about the writers of a page, and aborts the silent ones,
// after having read their records once more: the rows of finished transactions
// may have been removed from the Coordinator's table in between.
func (r *recovery) decide(ctx context.Context, rows []*model.Row) (map[string]record.Decision, error) {
	out := make(map[string]record.Decision)
	var ids []string
	for _, row := range rows {
		id := r.table.WriterID(row)
		if _, seen := out[id]; seen || r.table.IsCommitted(row) {
			continue
		}
		out[id] = record.Decision{}
		if f, known := r.m.fates.get(id); known {
			out[id] = f.Decision
			continue
		}
		ids = append(ids, id)
	}
	if len(ids) == 0 {
		return out, nil
	}
	ds, err := r.m.coord.readAll(ctx, ids)
	if err != nil {
		return nil, err
	}
	for i, id := range ids {
		out[id] = ds[i]
		r.m.fates.put(id, ds[i], nil)
	}
	for _, row := range rows {
		id := r.table.WriterID(row)
		if r.table.IsCommitted(row) || out[id].State != 0 || !r.opts.IgnoreLease && r.m.leased(r.table, row) {
			continue
		}
		if out[id], err = r.expire(ctx, row); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// expire aborts the writer of one record, if the record is still its.
func (r *recovery) expire(ctx context.Context, row *model.Row) (record.Decision, error) {
	id := r.table.WriterID(row)
	f := []fetched{{table: r.table, key: row.Key()}}
	if err := r.m.fetchRaw(ctx, f); err != nil {
		return record.Decision{}, err
	}
	if now := f[0].row; now == nil || r.table.IsCommitted(now) || r.table.WriterID(now) != id {
		return r.m.coord.read(ctx, id)
	}
	d, err := r.m.coord.abort(ctx, id)
	if err != nil {
		return record.Decision{}, err
	}
	r.m.fates.put(id, d, nil)
	if d.State == record.Aborted {
		r.report.Aborted++
	}
	return d, nil
}
