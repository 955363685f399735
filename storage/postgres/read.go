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
	all := make([]model.Value, width)
	r := getReader{gets: gets, rows: make([]*model.Row, len(gets)), mem: make([]model.Row, len(gets))}
	build := func(s *session) {
		clear(r.rows) // of a try that broke
		r.values = all
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
	if len(r.values) < n || r.rows[i] != nil { // the table has no primary key
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
	most := d.pageRows(scan.Table.Name())
	if err := d.readFlight(ctx, func(s *session) {
		r.page, r.last, r.rows, r.full, r.stopped = sc.NewPage(), nil, 0, false, false
		s.addLimited(sc.SQL, sc.Args, most)
	}, &r); err != nil {
		return storage.Page{}, err
	}
	d.learn(scan.Table.Name(), most, &r)
	page := r.page.Finish()
	if r.stopped && page.Next == "" {
		page.Next = sc.Token(r.last)
	}
	return page, nil
}

// pageRows is how many rows of a table to ask for at once, since a page of so
// many was full of bytes before; 0 = as many as the page may have. The server
// would send all rows of the page's limit, and those behind a full page are for
// nothing.
func (d *db) pageRows(t model.TableName) uint32 {
	if n, ok := d.wide.Load(t); ok {
		return n.(uint32)
	}
	return 0
}

// learn notes how many rows make a page of a table with wide rows, and takes
// that back step by step where they get narrower.
func (d *db) learn(t model.TableName, most uint32, r *scanReader) {
	switch {
	case r.full && r.rows < r.sc.Limit:
		d.wide.Store(t, uint32(r.rows))
	case r.stopped && !r.full && most < sqldb.PageRows/2:
		d.wide.Store(t, 2*most)
	case r.stopped && !r.full:
		d.wide.Delete(t)
	}
}

type scanReader struct {
	table   *model.Table
	sc      *sqldb.Scan
	page    *sqldb.Page
	last    *model.Row
	rows    int
	full    bool // the page takes no more
	stopped bool // the server may have more
	arena   arena
}

func (r *scanReader) row(_ int, cols [][]byte) error {
	if r.full {
		return nil
	}
	row := &model.Row{Table: r.table, Values: make([]model.Value, len(r.table.Columns()))}
	if err := decodeRow(r.table, row.Values, cols, &r.arena); err != nil {
		return err
	}
	r.last, r.full = row, !r.page.Add(row)
	r.rows++
	return nil
}

func (r *scanReader) done(_ int, tag []byte) { r.stopped = tag == nil }

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
