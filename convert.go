package stillpoint

import (
	"database/sql"
	"database/sql/driver"
	"fmt"
	"math"
	"reflect"
	"time"

	"github.com/stillpoint-db/stillpoint/model"
)

// The civil types of DATE, TIME and TIMESTAMP columns. TIMESTAMPTZ is a
// time.Time.
type (
	// Date is a calendar day.
	Date = model.CivilDate
	// TimeOfDay is a time of day, kept to microseconds.
	TimeOfDay = model.CivilTime
	// DateTime is a day and time without a zone, kept to milliseconds.
	DateTime = model.CivilDateTime
)

// DateOf returns the day of t in t's location.
func DateOf(t time.Time) Date { return model.DateOf(t) }

// TimeOf returns the time of day of t in t's location.
func TimeOf(t time.Time) TimeOfDay { return model.TimeOf(t) }

// DateTimeOf returns the wall clock of t in t's location.
func DateTimeOf(t time.Time) DateTime { return model.DateTimeOf(t) }

// toValue makes a value of the column's type from a Go value: numbers of any
// kind if they fit exactly, strings, byte slices, bool, the civil types,
// time.Time, nil and nil pointers as NULL, sql.Null and other driver.Valuers.
func toValue(col model.Column, x any) (model.Value, error) {
	switch v := x.(type) {
	case nil:
		return model.Null(col.Type), nil
	case int64:
		return fromInt(col, v)
	case int:
		return fromInt(col, int64(v))
	case int32:
		return fromInt(col, int64(v))
	case string:
		if col.Type == model.Text {
			return model.TextValue(v), nil
		}
		return mismatch(col, x)
	case []byte:
		if v == nil {
			return model.Null(col.Type), nil
		}
		if col.Type == model.Blob {
			return model.BlobValue(v), nil
		}
		return mismatch(col, x)
	case bool:
		if col.Type == model.Boolean {
			return model.BooleanValue(v), nil
		}
		return mismatch(col, x)
	case float64:
		return fromFloat(col, v)
	case float32:
		return fromFloat(col, float64(v))
	case Date:
		if col.Type == model.Date {
			return checked(model.DateValue(v), v.Check())
		}
		return mismatch(col, x)
	case TimeOfDay:
		if col.Type == model.Time {
			return checked(model.TimeValue(v), v.Check())
		}
		return mismatch(col, x)
	case DateTime:
		if col.Type == model.Timestamp {
			return checked(model.TimestampValue(v), v.Check())
		}
		return mismatch(col, x)
	case time.Time:
		if col.Type == model.TimestampTZ {
			return checked(model.TimestampTZValue(v), nil)
		}
		return mismatch(col, x)
	case model.Value:
		if v.Type() == col.Type {
			return v, nil
		}
		return mismatch(col, x)
	case driver.Valuer:
		rv := reflect.ValueOf(x)
		if rv.Kind() == reflect.Pointer && rv.IsNil() {
			return model.Null(col.Type), nil
		}
		if inner, ok := nullContent(rv); ok {
			return toValue(col, inner)
		}
		inner, err := v.Value()
		if err != nil {
			return model.Value{}, model.Errorf(ErrBadArgument, "value of column %q: %w", col.Name, err)
		}
		return toValue(col, inner)
	}
	return toValueByKind(col, x)
}

// nullContent looks into sql.Null[T], whose Value method knows only the types
// that database/sql does.
func nullContent(rv reflect.Value) (any, bool) {
	if rv.Kind() != reflect.Struct || rv.NumField() != 2 || rv.Type().PkgPath() != "database/sql" {
		return nil, false
	}
	valid := rv.FieldByName("Valid")
	if !valid.IsValid() || valid.Kind() != reflect.Bool {
		return nil, false
	}
	if !valid.Bool() {
		return nil, true
	}
	return rv.Field(0).Interface(), true
}

func toValueByKind(col model.Column, x any) (model.Value, error) {
	rv := reflect.ValueOf(x)
	switch rv.Kind() {
	case reflect.Pointer:
		if rv.IsNil() {
			return model.Null(col.Type), nil
		}
		return toValue(col, rv.Elem().Interface())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return fromInt(col, rv.Int())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if rv.Uint() > math.MaxInt64 {
			return model.Value{}, model.Errorf(ErrBadArgument, "%d does not fit column %q (%s)", rv.Uint(), col.Name, col.Type)
		}
		return fromInt(col, int64(rv.Uint()))
	case reflect.Float32, reflect.Float64:
		return fromFloat(col, rv.Float())
	case reflect.String:
		return toValue(col, rv.String())
	case reflect.Bool:
		return toValue(col, rv.Bool())
	case reflect.Slice:
		if rv.Type().Elem().Kind() == reflect.Uint8 {
			return toValue(col, rv.Bytes())
		}
	}
	return mismatch(col, x)
}

func fromInt(col model.Column, n int64) (model.Value, error) {
	switch col.Type {
	case model.BigInt:
		return model.BigIntValue(n), nil
	case model.Int:
		if n != int64(int32(n)) {
			return model.Value{}, model.Errorf(ErrBadArgument, "%d does not fit column %q (INT, 32 bits)", n, col.Name)
		}
		return model.IntValue(int32(n)), nil
	case model.Double:
		if isExact(float64(n), n) {
			return model.DoubleValue(float64(n)), nil
		}
		return model.Value{}, model.Errorf(ErrBadArgument, "%d does not fit column %q (DOUBLE) exactly; convert it with float64", n, col.Name)
	case model.Float:
		if isExact(float64(float32(n)), n) {
			return model.FloatValue(float32(n)), nil
		}
		return model.Value{}, model.Errorf(ErrBadArgument, "%d does not fit column %q (FLOAT) exactly; convert it with float32", n, col.Name)
	}
	return mismatch(col, n)
}

// isExact tells whether f, which n was rounded to, is n. A float of 2^63 is too
// large to be asked.
func isExact(f float64, n int64) bool { return f < 1<<63 && int64(f) == n }

func fromFloat(col model.Column, f float64) (model.Value, error) {
	switch col.Type {
	case model.Double:
		return model.DoubleValue(f), nil
	case model.Float:
		if float64(float32(f)) == f || math.IsNaN(f) {
			return model.FloatValue(float32(f)), nil
		}
		return model.Value{}, model.Errorf(ErrBadArgument, "%v does not fit column %q (FLOAT, 32 bits) exactly; convert it with float32", f, col.Name)
	}
	return mismatch(col, f)
}

// checked gives a value that is within the range of its type, unless err says
// already what is wrong with it.
func checked(v model.Value, err error) (model.Value, error) {
	if err == nil {
		err = v.Check()
	}
	return v, err
}

func mismatch(col model.Column, x any) (model.Value, error) {
	return model.Value{}, model.Errorf(ErrBadArgument, "column %q is %s and does not take a Go %T", col.Name, col.Type, x)
}

// fromValue gives the Go value that rows by column name hold; nil for NULL.
func fromValue(v model.Value) any {
	if v.IsNull() || !v.IsSet() {
		return nil
	}
	switch v.Type() {
	case model.Boolean:
		return v.Bool()
	case model.Int:
		return int32(v.Int64())
	case model.BigInt:
		return v.Int64()
	case model.Float:
		return v.Float32()
	case model.Double:
		return v.Float64()
	case model.Text:
		return v.Str()
	case model.Blob:
		return v.Bytes()
	case model.Date:
		return v.Date()
	case model.Time:
		return v.TimeOfDay()
	case model.Timestamp:
		return v.DateTime()
	case model.TimestampTZ:
		return v.Instant()
	}
	return nil
}

// setField stores a value into a struct field of a fitting type.
func setField(dst reflect.Value, col model.Column, v model.Value) error {
	null := v.IsNull() || !v.IsSet()
	if dst.Kind() == reflect.Pointer {
		if null {
			dst.SetZero()
			return nil
		}
		p := reflect.New(dst.Type().Elem())
		if err := setField(p.Elem(), col, v); err != nil {
			return err
		}
		dst.Set(p)
		return nil
	}
	if dst.Kind() == reflect.Struct && dst.Type().PkgPath() == "database/sql" {
		if null {
			dst.SetZero()
			return nil
		}
		dst.FieldByName("Valid").SetBool(true)
		return setField(dst.Field(0), col, v)
	}
	if null {
		if dst.Kind() == reflect.Slice || dst.Kind() == reflect.Interface {
			dst.SetZero()
			return nil
		}
		return model.Errorf(ErrBadArgument, "column %q is NULL, which a Go %s cannot hold; use a pointer or sql.Null", col.Name, dst.Type())
	}
	switch dst.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		if dst.OverflowInt(v.Int64()) {
			return model.Errorf(ErrBadArgument, "%d in column %q does not fit a Go %s", v.Int64(), col.Name, dst.Type())
		}
		dst.SetInt(v.Int64())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if v.Int64() < 0 || dst.OverflowUint(uint64(v.Int64())) {
			return model.Errorf(ErrBadArgument, "%d in column %q does not fit a Go %s", v.Int64(), col.Name, dst.Type())
		}
		dst.SetUint(uint64(v.Int64()))
	case reflect.Float32, reflect.Float64:
		dst.SetFloat(v.Float64())
	case reflect.String:
		dst.SetString(v.Str())
	case reflect.Bool:
		dst.SetBool(v.Bool())
	case reflect.Slice:
		dst.SetBytes(v.Bytes())
	default:
		dst.Set(reflect.ValueOf(fromValue(v)))
	}
	return nil
}

var (
	dateType      = reflect.TypeFor[Date]()
	timeOfDayType = reflect.TypeFor[TimeOfDay]()
	dateTimeType  = reflect.TypeFor[DateTime]()
	timeType      = reflect.TypeFor[time.Time]()
	anyType       = reflect.TypeFor[any]()
)

// fits says whether a struct field of Go type t can hold a column of type ct,
// and whether it can hold NULL.
func fits(t reflect.Type, ct model.DataType) (ok, nullable bool) {
	if t.Kind() == reflect.Pointer {
		ok, _ = fits(t.Elem(), ct)
		return ok, true
	}
	if t.Kind() == reflect.Struct && t.PkgPath() == "database/sql" && t.NumField() == 2 {
		ok, _ = fits(t.Field(0).Type, ct)
		return ok, true
	}
	switch ct {
	case model.Boolean:
		ok = t.Kind() == reflect.Bool
	case model.Int, model.BigInt:
		switch t.Kind() {
		case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
			reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
			ok = true
		}
	case model.Float:
		ok = t.Kind() == reflect.Float32 || t.Kind() == reflect.Float64
	case model.Double:
		ok = t.Kind() == reflect.Float64
	case model.Text:
		ok = t.Kind() == reflect.String
	case model.Blob:
		return t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8, true
	case model.Date:
		ok = t == dateType
	case model.Time:
		ok = t == timeOfDayType
	case model.Timestamp:
		ok = t == dateTimeType
	case model.TimestampTZ:
		ok = t == timeType
	}
	if t == anyType {
		return true, true
	}
	return ok, false
}

// goTypeColumn gives the column type that schema-from-structs uses for a Go type.
func goTypeColumn(t reflect.Type) (model.DataType, error) {
	if t.Kind() == reflect.Pointer {
		return goTypeColumn(t.Elem())
	}
	if t.Kind() == reflect.Struct && t.PkgPath() == "database/sql" && t.NumField() == 2 {
		return goTypeColumn(t.Field(0).Type)
	}
	switch t {
	case dateType:
		return model.Date, nil
	case timeOfDayType:
		return model.Time, nil
	case dateTimeType:
		return model.Timestamp, nil
	case timeType:
		return model.TimestampTZ, nil
	}
	switch t.Kind() {
	case reflect.Bool:
		return model.Boolean, nil
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Uint8, reflect.Uint16:
		return model.Int, nil
	case reflect.Int, reflect.Int64, reflect.Uint, reflect.Uint32, reflect.Uint64:
		return model.BigInt, nil
	case reflect.Float32:
		return model.Float, nil
	case reflect.Float64:
		return model.Double, nil
	case reflect.String:
		return model.Text, nil
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return model.Blob, nil
		}
	}
	return 0, fmt.Errorf("no column type for Go %s", t)
}

var _ driver.Valuer = sql.Null[int64]{} // sql.Null is recognised by its shape in nullContent
