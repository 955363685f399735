package sqldb

import (
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// Statement is the text of one mutation. It is immutable and shared.
type Statement struct {
	SQL    string
	Kind   storage.MutationKind
	Guard  storage.GuardKind
	Query  bool // a SELECT; otherwise its effect is a count of rows
	Insert bool // an INSERT of a row that must not exist: a duplicate key is a failed guard
	order  argOrder
}

type argOrder uint8

const (
	keySet      argOrder = iota // INSERT
	setKeyConds                 // UPDATE
	keyConds                    // DELETE, SELECT
)

// Holds tells from the number of rows touched or returned whether the guard of
// the mutation held. It never holds for a negative number.
func (s *Statement) Holds(rows int64) bool {
	switch {
	case s.Kind == storage.Check && s.Guard == storage.NotExists:
		return rows == 0
	case s.Guard == storage.Always:
		return rows >= 0
	}
	return rows > 0
}

// AppendArgs appends the arguments of a mutation of the statement's shape, in
// the order of its placeholders.
func (s *Statement) AppendArgs(dst []model.Value, m *storage.Mutation) []model.Value {
	if s.order == setKeyConds {
		dst = appendSet(dst, m)
	}
	dst = append(dst, m.Key.Partition...)
	dst = append(dst, m.Key.Clustering...)
	if s.order == keySet {
		return appendSet(dst, m)
	}
	for i := range m.Guard.Conditions {
		if c := &m.Guard.Conditions[i]; c.Op != model.IsNull && c.Op != model.IsNotNull {
			dst = append(dst, c.Value)
		}
	}
	return dst
}

func appendSet(dst []model.Value, m *storage.Mutation) []model.Value {
	for i := range m.Set {
		if m.Set[i].From == "" {
			dst = append(dst, m.Set[i].Value)
		}
	}
	return dst
}
