package postgres

import (
	"context"
	"time"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/internal/sqldb"
)

// Get implements storage.Storage: one flight, whatever the number of keys.
func (d *db) Get(ctx context.Context, gets []storage.Get) ([]*model.Row, error) {
	if len(gets) == 0 {
		return nil, nil
	}
	width := 0
	for i := range gets {
		if err := d.single.Dialect().CheckGet(&gets[i]); err != nil {
			return nil, err
		}
		width += len(gets[i].Table.Columns())
	}
	r := getReader{gets: gets, rows: make([]*model.Row, len(gets)), mem: make([]model.Row, len(gets)), values: make([]model.Value, width)}
	build := func(s *session) {
		for i := range gets {
			g := &gets[i]
			s.args = append(append(s.args[:0], g.Key.Partition...), g.Key.Clustering...)
			s.add(d.single.Get(g.Table), s.args)
		}
	}
	if err := d.readFlight(ctx, build, &r); err != nil {
		return nil, err
	}
	return r.rows, nil
}

// getReader takes the answers of a Get. All rows share two pieces of memory,
// and the bytes of each row a third.
type getReader struct {
	gets   []storage.Get
	rows   []*model.Row
	mem    []model.Row
	values []model.Value
	arena  arena
}

func (r *getReader) row(i int, cols [][]byte) error {
	t := r.gets[i].Table
	n := len(t.Columns())
	if len(r.values) < n || r.rows[i] != nil { // a second try, or no primary key on the table
		r.values = make([]model.Value, n)
	}
	row := &r.mem[i]
	*row = model.Row{Table: t, Values: r.values[:n:n]}
	r.values = r.values[n:]
	r.rows[i] = row
	return decodeRow(t, row.Values, cols, &r.arena)
}

func (r *getReader) done(int, []byte) {}

// Scan implements storage.Storage: one statement reads one page.
func (d *db) Scan(ctx context.Context, scan storage.Scan) (storage.Page, error) {
	sc, err := d.single.Scan(&scan)
	if err != nil {
		return storage.Page{}, err
	}
	r := scanReader{table: scan.Table, sc: sc}
	if err := d.readFlight(ctx, func(s *session) {
		r.page, r.full = sc.NewPage(), false
		s.add(sc.SQL, sc.Args)
	}, &r); err != nil {
		return storage.Page{}, err
	}
	return r.page.Finish(), nil
}

type scanReader struct {
	table *model.Table
	sc    *sqldb.Scan
	page  *sqldb.Page
	full  bool
	arena arena
}

func (r *scanReader) row(_ int, cols [][]byte) error {
	if r.full {
		return nil
	}
	row := &model.Row{Table: r.table, Values: make([]model.Value, len(r.table.Columns()))}
	if err := decodeRow(r.table, row.Values, cols, &r.arena); err != nil {
		return err
	}
	r.full = !r.page.Add(row)
	return nil
}

func (r *scanReader) done(int, []byte) {}

// readFlight runs a flight that only reads. One that broke with its connection
// is tried once more on a fresh one.
func (d *db) readFlight(ctx context.Context, build func(*session), r reader) error {
	for try := 0; ; try++ {
		s, err := d.pool.acquire(ctx)
		if err != nil {
			return d.notSent(err)
		}
		s.begin()
		build(s)
		ferr := s.fly(ctx, time.Time{}, r)
		broken := ferr != nil && (ferr.stale() || ferr.server == nil && !ferr.decode)
		if broken {
			s.dead = true
		}
		d.pool.release(s)
		if ferr == nil {
			return nil
		}
		if !broken || try > 0 || ctx.Err() != nil {
			return d.readError(ferr)
		}
	}
}
