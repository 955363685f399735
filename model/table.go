package model

import (
	"slices"
	"strings"
)

// TableName names a table. Its text form is "namespace.table".
type TableName struct {
	Namespace, Name string
}

// String returns "namespace.table".
func (n TableName) String() string { return n.Namespace + "." + n.Name }

// Compare orders names by namespace, then table. It is the one order in which
// writers touch tables and a fence locks them.
func (n TableName) Compare(m TableName) int {
	if c := strings.Compare(n.Namespace, m.Namespace); c != 0 {
		return c
	}
	return strings.Compare(n.Name, m.Name)
}

// ParseTableName reads "namespace.table".
func ParseTableName(s string) (TableName, error) {
	ns, name, ok := strings.Cut(s, ".")
	if !ok || ns == "" || name == "" || strings.Contains(name, ".") {
		return TableName{}, Errorf(ErrBadArgument, "%q is not a table name; write namespace.table", s)
	}
	return TableName{ns, name}, nil
}

// Order is the direction of a clustering column or of a scan.
type Order uint8

// The two directions. Asc is the zero value.
const (
	Asc Order = iota
	Desc
)

// String returns "ASC" or "DESC".
func (o Order) String() string {
	if o == Desc {
		return "DESC"
	}
	return "ASC"
}

// Reverse returns the other direction.
func (o Order) Reverse() Order { return 1 - o }

// Column is the definition of a column.
type Column struct {
	Name string
	Type DataType
}

// ClusteringColumn names a clustering column and its order.
type ClusteringColumn struct {
	Name  string
	Order Order
}

// TableSpec is what NewTable makes a Table of.
type TableSpec struct {
	Name          TableName
	Columns       []Column // in any order; every key and index column must be among them
	PartitionKey  []string
	ClusteringKey []ClusteringColumn
	Indexes       []string // columns with a secondary index
}

// Table is the definition of a table: partition key columns first, then the
// clustering key, then the others in the order given. Columns are addressed by
// position. A Table never changes.
type Table struct {
	name        TableName
	columns     []Column
	nPartition  int
	nClustering int
	orders      []Order
	indexed     []bool
	position    map[string]int
}

// NewTable checks a specification and makes the table of it: ErrBadArgument if
// it has no column or no partition key, names a column twice or one that it
// does not define.
func NewTable(spec TableSpec) (*Table, error) {
	t := &Table{name: spec.Name, position: make(map[string]int, len(spec.Columns))}
	bad := func(format string, args ...any) (*Table, error) {
		return nil, Errorf(ErrBadArgument, "table "+spec.Name.String()+" "+format, args...)
	}
	if spec.Name.Namespace == "" || spec.Name.Name == "" {
		return nil, Errorf(ErrBadArgument, "a table needs a namespace and a name, not %q", spec.Name)
	}
	if len(spec.PartitionKey) == 0 {
		return bad("has no partition key")
	}
	types := make(map[string]DataType, len(spec.Columns))
	for _, c := range spec.Columns {
		if c.Name == "" || c.Type < Boolean || c.Type > TimestampTZ {
			return bad("has a column without name or type: %q", c.Name)
		}
		if _, dup := types[c.Name]; dup {
			return bad("defines column %q twice", c.Name)
		}
		types[c.Name] = c.Type
	}
	add := func(name string) bool {
		typ, ok := types[name]
		if _, dup := t.position[name]; dup || !ok {
			return false
		}
		t.position[name] = len(t.columns)
		t.columns = append(t.columns, Column{name, typ})
		return true
	}
	for _, k := range spec.PartitionKey {
		if !add(k) {
			return bad("has a partition key column %q that is not defined or named twice", k)
		}
	}
	for _, k := range spec.ClusteringKey {
		if !add(k.Name) {
			return bad("has a clustering key column %q that is not defined or named twice", k.Name)
		}
		t.orders = append(t.orders, k.Order)
	}
	t.nPartition, t.nClustering = len(spec.PartitionKey), len(spec.ClusteringKey)
	for _, c := range spec.Columns {
		add(c.Name)
	}
	t.indexed = make([]bool, len(t.columns))
	for _, name := range spec.Indexes {
		i, ok := t.position[name]
		if !ok {
			return bad("has an index on column %q, which it does not define", name)
		}
		t.indexed[i] = true
	}
	return t, nil
}

// Spec returns a specification from which NewTable makes an equal table.
func (t *Table) Spec() TableSpec {
	spec := TableSpec{Name: t.name, Columns: slices.Clone(t.columns)}
	for i := range t.nPartition {
		spec.PartitionKey = append(spec.PartitionKey, t.columns[i].Name)
	}
	for i := range t.nClustering {
		spec.ClusteringKey = append(spec.ClusteringKey, ClusteringColumn{t.columns[t.nPartition+i].Name, t.orders[i]})
	}
	for i, c := range t.columns {
		if t.indexed[i] {
			spec.Indexes = append(spec.Indexes, c.Name)
		}
	}
	return spec
}

// Name returns the table's name.
func (t *Table) Name() TableName { return t.name }

// Columns returns all columns: partition key, clustering key, others. The
// caller must not change the slice.
func (t *Table) Columns() []Column { return t.columns }

// PartitionLen and ClusteringLen are the numbers of key columns; KeyLen is their
// sum. The key columns are the first KeyLen columns.
func (t *Table) PartitionLen() int { return t.nPartition }

// ClusteringLen is the number of clustering key columns.
func (t *Table) ClusteringLen() int { return t.nClustering }

// KeyLen is the number of key columns.
func (t *Table) KeyLen() int { return t.nPartition + t.nClustering }

// IsKey tells whether the column at position i belongs to the primary key.
func (t *Table) IsKey(i int) bool { return i < t.KeyLen() }

// ClusteringOrder returns the order of clustering column i (0-based).
func (t *Table) ClusteringOrder(i int) Order { return t.orders[i] }

// Indexed tells whether the column at position i has a secondary index.
func (t *Table) Indexed(i int) bool { return t.indexed[i] }

// Position finds a column by its name; -1 if there is none.
func (t *Table) Position(name string) int {
	if i, ok := t.position[name]; ok {
		return i
	}
	return -1
}

// Column finds a column by its name: ErrBadArgument, with a suggestion, if
// there is none.
func (t *Table) Column(name string) (int, error) {
	if i, ok := t.position[name]; ok {
		return i, nil
	}
	msg := ""
	if near := Nearest(name, func(yield func(string) bool) {
		for _, c := range t.columns {
			if !yield(c.Name) {
				return
			}
		}
	}); near != "" {
		msg = "; did you mean \"" + near + "\"?"
	}
	return -1, Errorf(ErrBadArgument, "%s has no column %q%s", t.name, name, msg)
}

// Equal tells whether two tables have the same name, keys, orders, column
// names and types, and indexes. The order of non-key columns does not matter.
func (t *Table) Equal(u *Table) bool {
	if t.name != u.name || t.nPartition != u.nPartition || t.nClustering != u.nClustering ||
		len(t.columns) != len(u.columns) || !slices.Equal(t.orders, u.orders) ||
		!slices.Equal(t.columns[:t.KeyLen()], u.columns[:u.KeyLen()]) {
		return false
	}
	for i, c := range t.columns {
		j := u.Position(c.Name)
		if j < 0 || u.columns[j].Type != c.Type || u.indexed[j] != t.indexed[i] {
			return false
		}
	}
	return true
}

// Nearest returns the candidate that a typing error most likely meant, or "" if
// none has anything in common with s.
func Nearest(s string, candidates func(yield func(string) bool)) string {
	best, bestDist := "", max(2, len(s)/4)+1
	for c := range candidates {
		if len(c)-len(s) >= bestDist || len(s)-len(c) >= bestDist || len(s) > 200 {
			continue // too different, or no word
		}
		if d := editDistance(strings.ToLower(s), strings.ToLower(c)); d < min(bestDist, len(s)) {
			best, bestDist = c, d
		}
	}
	return best
}

// Distance counts the typing errors between two words, as Nearest does, upper
// and lower case told apart.
func Distance(a, b string) int { return editDistance(a, b) }

// editDistance counts insertions, deletions, substitutions and swaps of
// neighbours.
func editDistance(a, b string) int {
	prev2, prev, cur := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], prev2[j-2]+1)
			}
		}
		prev2, prev, cur = prev, cur, prev2
	}
	return prev[len(b)]
}
