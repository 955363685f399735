package check

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/multi"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

// pageRows is how many rows a live table is read at a time.
const pageRows = 1000

// Databases is the Live source of a set of storages: every transactional table
// that the set routes to the storage in which it is.
type Databases struct {
	label       string
	set         *multi.Set
	coordinator model.TableName
	skipped     []Table
	broken      []Unreadable
}

var _ Live = (*Databases)(nil)

// NewDatabases makes the source of a set of storages whose Coordinator is in the
// namespace given ("" = the default one).
func NewDatabases(label string, set *multi.Set, coordinatorNamespace string) *Databases {
	return &Databases{label: label, set: set, coordinator: record.CoordinatorName(coordinatorNamespace)}
}

// Still returns the same data as a source that nobody else writes to, so that
// nothing has to be read again and queries are always decided: for databases that
// have just been restored.
func (d *Databases) Still() Source {
	return &still{d}
}

type still struct{ d *Databases }

func (s *still) Label() string                                  { return s.d.Label() }
func (s *still) Moment() time.Time                              { return s.d.Moment() }
func (s *still) Tables(ctx context.Context) ([]Table, error)    { return s.d.Tables(ctx) }
func (s *still) Skipped() []Table                               { return s.d.Skipped() }
func (s *still) Unreadable() []Unreadable                       { return s.d.Unreadable() }
func (s *still) Coordinator(ctx context.Context) (Table, error) { return s.d.Coordinator(ctx) }
func (s *still) Rows(ctx context.Context, t Table) iter.Seq2[*model.Row, error] {
	return s.d.Rows(ctx, t)
}

// Label implements Source.
func (d *Databases) Label() string { return d.label }

// Moment implements Source.
func (d *Databases) Moment() time.Time { return time.Now() }

// Skipped implements Source.
func (d *Databases) Skipped() []Table { return d.skipped }

// Unreadable lists the tables whose definitions Tables could not read.
func (d *Databases) Unreadable() []Unreadable { return d.broken }

// Tables implements Source.
func (d *Databases) Tables(ctx context.Context) ([]Table, error) {
	d.skipped, d.broken = nil, nil
	var tables []Table
	for _, st := range d.set.Storages() {
		namespaces, err := st.Admin().Namespaces(ctx)
		if err != nil {
			return nil, err
		}
		for _, ns := range namespaces {
			names, err := st.Admin().Tables(ctx, ns)
			if err != nil {
				return nil, err
			}
			for _, name := range names {
				if name == d.coordinator {
					continue
				}
				def, err := st.Admin().Table(ctx, name)
				if errors.Is(err, model.ErrNotFound) {
					continue // dropped meanwhile
				}
				if err != nil {
					if transient(ctx, err) {
						return nil, err
					}
					d.broken = append(d.broken, Unreadable{Table: name, Storage: st.Name(), Err: err})
					continue
				}
				t := Table{Table: def, Storage: st.Name()}
				if d.set.Route(name) == st && record.IsTransactional(def) {
					tables = append(tables, t)
				} else {
					d.skipped = append(d.skipped, t)
				}
			}
		}
	}
	return tables, nil
}

// Coordinator implements Source.
func (d *Databases) Coordinator(ctx context.Context) (Table, error) {
	st := d.set.Route(d.coordinator)
	def, err := st.Admin().Table(ctx, d.coordinator)
	if errors.Is(err, model.ErrNotFound) {
		return Table{}, &model.Error{Class: model.ErrNotFound, Op: "check", Subject: d.label, Err: err,
			Detail: "there is no Coordinator table " + d.coordinator.String() + " in storage \"" + st.Name() + "\"",
			Hint:   "Make it with: stillpoint schema create --coordinator"}
	}
	if err != nil {
		return Table{}, err
	}
	return Table{Table: def, Storage: st.Name()}, nil
}

// Rows implements Source.
func (d *Databases) Rows(ctx context.Context, t Table) iter.Seq2[*model.Row, error] {
	return func(yield func(*model.Row, error) bool) {
		st, err := d.set.Storage(t.Storage)
		if err != nil {
			yield(nil, err)
			return
		}
		for row, err := range ScanAll(ctx, st, t.Table) {
			if !yield(row, err) {
				return
			}
		}
	}
}

// Get implements Live.
func (d *Databases) Get(ctx context.Context, t Table, keys []model.Key) ([]*model.Row, error) {
	st, err := d.set.Storage(t.Storage)
	if err != nil {
		return nil, err
	}
	gets := make([]storage.Get, len(keys))
	for i, k := range keys {
		gets[i] = storage.Get{Table: t.Table, Key: k}
	}
	return st.Get(ctx, gets)
}

// ScanAll streams a whole table, page by page. It ends after an error.
func ScanAll(ctx context.Context, st storage.Storage, t *model.Table) iter.Seq2[*model.Row, error] {
	return func(yield func(*model.Row, error) bool) {
		scan := storage.Scan{Table: t, Kind: storage.ScanTable, Limit: pageRows}
		for {
			page, err := st.Scan(ctx, scan)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, row := range page.Rows {
				if !yield(row, nil) {
					return
				}
			}
			if page.Next == "" {
				return
			}
			scan.Token = page.Next
		}
	}
}
