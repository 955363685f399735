package memory

import (
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// checkBatch refuses what can never be applied: model.ErrBadArgument.
func (s *Storage) checkBatch(batch storage.Batch) error {
	ms := batch.Mutations
	if len(ms) == 0 {
		return model.Errorf(model.ErrBadArgument, "a batch without mutations")
	}
	if most := s.opts.MaxMutations; most > 0 && len(ms) > most {
		return model.Errorf(model.ErrBadArgument, "a batch of %d mutations; storage %q takes at most %d", len(ms), s.name, most)
	}
	for i, m := range ms {
		if err := s.checkMutation(m); err != nil {
			return err
		}
		for _, other := range ms[:i] {
			if other.Table.Name() == m.Table.Name() && other.Key.Compare(m.Key) == 0 {
				return model.Errorf(model.ErrBadArgument, "two mutations of %s%s in one batch", m.Table.Name(), m.Key)
			}
		}
		if s.opts.Unit == Partition && s.Unit(m.Table.Name(), m.Key) != s.Unit(ms[0].Table.Name(), ms[0].Key) {
			return model.Errorf(model.ErrBadArgument, "a batch that spans partitions; in storage %q one partition is the atomic unit", s.name)
		}
	}
	return nil
}

func (s *Storage) checkMutation(m storage.Mutation) error {
	if m.Table == nil {
		return model.Errorf(model.ErrBadArgument, "a mutation without a table")
	}
	if err := m.Key.Check(m.Table); err != nil {
		return err
	}
	if err := checkGuard(m); err != nil {
		return err
	}
	if m.Kind != storage.Put {
		if len(m.Set) > 0 {
			return model.Errorf(model.ErrBadArgument, "a %s of %s with values", m.Kind, m.Table.Name())
		}
		return nil
	}
	for i, a := range m.Set {
		if err := s.checkAssignment(m, a); err != nil {
			return err
		}
		for _, other := range m.Set[:i] {
			if other.Column == a.Column {
				return model.Errorf(model.ErrBadArgument, "column %s of %s is set twice", a.Column, m.Table.Name())
			}
		}
	}
	return nil
}

func checkGuard(m storage.Mutation) error {
	if m.Kind == storage.Delete && m.Guard.Kind == storage.NotExists {
		return model.Errorf(model.ErrBadArgument, "a delete of %s on the condition that the row does not exist", m.Table.Name())
	}
	if m.Kind == storage.Check && m.Guard.Kind == storage.Always {
		return model.Errorf(model.ErrBadArgument, "a check of %s without a guard", m.Table.Name())
	}
	if m.Guard.Kind != storage.If {
		return nil
	}
	if len(m.Guard.Conditions) == 0 {
		return model.Errorf(model.ErrBadArgument, "a guard on %s without conditions", m.Table.Name())
	}
	for _, c := range m.Guard.Conditions {
		if c.Op == model.Like || c.Op == model.NotLike {
			return model.Errorf(model.ErrBadArgument, "LIKE in the guard of a mutation of %s", m.Table.Name())
		}
		if err := c.Check(m.Table); err != nil {
			return err
		}
	}
	return nil
}

func (s *Storage) checkAssignment(m storage.Mutation, a storage.Assignment) error {
	i, err := m.Table.Column(a.Column)
	if err != nil {
		return err
	}
	typ := m.Table.Columns()[i].Type
	switch {
	case m.Table.IsKey(i):
		return model.Errorf(model.ErrBadArgument, "key column %s of %s is set", a.Column, m.Table.Name())
	case a.From == "" && a.Value.Type() != typ:
		return model.Errorf(model.ErrBadArgument, "column %s of %s is %s, not %s", a.Column, m.Table.Name(), typ, a.Value.Type())
	case a.From == "":
		return a.Value.Check()
	case s.opts.NoCopyColumns:
		return model.Errorf(model.ErrBadArgument, "storage %q does not copy columns", s.name)
	case m.Guard.Kind != storage.If && m.Guard.Kind != storage.Exists:
		return model.Errorf(model.ErrBadArgument, "column %s of %s is copied in a write that may insert", a.Column, m.Table.Name())
	}
	j, err := m.Table.Column(a.From)
	if err != nil {
		return err
	}
	if m.Table.Columns()[j].Type != typ {
		return model.Errorf(model.ErrBadArgument, "column %s of %s is copied from %s of another type", a.Column, m.Table.Name(), a.From)
	}
	return nil
}
