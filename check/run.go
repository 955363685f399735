package check

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"time"

	"github.com/stillpoint-db/stillpoint/check/internal/extsort"
	"github.com/stillpoint-db/stillpoint/internal/marker"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

// Options say how to check.
type Options struct {
	Queries   []Query
	Strict    bool          // see the package comment
	MaxListed int           // violations of one invariant, and records in doubt, that are listed; all are counted; 0 = 100
	Memory    int           // bytes of each sort's buffer; 0 = 32 MiB
	Scratch   string        // folder for what does not fit; "" = the system's temporary folder
	Skew      time.Duration // how far clocks may be apart; 0 = 5 s
	// Progress, if not nil, is called now and then with the table being read
	// and the number of its rows so far, from the goroutine that runs Run.
	Progress func(table string, rows int64)
}

const (
	defaultMaxListed = 100
	defaultSkew      = 5 * time.Second
	progressEvery    = 4096
)

// target is a table being checked.
type target struct {
	Table
	layout *record.Layout
	report *TableReport

	terms   []term
	needed  []int // positions of the columns that the terms need
	scratch []model.Value
}

// run is one check under way. It is for one goroutine.
type run struct {
	src  Source
	live Live // nil if the source does not change
	opts Options
	rep  *Report

	targets     []*target
	coordinator Table
	facts       *extsort.Sorter // by transaction
	keys        *extsort.Sorter // by table and key; nil unless write sets are kept
	eval        *evaluator
	suspects    []suspect

	print      uint64 // of all records and decisions that were seen, whatever their order
	violations map[string]int
	buf, val   []byte
}

// Run checks a source. An error means that it could not be checked; broken rules
// are in the report. The classes are those of the source, model.ErrBadArgument
// for a query about a table or column that is not there, and
// model.ErrUnavailable for scratch space that is full.
func Run(ctx context.Context, src Source, opts Options) (*Report, error) {
	rep, first, err := once(ctx, src, opts)
	if err != nil || !rep.Live || !rep.queriesFailed() {
		return rep, err
	}
	// A query failed on live databases. It is the data's fault only if nothing
	// changes: so read everything again.
	again, second, err := once(ctx, src, opts)
	if err == nil && first != second {
		again.inconclusive()
	}
	return again, err
}

func (r *Report) queriesFailed() bool {
	return slices.ContainsFunc(r.Queries, func(q QueryResult) bool { return q.Status == QueryFailed })
}

func once(ctx context.Context, src Source, opts Options) (rep *Report, print uint64, err error) {
	if opts.MaxListed <= 0 {
		opts.MaxListed = defaultMaxListed
	}
	if opts.Skew <= 0 {
		opts.Skew = defaultSkew
	}
	r := &run{src: src, opts: opts, violations: map[string]int{}}
	r.live, _ = src.(Live)
	r.rep = &Report{Source: src.Label(), Live: r.live != nil, Strict: opts.Strict, Moment: src.Moment().UTC(),
		Tables: []TableReport{}, Violations: []Violation{}, InDoubt: []InDoubt{}, Queries: []QueryResult{},
		Counts: map[string]int64{}, InDoubtCounts: map[Class]int64{},
		Collations: []Collation{},
		NotApplicable: []string{
			"V14 (no storage here keeps metadata in tables of its own)",
			"V15 (no storage here keeps indexes apart from the rows)",
		}}
	defer func() { err = errors.Join(err, r.close()) }()
	err = r.prepare(ctx)
	if errors.Is(err, errHalfRestored) {
		return r.rep, 0, nil // R1 says so; there is no Coordinator's table to compare anything with
	}
	if err != nil {
		return nil, 0, err
	}
	if err := r.read(ctx); err != nil {
		return nil, 0, err
	}
	if err := r.compare(ctx); err != nil {
		return nil, 0, err
	}
	return r.rep, r.print, nil
}

func (r *run) close() error {
	errs := []error{}
	for _, s := range []*extsort.Sorter{r.facts, r.keys} {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	if r.eval != nil {
		errs = append(errs, r.eval.groups.Close())
	}
	return errors.Join(errs...)
}

// prepare reads the definitions and binds the queries to them.
func (r *run) prepare(ctx context.Context) error {
	tables, err := r.src.Tables(ctx)
	if err != nil {
		return err
	}
	for _, t := range tables {
		layout, err := record.NewLayout(t.Table)
		if err != nil {
			return err
		}
		r.targets = append(r.targets, &target{Table: t, layout: layout})
		r.rep.Tables = append(r.rep.Tables, TableReport{ID: t.Name().String(), Storage: t.Storage})
	}
	for i, t := range r.targets {
		t.report = &r.rep.Tables[i]
	}
	if s, ok := r.src.(interface{ Unreadable() []Unreadable }); ok {
		for _, u := range s.Unreadable() {
			r.unreadable(u)
		}
	}
	if err := r.markers(ctx); err != nil {
		return err
	}
	if r.coordinator, err = r.src.Coordinator(ctx); err != nil {
		if errors.Is(err, model.ErrNotFound) && r.rep.Counts["R1"] > 0 {
			return errHalfRestored
		}
		return err
	}
	if err := record.CheckCoordinatorTable(r.coordinator.Table); err != nil {
		return err
	}
	if c, ok := r.src.(collated); ok {
		for _, f := range c.Collations(ctx, append(tables, r.coordinator)) {
			r.rep.Collations = append(r.rep.Collations, Collation{f.Code + ":" + f.Subject, f})
		}
	}
	r.facts = extsort.New(r.opts.Scratch, r.opts.Memory)
	if r.coordinator.Position(record.WriteSet) >= 0 {
		r.keys = extsort.New(r.opts.Scratch, r.opts.Memory)
	}
	r.eval = newEvaluator(r.opts.Queries, extsort.New(r.opts.Scratch, r.opts.Memory))
	return r.eval.bind(r.targets)
}

// read streams every table, the Coordinator's last.
func (r *run) read(ctx context.Context) error {
	for i := range r.targets {
		if err := r.readTable(ctx, i); err != nil {
			return err
		}
	}
	for _, t := range r.src.Skipped() {
		if t.Name() != marker.TableName {
			r.rep.Tables = append(r.rep.Tables, TableReport{ID: t.Name().String(), Storage: t.Storage, Skipped: true, Elsewhere: record.IsTransactional(t.Table)})
		}
	}
	return r.readCoordinator(ctx)
}

func (r *run) readTable(ctx context.Context, index int) error {
	t := r.targets[index]
	for row, err := range r.src.Rows(ctx, t.Table) {
		if err != nil && r.live != nil && !transient(ctx, err) {
			r.unreadable(Unreadable{Table: t.Name(), Storage: t.Storage, Err: err})
			break
		}
		if err != nil {
			return fmt.Errorf("check %s: %w", t.Name(), err)
		}
		if err := r.record(index, row); err != nil {
			return err
		}
		if t.report.Records%progressEvery == 0 {
			r.progress(t.report.ID, t.report.Records)
		}
	}
	r.progress(t.report.ID, t.report.Records)
	r.rep.Records += t.report.Records
	return nil
}

// unreadable reports a live table that cannot be read, or not to its end. What is
// wrong in the others is still found.
func (r *run) unreadable(u Unreadable) {
	r.violation(broken("R2", "it cannot be read, or not to its end, so it is not checked: %v", u.Err), Violation{Storage: u.Storage, Table: u.Table.String()})
}

func (r *run) progress(table string, rows int64) {
	if r.opts.Progress != nil {
		r.opts.Progress(table, rows)
	}
}

// latest is the latest time that a timestamp may show now.
func (r *run) latest() int64 {
	if r.live != nil {
		return time.Now().Add(r.opts.Skew).UnixMilli()
	}
	return r.rep.Moment.Add(r.opts.Skew).UnixMilli()
}

// seed makes the prints of one process comparable.
var seed = maphash.MakeSeed()

// see takes a version of a record, or a decision, into the print.
func (r *run) see(table int, key model.Key, id string, state record.State) {
	r.buf = appendKey(binary.AppendVarint(r.buf[:0], int64(table)), key)
	r.buf = append(append(r.buf, byte(state)), id...)
	r.print += maphash.Bytes(seed, r.buf)
}

// record checks one record and notes what has to be compared.
func (r *run) record(index int, row *model.Row) error {
	t := r.targets[index]
	l := t.layout
	t.report.Records++
	bad := false
	for _, f := range checkRecord(l, row, r.latest()) {
		r.report(f, t.Table, row.Key().String(), l.WriterID(row))
		bad = bad || f.rule == "V1"
	}
	if bad {
		return nil
	}
	r.see(index, row.Key(), l.WriterID(row), l.State(row))
	committed := l.IsCommitted(row)
	if committed {
		t.report.Committed++
		if err := r.eval.row(t, row); err != nil {
			return err
		}
	}
	if err := r.noteKey(index, row); err != nil {
		return err
	}
	if l.IsImported(row) {
		t.report.Imported++
		return nil
	}
	f := fact{kind: factCommitted, table: index, key: row.Key(), preparedAt: l.PreparedAt(row), committedAt: l.CommittedAt(row)}
	if committed {
		return r.note(l.WriterID(row), &f)
	}
	f.kind, f.state, f.rest = factUndecided, l.State(row), t.appendImages(nil, row)
	if err := r.note(l.WriterID(row), &f); err != nil {
		return err
	}
	at := func(i int) model.Value { return row.Values[i] }
	if b := at(l.BeforeMeta.TxID); !b.IsNull() {
		return r.note(b.Str(), &fact{kind: factBefore, table: index, key: row.Key(),
			preparedAt: at(l.BeforeMeta.PreparedAt).Int64(), committedAt: at(l.BeforeMeta.CommittedAt).Int64()})
	}
	return nil
}

func (r *run) note(id string, f *fact) error {
	r.buf, r.val = append(r.buf[:0], id...), f.append(r.val[:0])
	return r.facts.Add(r.buf, r.val)
}

// readCoordinator checks the Coordinator's rows and notes what they decide.
func (r *run) readCoordinator(ctx context.Context) error {
	for row, err := range r.src.Rows(ctx, r.coordinator) {
		if err != nil {
			return fmt.Errorf("check %s: %w", r.coordinator.Name(), err)
		}
		r.rep.Transactions++
		id := row.Get(record.TxID).Str()
		c, findings := checkCoordinatorRow(row, r.latest())
		for _, f := range findings {
			r.report(f, r.coordinator, row.Key().String(), id)
		}
		if c == nil {
			continue
		}
		r.see(-1, row.Key(), id, c.State)
		own := fact{kind: factOwn, state: c.State, at: c.At, hasWriteSet: c.WriteSet != ""}
		if err := r.note(id, &own); err != nil {
			return err
		}
		own.kind = factListed
		for _, child := range c.Children {
			if err := r.note(memberID(id, child), &own); err != nil {
				return err
			}
		}
		if err := r.noteWriteSet(c); err != nil {
			return err
		}
		if r.rep.Transactions%progressEvery == 0 {
			r.progress(r.coordinator.Name().String(), r.rep.Transactions)
		}
	}
	r.progress(r.coordinator.Name().String(), r.rep.Transactions)
	return nil
}

// errHalfRestored ends a check of databases that have no Coordinator's table
// because a restore has not finished.
var errHalfRestored = errors.New("half restored")

// markers reports restores that have not been finished.
func (r *run) markers(ctx context.Context) error {
	for _, t := range r.src.Skipped() {
		if t.Name() != marker.TableName {
			continue
		}
		for row, err := range r.src.Rows(ctx, t) {
			if err != nil {
				return err
			}
			m := marker.Parse(row)
			r.report(broken("R1", "a restore of backup %s into this database, begun %s on %s, is not finished: run it again before using the data", m.Backup, m.Begun, m.Host),
				t, row.Key().String(), "")
		}
	}
	return nil
}

// compare does what needs all facts together, and fills in the end of the report.
func (r *run) compare(ctx context.Context) error {
	if err := r.transactions(ctx); err != nil {
		return err
	}
	if r.keys != nil {
		if err := r.writeSets(ctx); err != nil {
			return err
		}
	}
	if err := r.recheck(ctx); err != nil {
		return err
	}
	results, err := r.eval.answers()
	if err != nil {
		return err
	}
	r.rep.Queries = results
	for _, q := range results {
		if q.Status != QueryFailed {
			continue
		}
		r.report(broken("V16", "query %q gives %s instead of %s", q.ID, q.Got, q.Want), Table{}, q.ID, "")
	}
	r.rep.Consistent = r.rep.Errors == 0
	return nil
}

// inconclusive turns failed queries into undecided ones.
func (r *Report) inconclusive() {
	for i := range r.Queries {
		if r.Queries[i].Status == QueryFailed {
			r.Queries[i].Status, r.Inconclusive = QueryInconclusive, true
		}
	}
	r.Violations = slices.DeleteFunc(r.Violations, func(v Violation) bool { return v.Invariant == "V16" })
	r.Errors -= r.Counts["V16"]
	delete(r.Counts, "V16")
	r.Consistent = r.Errors == 0
}

// strictRules become errors with Options.Strict.
var strictRules = []string{"V3", "V8", "V11", "V12"}

// report counts a finding, and lists it if there is room.
func (r *run) report(f finding, t Table, key, tx string) {
	v := Violation{Storage: t.Storage, Key: key, Tx: tx}
	if t.Table != nil {
		v.Table = t.Name().String()
	}
	r.violation(f, v)
}

// violation is report for what has a place already.
func (r *run) violation(f finding, v Violation) {
	if r.opts.Strict && slices.Contains(strictRules, f.rule) {
		f.level = Error
	}
	if f.level == Error {
		r.rep.Errors++
	} else {
		r.rep.Warnings++
	}
	r.rep.Counts[f.rule]++
	if r.violations[f.rule] >= r.opts.MaxListed {
		return
	}
	r.violations[f.rule]++
	v.ID, v.Invariant, v.Level, v.Text = fmt.Sprintf("%s-%d", f.rule, r.violations[f.rule]), f.rule, f.level, f.text
	r.rep.Violations = append(r.rep.Violations, v)
}
