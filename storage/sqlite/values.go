package sqlite

import (
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

// readRow reads all columns of a table from the statement's current row.
func readRow(s *capi.Stmt, t *model.Table, values []model.Value) error {
	for i, c := range t.Columns() {
		if !holds(s.Kind(i), c.Type) {
			return model.Errorf(model.ErrDamaged, "column %s of %s is %s, and the file holds %s there (%q)", c.Name, t.Name(), c.Type, s.Kind(i), excerpt(s.Text(i)))
		}
		v := readValue(s, i, c.Type)
		if err := v.Check(); err != nil {
			return model.Errorf(model.ErrDamaged, "column %s of %s: %w", c.Name, t.Name(), err)
		}
		values[i] = v
	}
	return nil
}

// holds tells whether a column of the type may hold a value of the kind. SQLite
// lets anything be written anywhere, and reads words as the number 0.
func holds(k capi.Kind, typ model.DataType) bool {
	switch typ {
	case model.Text, model.Blob:
		return true
	case model.Float, model.Double:
		return k == capi.Null || k == capi.Integer || k == capi.Real
	}
	return k == capi.Null || k == capi.Integer
}

func excerpt(s string) string {
	if len(s) > 40 {
		return s[:40] + "…"
	}
	return s
}

func readValue(s *capi.Stmt, i int, typ model.DataType) model.Value {
	if s.Kind(i) == capi.Null {
		return model.Null(typ)
	}
	switch typ {
	case model.Text:
		return model.TextValue(s.Text(i))
	case model.Blob:
		return model.BlobStringValue(s.Blob(i))
	case model.Boolean:
		return model.BooleanValue(s.Int(i) != 0)
	case model.Float:
		return model.FloatValue(float32(s.Float(i)))
	case model.Double:
		return model.DoubleValue(s.Float(i))
	case model.Timestamp, model.TimestampTZ:
		return model.RawValue(typ, unpackTime(s.Int(i)))
	}
	return model.RawValue(typ, s.Int(i))
}
