package sqldb

import (
	"slices"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

func (b *Builder) buildMutation(tt *tableTexts, m *storage.Mutation) *Statement {
	st := &Statement{Kind: m.Kind, Guard: m.Guard.Kind, order: keyConds}
	w := b.writer(nil)
	switch {
	case m.Kind == storage.Check || m.Kind == storage.Put && len(m.Set) == 0 && (m.Guard.Kind == storage.Exists || m.Guard.Kind == storage.If):
		// An UPDATE that sets nothing is not SQL; what it asks is a check.
		st.Query = true
		w.str("SELECT 1 FROM ").str(tt.name).str(" WHERE ")
		w.keys(m.Table)
		w.conditions(m)
		w.str(b.d.ShareLock)
	case m.Kind == storage.Delete:
		w.str("DELETE FROM ").str(tt.name).str(" WHERE ")
		w.keys(m.Table)
		w.conditions(m)
	case m.Guard.Kind == storage.Always || m.Guard.Kind == storage.NotExists:
		st.order = keySet
		st.Insert = m.Guard.Kind == storage.NotExists
		w.insert(tt.name, m)
		switch {
		case st.Insert && b.d.InsertSkips:
			w.str(" ON CONFLICT (").keyList(m.Table)
			w.str(") DO NOTHING")
		case !st.Insert:
			w.upsert(m)
		}
	default:
		st.order = setKeyConds
		w.str("UPDATE ").str(tt.name).str(" SET ")
		w.assignments(m)
		w.str(" WHERE ")
		w.keys(m.Table)
		w.conditions(m)
	}
	st.SQL = string(w.b)
	if b.d.Wrap != nil {
		st.SQL = b.d.Wrap(*st)
	}
	return st
}

func (w *writer) conditions(m *storage.Mutation) {
	for i := range m.Guard.Conditions {
		w.str(" AND ")
		w.condition(&m.Guard.Conditions[i])
	}
}

func (w *writer) keyList(t *model.Table) {
	for i := range t.KeyLen() {
		if i > 0 {
			w.str(",")
		}
		w.ident(t.Columns()[i].Name)
	}
}

func (w *writer) insert(table string, m *storage.Mutation) {
	w.str("INSERT INTO ").str(table).str(" (").keyList(m.Table)
	for i := range m.Set {
		w.str(",").ident(m.Set[i].Column)
	}
	w.str(") VALUES (")
	for i := range m.Table.KeyLen() + len(m.Set) {
		if i > 0 {
			w.str(",")
		}
		w.arg()
	}
	w.str(")")
}

func (w *writer) upsert(m *storage.Mutation) {
	if w.d.Upsert == OnDuplicate {
		w.str(" ON DUPLICATE KEY UPDATE ")
		if len(m.Set) == 0 { // not INSERT IGNORE, which would also hide a value cut short
			k := m.Table.Columns()[0].Name
			w.ident(k).str("=").ident(k)
		}
	} else {
		w.str(" ON CONFLICT (").keyList(m.Table)
		w.str(") DO ")
		if len(m.Set) == 0 {
			w.str("NOTHING")
			return
		}
		w.str("UPDATE SET ")
	}
	for i := range m.Set {
		if i > 0 {
			w.str(",")
		}
		w.ident(m.Set[i].Column).str("=")
		if w.d.Upsert == OnDuplicate {
			w.str("VALUES(").ident(m.Set[i].Column).str(")")
		} else {
			w.str("excluded.").ident(m.Set[i].Column)
		}
	}
}

// assignments writes c=? and c=other. Copies come first, each before the
// column that it copies is itself assigned, so that they see the values before
// the statement also where assignments run one after the other.
func (w *writer) assignments(m *storage.Mutation) {
	first := true
	next := func(column string) *writer {
		if !first {
			w.str(",")
		}
		first = false
		return w.ident(column).str("=")
	}
	for _, i := range copyOrder(m.Set) {
		next(m.Set[i].Column).ident(m.Set[i].From)
	}
	for i := range m.Set {
		if m.Set[i].From == "" {
			next(m.Set[i].Column).arg()
		}
	}
}

// copyOrder returns the indexes of the copies so that a column is assigned only
// after all copies of it are made. Copies in a circle, which no order serves,
// come at the end; CheckBatch refuses them where it matters.
func copyOrder(set []storage.Assignment) []int {
	var todo, done []int
	for i := range set {
		if set[i].From != "" {
			todo = append(todo, i)
		}
	}
	for len(todo) > 0 {
		k := slices.IndexFunc(todo, func(i int) bool { // nobody still copies what i assigns
			return !slices.ContainsFunc(todo, func(j int) bool { return j != i && set[j].From == set[i].Column })
		})
		if k < 0 {
			return append(done, todo...)
		}
		done = append(done, todo[k])
		todo = slices.Delete(todo, k, k+1)
	}
	return done
}

// circular tells whether some copies form a circle.
func circular(set []storage.Assignment) bool {
	order := copyOrder(set)
	for k, i := range order {
		for _, j := range order[k+1:] {
			if set[j].From == set[i].Column {
				return true
			}
		}
	}
	return false
}
