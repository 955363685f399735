package stillpoint

import (
	"reflect"
	"strings"
	"sync"

	"github.com/stillpoint-db/stillpoint/model"
)

// Row is a row by column name, for programs without a struct for it. Values
// read are bool, int32 (INT), int64 (BIGINT), float32, float64, string, []byte,
// Date, TimeOfDay, DateTime, time.Time, or nil for NULL; values given may be
// anything that fits the column exactly.
type Row map[string]any

// codec translates between a user's type and the values of a table.
type codec[T any] interface {
	// encode calls set for each column that x gives a value to, by position.
	encode(x *T, set func(i int, v model.Value)) error
	// decode fills x from a row.
	decode(r *model.Row, x *T) error
}

// newCodec checks T against the table once.
func newCodec[T any](t *model.Table) (codec[T], error) {
	typ := reflect.TypeFor[T]()
	if typ == reflect.TypeFor[Row]() {
		return any(rowCodec{t}).(codec[T]), nil
	}
	if typ.Kind() != reflect.Struct {
		return nil, model.Errorf(ErrBadArgument, "rows of %s are read into a struct or a stillpoint.Row, not into %s", t.Name(), typ)
	}
	fields, err := structFields(typ)
	if err != nil {
		return nil, err
	}
	c := structCodec[T]{}
	seen := make([]bool, len(t.Columns()))
	for _, f := range fields {
		i, err := t.Column(f.column)
		if err != nil {
			return nil, model.Errorf(ErrBadArgument, "field %s of %s: %w", f.name, typ, err)
		}
		col := t.Columns()[i]
		if ok, _ := fits(f.typ, col.Type); !ok {
			return nil, model.Errorf(ErrBadArgument, "field %s of %s is a Go %s and cannot hold column %q of %s (%s)",
				f.name, typ, f.typ, col.Name, t.Name(), col.Type)
		}
		if seen[i] {
			return nil, model.Errorf(ErrBadArgument, "two fields of %s are tagged %q", typ, col.Name)
		}
		seen[i] = true
		c.fields = append(c.fields, boundField{index: f.index, pos: i, col: col})
	}
	for i := range t.KeyLen() {
		if !seen[i] {
			return nil, model.Errorf(ErrBadArgument, "%s has no field for key column %q of %s; tag one with `stillpoint:%q`",
				typ, t.Columns()[i].Name, t.Name(), t.Columns()[i].Name)
		}
	}
	return c, nil
}

type boundField struct {
	index []int
	pos   int
	col   model.Column
}

type structCodec[T any] struct{ fields []boundField }

func (c structCodec[T]) encode(x *T, set func(int, model.Value)) error {
	rv := reflect.ValueOf(x).Elem()
	for i := range c.fields {
		f := &c.fields[i]
		v, err := fieldValue(f.col, rv.FieldByIndex(f.index))
		if err != nil {
			return err
		}
		set(f.pos, v)
	}
	return nil
}

// fieldValue is toValue without boxing the common kinds.
func fieldValue(col model.Column, f reflect.Value) (model.Value, error) {
	switch f.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return fromInt(col, f.Int())
	case reflect.String:
		if col.Type == model.Text {
			return model.TextValue(f.String()), nil
		}
	}
	return toValue(col, f.Interface())
}

func (c structCodec[T]) decode(r *model.Row, x *T) error {
	rv := reflect.ValueOf(x).Elem()
	for i := range c.fields {
		f := &c.fields[i]
		if err := setField(rv.FieldByIndex(f.index), f.col, r.Values[f.pos]); err != nil {
			return model.Errorf(ErrBadArgument, "reading %s: %w", r.Table.Name(), err)
		}
	}
	return nil
}

type rowCodec struct{ t *model.Table }

func (c rowCodec) encode(x *Row, set func(int, model.Value)) error {
	for name, value := range *x {
		i, err := c.t.Column(name)
		if err != nil {
			return err
		}
		v, err := toValue(c.t.Columns()[i], value)
		if err != nil {
			return err
		}
		set(i, v)
	}
	return nil
}

func (c rowCodec) decode(r *model.Row, x *Row) error {
	m := make(Row, len(r.Values))
	for i, col := range r.Table.Columns() {
		m[col.Name] = fromValue(r.Values[i])
	}
	*x = m
	return nil
}

// structField is a field with its tag `stillpoint:"column[,partition|clustering][,desc][,index]"`.
type structField struct {
	name   string
	index  []int
	typ    reflect.Type
	column string

	partition, clustering, desc, indexed bool
}

var structFieldsCache sync.Map // reflect.Type -> []structField

// structFields reads the tags of a struct. Fields without a tag, and those
// tagged "-", are left alone.
func structFields(typ reflect.Type) ([]structField, error) {
	if cached, ok := structFieldsCache.Load(typ); ok {
		return cached.([]structField), nil
	}
	var out []structField
	for _, sf := range reflect.VisibleFields(typ) {
		tag, ok := sf.Tag.Lookup("stillpoint")
		if !ok || tag == "-" {
			continue
		}
		if throughPointer(typ, sf.Index) {
			return nil, model.Errorf(ErrBadArgument, "field %s of %s lies in an embedded pointer; embed the struct itself", sf.Name, typ)
		}
		if !sf.IsExported() {
			return nil, model.Errorf(ErrBadArgument, "field %s of %s is tagged but not exported", sf.Name, typ)
		}
		parts := strings.Split(tag, ",")
		f := structField{name: sf.Name, index: sf.Index, typ: sf.Type, column: strings.TrimSpace(parts[0])}
		if f.column == "" {
			return nil, model.Errorf(ErrBadArgument, "the tag of field %s of %s names no column", sf.Name, typ)
		}
		for _, opt := range parts[1:] {
			switch strings.TrimSpace(opt) {
			case "partition":
				f.partition = true
			case "clustering":
				f.clustering = true
			case "desc":
				f.desc = true
			case "index":
				f.indexed = true
			default:
				return nil, model.Errorf(ErrBadArgument, "field %s of %s: %q is not an option of the tag; use partition, clustering, desc or index", sf.Name, typ, opt)
			}
		}
		out = append(out, f)
	}
	if len(out) == 0 {
		return nil, model.Errorf(ErrBadArgument, "%s has no field tagged `stillpoint:\"column\"`", typ)
	}
	structFieldsCache.Store(typ, out)
	return out, nil
}

// throughPointer tells whether the way to a field leads through a pointer, which
// may be nil.
func throughPointer(typ reflect.Type, index []int) bool {
	for _, i := range index[:len(index)-1] {
		typ = typ.Field(i).Type
		if typ.Kind() == reflect.Pointer {
			return true
		}
	}
	return false
}
