package sqlite

import (
	"fmt"
	"math"
	"strconv"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage/sqlite/internal/capi"
)

// packTime turns milliseconds since the epoch into the number that ScalarDB
// keeps: seconds*1000 + millisecond of the second, but with the millisecond
// complemented and subtracted before 1970.
func packTime(ms int64) int64 {
	if ms >= 0 {
		return ms
	}
	s, m := ms/1000, ms%1000
	if m < 0 {
		s, m = s-1, m+1000
	}
	return s*1000 - (999 - m)
}

// unpackTime is the inverse of packTime.
func unpackTime(v int64) int64 {
	if v >= 0 {
		return v
	}
	return v/1000*1000 + v%1000 + 999
}

// bind sets all arguments of a statement.
func bind(s *capi.Stmt, args []model.Value) error {
	n := 0
	for i := range args {
		n += len(args[i].Str())
	}
	if err := s.Reserve(n); err != nil {
		return err
	}
	at := 0
	var err error
	for i := range args {
		v := &args[i]
		switch {
		case v.IsNull():
			err = s.BindNull(i + 1)
		case v.Type() == model.Text:
			at, err = s.BindText(i+1, v.Str(), at)
		case v.Type() == model.Blob:
			at, err = s.BindBlob(i+1, v.Str(), at)
		case v.Type() == model.Float || v.Type() == model.Double:
			err = s.BindFloat(i+1, v.Float64())
		case v.Type() == model.Timestamp || v.Type() == model.TimestampTZ:
			err = s.BindInt(i+1, packTime(v.Raw()))
		default:
			err = s.BindInt(i+1, v.Raw())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// readRow reads all columns of a table from the statement's current row. SQLite
// keeps anything in any column, and reads words as the number 0; what is no
// value of the column's type is model.ErrDamaged.
func readRow(s *capi.Stmt, t *model.Table, values []model.Value) error {
	for i, c := range t.Columns() {
		kind := s.Kind(i)
		v, ok := readValue(s, i, kind, c.Type)
		var err error
		if ok {
			err = v.Check()
		}
		if !ok || err != nil {
			return damaged(s, t, i, kind, values, err)
		}
		values[i] = v
	}
	return nil
}

// readValue reads one value; false if it is none of that type. What SQLite
// takes as different no condition would ever match: a text is no blob of the
// same bytes, and 2 is not TRUE.
func readValue(s *capi.Stmt, i int, kind capi.Kind, typ model.DataType) (model.Value, bool) {
	if kind == capi.Null {
		return model.Null(typ), true
	}
	switch typ {
	case model.Text:
		return model.TextValue(s.Text(i)), kind == capi.Text
	case model.Blob:
		return model.BlobStringValue(s.Blob(i)), kind == capi.Blob
	case model.Float:
		d := s.Float(i)
		f := float32(d)
		return model.FloatValue(f), number(kind) && (!math.IsInf(float64(f), 0) || math.IsInf(d, 0))
	case model.Double:
		return model.DoubleValue(s.Float(i)), number(kind)
	case model.Boolean:
		n := s.Int(i)
		return model.BooleanValue(n == 1), kind == capi.Integer && (n == 0 || n == 1)
	case model.Timestamp, model.TimestampTZ:
		return model.RawValue(typ, unpackTime(s.Int(i))), kind == capi.Integer
	}
	return model.RawValue(typ, s.Int(i)), kind == capi.Integer
}

func number(kind capi.Kind) bool { return kind == capi.Real || kind == capi.Integer }

// damaged says what was found in column i instead of a value of its type. The
// columns before it have been read.
func damaged(s *capi.Stmt, t *model.Table, i int, kind capi.Kind, values []model.Value, cause error) error {
	found := ""
	switch kind {
	case capi.Integer:
		found = "the integer " + strconv.FormatInt(s.Int(i), 10)
	case capi.Real:
		found = "the number " + strconv.FormatFloat(s.Float(i), 'g', -1, 64)
	case capi.Text:
		found = fmt.Sprintf("the text %.40q", s.Text(i))
	default:
		found = fmt.Sprintf("a blob of %d bytes", len(s.Blob(i)))
	}
	c := t.Columns()[i]
	e := &model.Error{Class: model.ErrDamaged, Op: "read", Subject: t.Name().String(),
		Detail: "column " + c.Name + " holds " + found + ", which is no " + c.Type.String(),
		Hint:   "Another program has written it; correct the row in the database, or restore a backup"}
	if cause != nil {
		e.Detail += " (" + cause.Error() + ")"
	}
	if i >= t.KeyLen() {
		e.Subject += " " + model.KeyOf(t, values).String()
	}
	return e
}
