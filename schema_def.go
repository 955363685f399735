package stillpoint

import (
	"reflect"

	"github.com/stillpoint-db/stillpoint/model"
)

// DataType is the type of a column.
type DataType = model.DataType

// The column types.
const (
	Boolean     = model.Boolean
	Int         = model.Int
	BigInt      = model.BigInt
	Float       = model.Float
	Double      = model.Double
	Text        = model.Text
	Blob        = model.Blob
	DateType    = model.Date
	TimeType    = model.Time
	Timestamp   = model.Timestamp
	TimestampTZ = model.TimestampTZ
)

// ColumnDef defines a column.
type ColumnDef = model.Column

// ClusteringDef names a clustering column and its order.
type ClusteringDef struct {
	Column string
	Order  Order
}

// TableDef defines a table for DB.CreateTables.
type TableDef struct {
	Name          string // "namespace.table"
	Columns       []ColumnDef
	PartitionKey  []string
	ClusteringKey []ClusteringDef
	Indexes       []string
	// NoTransactions makes a plain table, for Direct only.
	NoTransactions bool

	err error // of Define, reported by CreateTables
}

// Define makes a table definition of the tags of struct T:
// `stillpoint:"column,partition"`, `"column,clustering,desc"`, `"column,index"`.
// Key columns are in the order of the fields. Column types follow the Go types;
// pointers and sql.Null make no difference, as every column but the keys may be
// NULL. A struct that cannot be a table is reported by CreateTables.
func Define[T any](name string) TableDef {
	def := TableDef{Name: name}
	typ := reflect.TypeFor[T]()
	if typ.Kind() != reflect.Struct {
		def.err = model.Errorf(ErrBadArgument, "a table is defined by a struct, not by %s", typ)
		return def
	}
	fields, err := structFields(typ)
	if err != nil {
		def.err = err
		return def
	}
	for _, f := range fields {
		ct, err := goTypeColumn(f.typ)
		if err != nil {
			def.err = model.Errorf(ErrBadArgument, "field %s of %s: there is no column type for a Go %s", f.name, typ, f.typ)
			return def
		}
		def.Columns = append(def.Columns, ColumnDef{Name: f.column, Type: ct})
		switch {
		case f.partition && f.clustering:
			def.err = model.Errorf(ErrBadArgument, "field %s of %s cannot be both partition and clustering key", f.name, typ)
		case f.partition:
			def.PartitionKey = append(def.PartitionKey, f.column)
		case f.clustering:
			def.ClusteringKey = append(def.ClusteringKey, ClusteringDef{f.column, order(f.desc)})
		}
		if f.indexed {
			def.Indexes = append(def.Indexes, f.column)
		}
	}
	return def
}

func order(desc bool) Order {
	if desc {
		return Desc
	}
	return Asc
}

// table makes the user's table of the definition.
func (d TableDef) table() (*model.Table, error) {
	if d.err != nil {
		return nil, d.err
	}
	name, err := model.ParseTableName(d.Name)
	if err != nil {
		return nil, err
	}
	spec := model.TableSpec{Name: name, Columns: d.Columns, PartitionKey: d.PartitionKey, Indexes: d.Indexes}
	for _, c := range d.ClusteringKey {
		spec.ClusteringKey = append(spec.ClusteringKey, model.ClusteringColumn{Name: c.Column, Order: c.Order})
	}
	return model.NewTable(spec)
}
