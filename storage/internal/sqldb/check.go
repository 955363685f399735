package sqldb

import (
	"math"
	"strings"
	"unicode/utf8"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// CheckGet refuses a Get that cannot be right: model.ErrBadArgument.
func (d *Dialect) CheckGet(g *storage.Get) error {
	if g.Table == nil {
		return model.Errorf(model.ErrBadArgument, "a get names no table")
	}
	return d.checkKey(g.Table, g.Key)
}

func (d *Dialect) checkKey(t *model.Table, k model.Key) error {
	if err := k.Check(t); err != nil {
		return err
	}
	for i := range k.Len() {
		if err := d.checkValue(t, i, k.At(i)); err != nil {
			return err
		}
	}
	return nil
}

// CheckValue refuses a value that the engine would change or could not store.
func (d *Dialect) checkValue(t *model.Table, i int, v model.Value) error {
	if v.IsNull() {
		return nil
	}
	column := func() string { return t.Name().String() + "." + t.Columns()[i].Name }
	switch v.Type() {
	case model.Text:
		if !utf8.ValidString(v.Str()) {
			return model.Errorf(model.ErrBadArgument, "the text for %s is not valid UTF-8", column())
		}
		if d.NoNUL && strings.IndexByte(v.Str(), 0) >= 0 {
			return model.Errorf(model.ErrBadArgument, "the text for %s holds a NUL character, which %s cannot store", column(), d.Engine)
		}
	case model.Float, model.Double:
		f := v.Float64()
		if d.NoNaN && math.IsNaN(f) || d.NoInfinity && math.IsInf(f, 0) {
			return model.Errorf(model.ErrBadArgument, "%s cannot store %v in %s", d.Engine, f, column())
		}
	}
	return nil
}

// CheckRow refuses a whole row that the engine could not hold as it is:
// model.ErrBadArgument.
func (d *Dialect) CheckRow(t *model.Table, r *model.Row) error {
	if r == nil || len(r.Values) != len(t.Columns()) {
		return model.Errorf(model.ErrBadArgument, "a row of %s needs %d values", t.Name(), len(t.Columns()))
	}
	for i, v := range r.Values {
		if t.IsKey(i) {
			if err := model.CheckKeyValue(t, i, v); err != nil {
				return err
			}
		} else if c := t.Columns()[i]; v.Type() != c.Type {
			return model.Errorf(model.ErrBadArgument, "column %s of %s is %s, not %s", c.Name, t.Name(), c.Type, v.Type())
		} else if err := v.Check(); err != nil {
			return err
		}
		if err := d.checkValue(t, i, v); err != nil {
			return err
		}
	}
	return nil
}

// Lengths are the most characters of each TEXT column of a table, and bytes of each
// BLOB column; 0 = as many as the type holds.
type Lengths []int64

// NewLengths are those of a table that the dialect's DDL makes.
func (d *Dialect) NewLengths(t *model.Table) Lengths {
	lengths := make(Lengths, len(t.Columns()))
	for i := range lengths {
		if t.IsKey(i) || t.Indexed(i) {
			lengths[i] = int64(d.KeySize)
		}
	}
	return lengths
}

// CheckRowWithin is CheckRow for columns of these lengths: model.ErrBadArgument.
func (d *Dialect) CheckRowWithin(t *model.Table, r *model.Row, lengths Lengths) error {
	if err := d.CheckRow(t, r); err != nil {
		return err
	}
	for i, v := range r.Values {
		if lengths[i] == 0 || v.IsNull() {
			continue
		}
		size, unit := 0, "bytes"
		switch v.Type() {
		case model.Text:
			size, unit = utf8.RuneCountInString(v.Str()), "characters"
		case model.Blob:
			size = len(v.Str())
		}
		if int64(size) > lengths[i] {
			return model.Errorf(model.ErrBadArgument, "%s.%s takes %d %s, not %d", t.Name(), t.Columns()[i].Name, lengths[i], unit, size)
		}
	}
	return nil
}

// CheckBatch refuses a batch that cannot be right: model.ErrBadArgument.
func (d *Dialect) CheckBatch(batch *storage.Batch) error {
	ms := batch.Mutations
	for i := range ms {
		if err := d.checkMutation(&ms[i]); err != nil {
			return err
		}
	}
	return checkDistinct(ms)
}

// checkDistinct refuses two mutations of one key.
func checkDistinct(ms []storage.Mutation) error {
	twice := func(m *storage.Mutation) error {
		return model.Errorf(model.ErrBadArgument, "two mutations of one batch are of the same row: %s %s", m.Table.Name(), m.Key)
	}
	if len(ms) <= 16 {
		for i := range ms {
			for j := range i {
				if ms[i].Table.Name() == ms[j].Table.Name() && ms[i].Key.Compare(ms[j].Key) == 0 {
					return twice(&ms[i])
				}
			}
		}
		return nil
	}
	seen := make(map[string]struct{}, len(ms))
	for i := range ms {
		k := ms[i].Table.Name().String() + "\x00" + ms[i].Key.Encode()
		if _, dup := seen[k]; dup {
			return twice(&ms[i])
		}
		seen[k] = struct{}{}
	}
	return nil
}

func (d *Dialect) checkMutation(m *storage.Mutation) error {
	if m.Table == nil {
		return model.Errorf(model.ErrBadArgument, "a mutation names no table")
	}
	if err := d.checkKey(m.Table, m.Key); err != nil {
		return err
	}
	name, guard := m.Table.Name(), m.Guard.Kind
	bad := func(format string, args ...any) error {
		return model.Errorf(model.ErrBadArgument, m.Kind.String()+" of "+name.String()+": "+format, args...)
	}
	switch {
	case m.Kind > storage.Check || guard > storage.If:
		return model.Errorf(model.ErrBadArgument, "mutation of %s is of no known kind", name)
	case m.Kind != storage.Put && len(m.Set) > 0:
		return bad("only a put sets columns")
	case m.Kind == storage.Delete && guard == storage.NotExists:
		return bad("a row that must not exist cannot be deleted")
	case m.Kind == storage.Check && guard == storage.Always:
		return bad("it has no guard to check")
	case (guard == storage.If) != (len(m.Guard.Conditions) > 0):
		return bad("a guard has conditions if, and only if, it is of kind If")
	}
	for i := range m.Guard.Conditions {
		c := &m.Guard.Conditions[i]
		if c.Op == model.Like || c.Op == model.NotLike {
			return bad("LIKE is for scans only")
		}
		if err := d.checkCondition(m.Table, c); err != nil {
			return err
		}
	}
	return d.checkSet(m, bad)
}

func (d *Dialect) checkSet(m *storage.Mutation, bad func(string, ...any) error) error {
	t, copies := m.Table, false
	for i := range m.Set {
		a := &m.Set[i]
		pos, err := t.Column(a.Column)
		if err != nil {
			return err
		}
		if t.IsKey(pos) {
			return bad("column %s is part of the key and cannot be set", a.Column)
		}
		for j := range i {
			if m.Set[j].Column == a.Column {
				return bad("column %s is set twice", a.Column)
			}
		}
		want, got := t.Columns()[pos].Type, a.Value.Type()
		if a.From != "" {
			copies = true
			from, err := t.Column(a.From)
			if err != nil {
				return err
			}
			got = t.Columns()[from].Type
		}
		if want != got {
			return bad("column %s is %s, not %s", a.Column, want, got)
		}
		if a.From != "" {
			continue
		}
		if err := a.Value.Check(); err != nil {
			return err
		}
		if err := d.checkValue(t, pos, a.Value); err != nil {
			return err
		}
	}
	if copies && m.Guard.Kind != storage.If && m.Guard.Kind != storage.Exists {
		return bad("a column is copied only where the row must exist")
	}
	if copies && d.SequentialSet && circular(m.Set) {
		return bad("%s cannot copy columns in a circle", d.Engine)
	}
	return nil
}

func (d *Dialect) checkCondition(t *model.Table, c *model.Condition) error {
	if err := c.Check(t); err != nil {
		return err
	}
	if c.Op == model.IsNull || c.Op == model.IsNotNull {
		return nil
	}
	return d.checkValue(t, t.Position(c.Column), c.Value)
}
