package record

import (
	"strings"

	"github.com/stillpoint-db/stillpoint/model"
)

// Layout maps between a stored transactional table and the table that its users
// see. It never changes.
type Layout struct {
	Physical *model.Table // as stored
	User     *model.Table // without meta and before columns

	// Positions of the meta columns in Physical, and of their before columns.
	Meta, BeforeMeta MetaColumns

	// Column and Twin give, for each column of User, its position in
	// Physical and that of its before column (-1 for key columns).
	Column, Twin []int

	prefix bool // Column[i] == i for all i
}

// MetaColumns are the positions of the five meta columns.
type MetaColumns struct {
	TxID, State, Version, PreparedAt, CommittedAt int
}

func (m MetaColumns) all() [5]int {
	return [5]int{m.TxID, m.State, m.Version, m.PreparedAt, m.CommittedAt}
}

// Position returns the position of the i-th meta column, counted in the order of
// the fields.
func (m MetaColumns) Position(i int) int { return m.all()[i] }

// NewLayout makes the layout of a stored table. A table that is not
// transactional, or whose columns cannot be told from before-images, is
// model.ErrRefused.
func NewLayout(physical *model.Table) (*Layout, error) {
	if !IsTransactional(physical) {
		return nil, &model.Error{Class: model.ErrRefused, Op: "use", Subject: physical.Name().String(), Detail: "it is not a transactional table",
			Hint: "Create it as one (\"transaction\": true in its schema), or use the storage without transactions"}
	}
	spec := model.TableSpec{Name: physical.Name()}
	for i, c := range physical.Columns() {
		rest, before := strings.CutPrefix(c.Name, BeforePrefix)
		switch {
		case i < physical.PartitionLen():
			spec.PartitionKey = append(spec.PartitionKey, c.Name)
		case i < physical.KeyLen():
			spec.ClusteringKey = append(spec.ClusteringKey, model.ClusteringColumn{Name: c.Name, Order: physical.ClusteringOrder(i - physical.PartitionLen())})
		case isMeta(c.Name):
			j, _ := physical.Column(strings.TrimPrefix(c.Name, BeforePrefix))
			if physical.Columns()[j].Type != c.Type || !hasMetaType(c) {
				return nil, model.Errorf(model.ErrRefused, "table %s: column %q is %s, which is not what transactions write there", physical.Name(), c.Name, c.Type)
			}
			continue
		case before && physical.Position(rest) >= 0:
			j := physical.Position(rest)
			if physical.IsKey(j) || physical.Columns()[j].Type != c.Type {
				return nil, model.Errorf(model.ErrRefused, "table %s: column %q cannot be told from a before-image of column %q", physical.Name(), c.Name, rest)
			}
			continue
		}
		spec.Columns = append(spec.Columns, c)
		if physical.Indexed(i) {
			spec.Indexes = append(spec.Indexes, c.Name)
		}
	}
	user, err := model.NewTable(spec)
	if err != nil {
		return nil, err
	}
	l := &Layout{Physical: physical, User: user, prefix: true}
	l.Meta, l.BeforeMeta = metaOf(physical, ""), metaOf(physical, BeforePrefix)
	for i, c := range user.Columns() {
		at, twin := physical.Position(c.Name), -1
		if !user.IsKey(i) {
			twin = physical.Position(BeforePrefix + c.Name)
		}
		l.prefix = l.prefix && at == i
		l.Column, l.Twin = append(l.Column, at), append(l.Twin, twin)
	}
	return l, nil
}

func metaOf(t *model.Table, prefix string) MetaColumns {
	return MetaColumns{
		TxID: t.Position(prefix + TxID), State: t.Position(prefix + TxState), Version: t.Position(prefix + TxVersion),
		PreparedAt: t.Position(prefix + PreparedAt), CommittedAt: t.Position(prefix + CommittedAt),
	}
}

func hasMetaType(c model.Column) bool {
	name := strings.TrimPrefix(c.Name, BeforePrefix)
	for _, m := range metaColumns {
		if m.Name == name {
			return m.Type == c.Type
		}
	}
	return false
}

// HasBeforeIndex tells whether reads by the index of a user's column can find
// records whose value is being changed: whether its before column is indexed
// too. Tables made by older versions may lack it.
func (l *Layout) HasBeforeIndex(userColumn int) bool {
	b := l.Twin[userColumn]
	return b < 0 || l.Physical.Indexed(b)
}

// UserRow takes the user's columns of a stored row, as they are. It may share
// memory with the row.
func (l *Layout) UserRow(row *model.Row) *model.Row {
	if row == nil {
		return nil
	}
	n := len(l.Column)
	if l.prefix {
		return &model.Row{Table: l.User, Values: row.Values[:n:n]}
	}
	values := make([]model.Value, n)
	for i, at := range l.Column {
		values[i] = row.Values[at]
	}
	return &model.Row{Table: l.User, Values: values}
}
