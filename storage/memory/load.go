package memory

import (
	"context"
	"iter"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// Load implements storage.Loader, row by row.
func (s *Storage) Load(ctx context.Context, t *model.Table, rows iter.Seq2[*model.Row, error]) (int64, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return 0, err
	}
	defer leave()
	var n int64
	for row, err := range rows {
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = s.insert(t, row)
		}
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

func (s *Storage) insert(def *model.Table, row *model.Row) error {
	m := storage.Mutation{Kind: storage.Put, Table: def, Key: row.Key(), Guard: storage.Guard{Kind: storage.NotExists}}
	for i, c := range def.Columns()[def.KeyLen():] {
		if v := row.Values[def.KeyLen()+i]; v.IsSet() {
			m.Set = append(m.Set, storage.Assignment{Column: c.Name, Value: v})
		}
	}
	if err := s.checkMutation(m); err != nil {
		return err
	}
	err := s.db.apply(storage.Batch{Mutations: []storage.Mutation{m}}, false)
	if storage.OutcomeOf(err) == storage.ConditionFailed {
		return model.Errorf(model.ErrExists, "a row %s%s is there already", def.Name(), m.Key)
	}
	return err
}
