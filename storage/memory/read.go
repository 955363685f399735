package memory

import (
	"context"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// Get implements storage.Storage.
func (s *Storage) Get(ctx context.Context, gets []storage.Get) ([]*model.Row, error) {
	for _, g := range gets {
		if err := g.Key.Check(g.Table); err != nil {
			return nil, err
		}
	}
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	if s.opts.NoBatchedReads {
		s.roundTrips.Add(int64(len(gets)))
	} else {
		s.roundTrips.Add(1)
	}
	rows := make([]*model.Row, len(gets))
	for i, g := range gets {
		if rows[i], err = s.db.get(g); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

func (db *Database) get(g storage.Get) (*model.Row, error) {
	db.mu.RLock()
	defer db.mu.RUnlock()
	t, err := db.find(g.Table.Name())
	if err != nil {
		return nil, err
	}
	if err := matches(t.def, g.Table); err != nil {
		return nil, err
	}
	row := t.rows[g.Key.Encode()]
	if row == nil {
		return nil, nil
	}
	return project(row, g.Table)
}
