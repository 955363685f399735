package sqlite

import (
	"context"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/sqlite/internal/capi"
)

// Get implements storage.Storage.
func (s *Storage) Get(ctx context.Context, gets []storage.Get) ([]*model.Row, error) {
	for i := range gets {
		if err := s.dialect.CheckGet(&gets[i]); err != nil {
			return nil, err
		}
	}
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	defer s.end()
	c, err := s.readers.get(ctx)
	if err != nil {
		return nil, s.readError(err)
	}
	defer s.readers.put(c)
	rows := make([]*model.Row, len(gets))
	for i := range gets {
		if rows[i], err = s.getOne(c, &gets[i]); err != nil {
			return nil, s.readError(err)
		}
	}
	return rows, nil
}

func (s *Storage) getOne(c *capi.Conn, g *storage.Get) (*model.Row, error) {
	st, err := c.Prepare(s.texts.Get(g.Table))
	if err != nil {
		return nil, err
	}
	defer st.Reset()
	var space [4]model.Value
	args := append(append(space[:0], g.Key.Partition...), g.Key.Clustering...)
	if err := bind(st, args); err != nil {
		return nil, err
	}
	found, err := st.Step()
	if err != nil || !found {
		return nil, err
	}
	row := &model.Row{Table: g.Table, Values: make([]model.Value, len(g.Table.Columns()))}
	return row, readRow(st, g.Table, row.Values)
}

// Scan implements storage.Storage.
func (s *Storage) Scan(ctx context.Context, scan storage.Scan) (storage.Page, error) {
	sc, err := s.texts.Scan(&scan)
	if err != nil {
		return storage.Page{}, err
	}
	if err := s.begin(ctx); err != nil {
		return storage.Page{}, err
	}
	defer s.end()
	c, err := s.readers.get(ctx)
	if err != nil {
		return storage.Page{}, s.readError(err)
	}
	defer s.readers.put(c)
	defer interruptible(ctx, c)()
	st, err := c.Prepare(sc.SQL)
	if err != nil {
		return storage.Page{}, s.readError(err)
	}
	defer st.Reset()
	if err := bind(st, sc.Args); err != nil {
		return storage.Page{}, s.readError(err)
	}
	page := sc.NewPage()
	for {
		found, err := st.Step()
		if err == nil && found {
			row := &model.Row{Table: scan.Table, Values: make([]model.Value, len(scan.Table.Columns()))}
			if err = readRow(st, scan.Table, row.Values); err == nil && page.Add(row) {
				continue
			}
		}
		switch {
		case err != nil && capi.IsInterrupt(err) && ctx.Err() != nil:
			return storage.Page{}, storage.UnavailableError(s.name, ctx.Err())
		case err != nil:
			return storage.Page{}, s.readError(err)
		}
		return page.Finish(), nil
	}
}

// interruptible lets the end of ctx interrupt what the connection does, until
// the function that it returns is called.
func interruptible(ctx context.Context, c *capi.Conn) (done func()) {
	if ctx.Done() == nil {
		return func() {}
	}
	over := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(over)
		c.Interrupt()
	})
	return func() {
		if !stop() {
			<-over
		}
	}
}
