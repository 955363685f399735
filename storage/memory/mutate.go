package memory

import (
	"context"
	"runtime"
	"slices"
	"time"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// Mutate implements storage.Storage. A batch waits for the locks of its tables
// (a fence makes it wait), and is then applied in one moment.
func (s *Storage) Mutate(ctx context.Context, batch storage.Batch) error {
	if err := s.checkBatch(batch); err != nil {
		return err
	}
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	s.roundTrips.Add(1)
	if !batch.Deadline.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, batch.Deadline)
		defer cancel()
	}
	unlock, err := s.db.locks.write(ctx, writtenTables(batch))
	if err != nil {
		return storage.UnavailableError(s.name, err)
	}
	defer unlock()
	if s.opts.NoLockedChecks {
		if err := s.db.checkGuards(batch); err != nil {
			return err
		}
		runtime.Gosched()
	}
	if s.opts.Locked != nil {
		s.opts.Locked(ctx, batch)
	}
	if !batch.Deadline.IsZero() && !time.Now().Before(batch.Deadline) {
		return storage.UnavailableError(s.name, context.DeadlineExceeded)
	}
	if err := s.db.apply(batch, s.opts.NoLockedChecks); err != nil {
		return err
	}
	if s.opts.Applied != nil {
		s.opts.Applied(ctx, batch)
	}
	return nil
}

// writtenTables returns the tables whose locks a batch needs, in lock order.
func writtenTables(batch storage.Batch) []model.TableName {
	names := make([]model.TableName, 0, 4)
	for _, m := range batch.Mutations {
		if name := m.Table.Name(); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, model.TableName.Compare)
	return names
}

// apply evaluates all guards and makes all changes in one moment. With
// checked, the guards of Check mutations were evaluated earlier.
func (db *Database) apply(batch storage.Batch, checked bool) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	for i, m := range batch.Mutations {
		if checked && m.Kind == storage.Check {
			continue
		}
		if err := db.guard(i, m); err != nil {
			return err
		}
	}
	for _, m := range batch.Mutations {
		t := db.tables[m.Table.Name()]
		switch m.Kind {
		case storage.Put:
			key := m.Key.Encode()
			t.rows[key] = put(t, t.rows[key], m)
		case storage.Delete:
			delete(t.rows, m.Key.Encode())
		}
	}
	return nil
}

// checkGuards evaluates the guards of the Check mutations alone.
func (db *Database) checkGuards(batch storage.Batch) error {
	db.mu.RLock()
	defer db.mu.RUnlock()
	for i, m := range batch.Mutations {
		if m.Kind != storage.Check {
			continue
		}
		if err := db.guard(i, m); err != nil {
			return err
		}
	}
	return nil
}

// guard tells whether mutation i may go on; db.mu is held.
func (db *Database) guard(i int, m storage.Mutation) error {
	t, err := db.find(m.Table.Name())
	if err != nil {
		return err
	}
	if err := matches(t.def, m.Table); err != nil {
		return err
	}
	row := t.rows[m.Key.Encode()]
	ok := true
	switch m.Guard.Kind {
	case storage.NotExists:
		ok = row == nil
	case storage.Exists:
		ok = row != nil
	case storage.If:
		ok = model.Predicate{m.Guard.Conditions}.Holds(row)
	}
	if !ok {
		return &storage.ConditionError{Index: i, Mutation: m}
	}
	return nil
}

// put returns the row that a Put leaves behind.
func put(t *table, old *model.Row, m storage.Mutation) *model.Row {
	row := &model.Row{Table: t.def, Values: make([]model.Value, len(t.def.Columns()))}
	if old != nil {
		copy(row.Values, old.Values)
	} else {
		for i, c := range t.def.Columns() {
			if i < t.def.KeyLen() {
				row.Values[i] = m.Key.At(i)
			} else {
				row.Values[i] = model.Null(c.Type)
			}
		}
	}
	for _, a := range m.Set {
		v := a.Value
		if a.From != "" {
			v = old.Values[t.def.Position(a.From)] // an update: old is there
		}
		row.Values[t.def.Position(a.Column)] = v
	}
	return row
}
