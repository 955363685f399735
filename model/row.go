package model

import (
	"encoding/binary"
	"strings"
)

// Key is the primary key of a row: the values of the partition key and of the
// clustering key, in the order of the table's columns.
type Key struct {
	Partition, Clustering []Value
}

// KeyOf takes the first values of a row as its key.
func KeyOf(t *Table, values []Value) Key {
	return Key{values[:t.nPartition:t.nPartition], values[t.nPartition:t.KeyLen():t.KeyLen()]}
}

// At returns key value i, counted over partition and clustering key.
func (k Key) At(i int) Value {
	if i < len(k.Partition) {
		return k.Partition[i]
	}
	return k.Clustering[i-len(k.Partition)]
}

// Len returns the number of key values.
func (k Key) Len() int { return len(k.Partition) + len(k.Clustering) }

// Encode returns a string that is equal for equal keys of one table and
// different for others. It is for maps and grouping; its order means nothing.
func (k Key) Encode() string { return EncodeValues(k.Partition) + EncodeValues(k.Clustering) }

// EncodeValues renders values into a string that tells them apart.
func EncodeValues(vs []Value) string {
	b := make([]byte, 0, 16*len(vs))
	for _, v := range vs {
		b = append(b, byte(v.t))
		switch {
		case v.null:
			b[len(b)-1] |= 0x80
		case v.t == Text || v.t == Blob:
			b = binary.AppendUvarint(b, uint64(len(v.s)))
			b = append(b, v.s...)
		default:
			b = binary.AppendVarint(b, v.n)
		}
	}
	return string(b)
}

// Compare orders keys of one table by their values, ascending whatever the
// table's clustering order is.
func (k Key) Compare(l Key) int {
	for i := range min(k.Len(), l.Len()) {
		if c := k.At(i).Compare(l.At(i)); c != 0 {
			return c
		}
	}
	return k.Len() - l.Len()
}

// String renders the key for people, as in ("a", 7).
func (k Key) String() string {
	var b strings.Builder
	b.WriteByte('(')
	for i := range k.Len() {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(k.At(i).String())
	}
	b.WriteByte(')')
	return b.String()
}

// Check tells whether k is a full key of table t: right number and types of
// values, none NULL, no empty TEXT or BLOB (ScalarDB refuses those in keys).
func (k Key) Check(t *Table) error {
	if len(k.Partition) != t.nPartition || len(k.Clustering) != t.nClustering {
		return Errorf(ErrBadArgument, "%s needs %d partition and %d clustering key values, not %d and %d",
			t.name, t.nPartition, t.nClustering, len(k.Partition), len(k.Clustering))
	}
	for i := range k.Len() {
		if err := CheckKeyValue(t, i, k.At(i)); err != nil {
			return err
		}
	}
	return nil
}

// CheckKeyValue checks a value for key column i of t.
func CheckKeyValue(t *Table, i int, v Value) error {
	c := t.columns[i]
	switch {
	case !v.IsSet():
		return Errorf(ErrBadArgument, "key column %s of %s is given no value", c.Name, t.name)
	case v.t != c.Type:
		return Errorf(ErrBadArgument, "key column %s of %s is %s, not %s", c.Name, t.name, c.Type, v.t)
	case v.null:
		return Errorf(ErrBadArgument, "key column %s of %s must not be NULL", c.Name, t.name)
	case (v.t == Text || v.t == Blob) && v.s == "":
		return Errorf(ErrBadArgument, "key column %s of %s must not be empty", c.Name, t.name)
	}
	return v.Check()
}

// Row is one row of a table: a value for each column, in the order of
// Table.Columns. Values that were not read are not set.
type Row struct {
	Table  *Table
	Values []Value
}

// Key returns the row's primary key. It shares memory with the row.
func (r *Row) Key() Key { return KeyOf(r.Table, r.Values) }

// Get returns the value of a column by name; the zero Value if the table has no
// such column.
func (r *Row) Get(column string) Value {
	if i := r.Table.Position(column); i >= 0 {
		return r.Values[i]
	}
	return Value{}
}

// Clone returns a copy that shares nothing that can change.
func (r *Row) Clone() *Row {
	return &Row{Table: r.Table, Values: append([]Value(nil), r.Values...)}
}
