package mysql

import (
	"context"
	"database/sql/driver"
	"slices"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// Get implements storage.Storage. One key is one prepared statement; several of
// one table, too; those of several tables are one text.
func (s *Store) Get(ctx context.Context, gets []storage.Get) ([]*model.Row, error) {
	for i := range gets {
		if err := s.dialect.CheckGet(&gets[i]); err != nil {
			return nil, err
		}
	}
	if len(gets) == 0 {
		return nil, nil
	}
	out := make([]*model.Row, len(gets))
	if len(gets) == 1 {
		if err := s.read(ctx, "read", func(ses *session) error { return s.getOne(ctx, ses, &gets[0], out) }); err != nil {
			return nil, err
		}
		return out, nil
	}
	groups := groupByTable(gets)
	loose := false
	err := s.read(ctx, "read", func(ses *session) (err error) {
		clear(out)
		if len(groups) > 1 || len(gets)*gets[0].Table.KeyLen() > maxPlaceholders {
			loose, err = s.getText(ctx, ses, groups, gets, out)
		} else {
			loose, err = s.getPrepared(ctx, ses, groups[0], gets, out)
		}
		return err
	})
	if err == nil && loose {
		err = s.getMissing(ctx, gets, out)
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

// getGroup are the gets of one table, by position.
type getGroup struct {
	table *model.Table
	gets  []int
}

func groupByTable(gets []storage.Get) []getGroup {
	var groups []getGroup
next:
	for i := range gets {
		for j := range groups {
			if groups[j].table == gets[i].Table {
				groups[j].gets = append(groups[j].gets, i)
				continue next
			}
		}
		groups = append(groups, getGroup{gets[i].Table, []int{i}})
	}
	return groups
}

func (s *Store) getOne(ctx context.Context, ses *session, g *storage.Get, out []*model.Row) error {
	var space [8]model.Value
	values := append(append(space[:0], g.Key.Partition...), g.Key.Clustering...)
	rows, err := ses.query(ctx, s.builder.Get(g.Table), values)
	if err != nil {
		return err
	}
	reader := ses.reader(g.Table, rows)
	out[0], err = reader.next()
	return ses.finish(rows, err)
}

func (s *Store) getPrepared(ctx context.Context, ses *session, g getGroup, gets []storage.Get, out []*model.Row) (loose bool, err error) {
	var space [16]model.Value
	values := space[:0]
	for i := range gets {
		values = append(append(values, gets[i].Key.Partition...), gets[i].Key.Clustering...)
	}
	rows, err := ses.query(ctx, s.builder.GetMany(g.table, len(gets)), values)
	if err != nil {
		return false, err
	}
	loose, err = ses.takeRows(rows, g, gets, out)
	return loose, ses.finish(rows, err)
}

func (s *Store) getText(ctx context.Context, ses *session, groups []getGroup, gets []storage.Get, out []*model.Row) (loose bool, err error) {
	var text []byte
	var values []model.Value
	for i, g := range groups {
		values = values[:0]
		for _, at := range g.gets {
			values = append(append(values, gets[at].Key.Partition...), gets[at].Key.Clustering...)
		}
		if i > 0 {
			text = append(text, ';')
		}
		text = appendFilled(text, s.builder.GetMany(g.table, len(g.gets)), values)
	}
	rows, err := ses.queryText(ctx, string(text))
	if err != nil {
		return false, err
	}
	for i, g := range groups {
		if i > 0 {
			if err := rows.(driver.RowsNextResultSet).NextResultSet(); err != nil {
				return false, ses.finish(rows, err)
			}
		}
		l, err := ses.takeRows(rows, g, gets, out)
		if err != nil {
			return false, ses.finish(rows, err)
		}
		loose = loose || l
	}
	return loose, ses.finish(rows, nil)
}

// takeRows gives the rows of one result to those who asked for them. loose
// tells that there was a row whose key nobody asked for, letter by letter: the
// server takes some keys as equal that are not ("A" and "a" under a
// case-insensitive collation).
func (s *session) takeRows(rows driver.Rows, g getGroup, gets []storage.Get, out []*model.Row) (loose bool, err error) {
	asked := askers(g, gets)
	reader := s.reader(g.table, rows)
	for {
		row, err := reader.next()
		if err != nil || row == nil {
			return loose, err
		}
		n := 0
		for _, i := range asked(row.Key()) {
			if n++; n > 1 {
				row = row.Clone()
			}
			out[i] = row
		}
		loose = loose || n == 0
	}
}

// fewGets is how many are searched one by one rather than by a map.
const fewGets = 16

// askers returns a function that tells which gets of a group ask for a key. Its
// answer is valid until the next call.
func askers(g getGroup, gets []storage.Get) func(model.Key) []int {
	if len(g.gets) <= fewGets {
		var found []int
		return func(k model.Key) []int {
			found = found[:0]
			for _, i := range g.gets {
				if slices.Equal(gets[i].Key.Partition, k.Partition) && slices.Equal(gets[i].Key.Clustering, k.Clustering) {
					found = append(found, i)
				}
			}
			return found
		}
	}
	wanted := make(map[string][]int, len(g.gets))
	for _, i := range g.gets {
		k := gets[i].Key.Encode()
		wanted[k] = append(wanted[k], i)
	}
	return func(k model.Key) []int { return wanted[k.Encode()] }
}

// getMissing asks one by one for what a shared answer lacks.
func (s *Store) getMissing(ctx context.Context, gets []storage.Get, out []*model.Row) error {
	for i := range gets {
		if out[i] == nil {
			row, err := s.Get(ctx, gets[i:i+1])
			if err != nil {
				return err
			}
			out[i] = row[0]
		}
	}
	return nil
}

// Scan implements storage.Storage. Each page is one prepared statement.
func (s *Store) Scan(ctx context.Context, scan storage.Scan) (storage.Page, error) {
	sc, err := s.builder.Scan(&scan)
	if err != nil {
		return storage.Page{}, err
	}
	var out storage.Page
	err = s.read(ctx, "scan", func(ses *session) error {
		rows, err := ses.query(ctx, sc.SQL, sc.Args)
		if err != nil {
			return err
		}
		page, reader := sc.NewPage(), ses.reader(scan.Table, rows)
		for {
			row, err := reader.next()
			if err != nil {
				return ses.finish(rows, err)
			}
			if row == nil {
				break
			}
			if !page.Add(row) {
				break
			}
		}
		out = page.Finish()
		if len(out.Rows) < sc.Limit && out.Next != "" {
			// The page is full of large rows. Reading the rest to the end
			// would cost more than another connection.
			ses.broken = true
			return nil
		}
		return ses.finish(rows, nil)
	})
	return out, err
}

// finish closes rows and returns the first error.
func (s *session) finish(rows driver.Rows, err error) error {
	if err != nil {
		_ = s.failed(err)
	}
	if err2 := rows.Close(); err == nil {
		err = s.failed(err2)
	}
	return err
}
