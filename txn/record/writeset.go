package record

import (
	"errors"
	"fmt"
	"math"

	"github.com/stillpoint-db/stillpoint/model"
	"google.golang.org/protobuf/encoding/protowire"
)

// WriteSetEntry names one record that a transaction wrote or deleted.
type WriteSetEntry struct {
	Child       string // member of a group commit, in the row of the group; else ""
	Participant string // set by managers that coordinate several participants; else ""
	Table       model.TableName
	Partition   []NamedValue
	Clustering  []NamedValue
}

// NamedValue is a column of a key with its value.
type NamedValue struct {
	Name  string
	Value model.Value
}

// The field numbers of the messages.
const (
	fieldSchemaVersion = 1 // WriteSet
	fieldEntryGroups   = 2 // WriteSet: EntryGroups

	fieldGroup = 1 // EntryGroups: repeated EntryGroup

	fieldChild   = 1 // EntryGroup
	fieldEntries = 2 // EntryGroup: repeated Entry

	fieldParticipant = 1 // Entry
	fieldNamespace   = 2
	fieldTable       = 3
	fieldPartition   = 4 // Key
	fieldClustering  = 5 // Key

	fieldColumns = 1 // Key: repeated Column
	fieldName    = 1 // Column; 2 … 12 are the values, in the order of model.DataType
	fieldValue   = 1 // of each value message; absent = NULL
)

var errWriteSet = errors.New("not a write set")

// ParseWriteSet decodes the content of tx_write_set. An empty list without error
// means that the transaction wrote nothing. A payload of a newer kind is an
// error: it is not known what was written.
func ParseWriteSet(data string) ([]WriteSetEntry, error) {
	var entries []WriteSetEntry
	known := false
	err := eachField([]byte(data), func(num protowire.Number, typ protowire.Type, n uint64, b []byte) error {
		switch {
		case num == fieldSchemaVersion && typ == protowire.VarintType:
			if n > 1 {
				return fmt.Errorf("%w of a version known here: %d", errWriteSet, n)
			}
		case num == fieldEntryGroups && typ == protowire.BytesType:
			known = true
			return parseGroups(b, &entries)
		}
		return nil
	})
	if err == nil && !known {
		err = fmt.Errorf("%w of a kind known here", errWriteSet)
	}
	if err != nil {
		return nil, err
	}
	return entries, nil
}

func parseGroups(data []byte, entries *[]WriteSetEntry) error {
	return eachMessage(data, fieldGroup, func(group []byte) error {
		first, child := len(*entries), ""
		err := eachField(group, func(num protowire.Number, typ protowire.Type, _ uint64, b []byte) error {
			switch {
			case typ != protowire.BytesType:
			case num == fieldChild:
				child = string(b)
			case num == fieldEntries:
				e, err := parseEntry(b)
				*entries = append(*entries, e)
				return err
			}
			return nil
		})
		for i := range (*entries)[first:] {
			(*entries)[first+i].Child = child
		}
		return err
	})
}

func parseEntry(data []byte) (e WriteSetEntry, err error) {
	err = eachField(data, func(num protowire.Number, typ protowire.Type, _ uint64, b []byte) (err error) {
		if typ != protowire.BytesType {
			return nil
		}
		switch num {
		case fieldParticipant:
			e.Participant = string(b)
		case fieldNamespace:
			e.Table.Namespace = string(b)
		case fieldTable:
			e.Table.Name = string(b)
		case fieldPartition:
			e.Partition, err = parseKey(b)
		case fieldClustering:
			e.Clustering, err = parseKey(b)
		}
		return err
	})
	if err == nil && (e.Table.Namespace == "" || e.Table.Name == "" || len(e.Partition) == 0) {
		err = fmt.Errorf("%w: an entry without table or key", errWriteSet)
	}
	return e, err
}

func parseKey(data []byte) (key []NamedValue, err error) {
	err = eachMessage(data, fieldColumns, func(column []byte) error {
		var c NamedValue
		err := eachField(column, func(num protowire.Number, typ protowire.Type, _ uint64, b []byte) (err error) {
			if typ != protowire.BytesType {
				return nil
			}
			if num == fieldName {
				c.Name = string(b)
				return nil
			}
			if t := model.DataType(num - 1); num > 1 && t <= model.TimestampTZ {
				c.Value, err = parseValue(t, b)
			}
			return err
		})
		if err == nil && (c.Name == "" || !c.Value.IsSet()) {
			err = fmt.Errorf("%w: a key column without name or value", errWriteSet)
		}
		key = append(key, c)
		return err
	})
	return key, err
}

// parseValue decodes the message around one value.
func parseValue(t model.DataType, data []byte) (model.Value, error) {
	v := model.Null(t)
	err := eachField(data, func(num protowire.Number, typ protowire.Type, n uint64, b []byte) error {
		if num != fieldValue {
			return nil
		}
		if want := wireType(t); typ != want {
			return fmt.Errorf("%w: a %s of wire type %d", errWriteSet, t, typ)
		}
		v = decodeValue(t, n, b)
		return v.Check()
	})
	return v, err
}

func wireType(t model.DataType) protowire.Type {
	switch t {
	case model.Text, model.Blob:
		return protowire.BytesType
	case model.Float:
		return protowire.Fixed32Type
	case model.Double:
		return protowire.Fixed64Type
	}
	return protowire.VarintType
}

func decodeValue(t model.DataType, n uint64, b []byte) model.Value {
	switch t {
	case model.Boolean:
		return model.BooleanValue(n != 0)
	case model.Int:
		return model.IntValue(int32(n))
	case model.BigInt:
		return model.BigIntValue(int64(n))
	case model.Float:
		return model.FloatValue(math.Float32frombits(uint32(n)))
	case model.Double:
		return model.DoubleValue(math.Float64frombits(n))
	case model.Text:
		return model.TextValue(string(b))
	case model.Blob:
		return model.BlobValue(b)
	case model.Date:
		return model.RawValue(t, protowire.DecodeZigZag(n))
	case model.Time:
		return model.RawValue(t, int64(n))
	}
	return model.RawValue(t, splitMilli(protowire.DecodeZigZag(n)))
}

// splitMilli turns the packed form of a moment into milliseconds: the writer
// keeps seconds and the milliseconds within them, and for moments before 1970
// packs them as seconds*1000 - (999 - milliseconds).
func splitMilli(v int64) int64 {
	if v >= 0 {
		return v
	}
	return v/1000*1000 + v%1000 + 999
}

// eachMessage calls f for each embedded message with the given number.
func eachMessage(data []byte, field protowire.Number, f func([]byte) error) error {
	return eachField(data, func(num protowire.Number, typ protowire.Type, _ uint64, b []byte) error {
		if num == field && typ == protowire.BytesType {
			return f(b)
		}
		return nil
	})
}

// eachField walks the fields of a message; n is the content of a number, b that
// of a length-delimited field.
func eachField(data []byte, f func(num protowire.Number, typ protowire.Type, n uint64, b []byte) error) error {
	for len(data) > 0 {
		num, typ, used := protowire.ConsumeTag(data)
		if used < 0 {
			return fmt.Errorf("%w: %w", errWriteSet, protowire.ParseError(used))
		}
		data = data[used:]
		var n uint64
		var b []byte
		switch typ {
		case protowire.VarintType:
			n, used = protowire.ConsumeVarint(data)
		case protowire.Fixed32Type:
			var n32 uint32
			n32, used = protowire.ConsumeFixed32(data)
			n = uint64(n32)
		case protowire.Fixed64Type:
			n, used = protowire.ConsumeFixed64(data)
		case protowire.BytesType:
			b, used = protowire.ConsumeBytes(data)
		default:
			used = protowire.ConsumeFieldValue(num, typ, data)
		}
		if used < 0 {
			return fmt.Errorf("%w: %w", errWriteSet, protowire.ParseError(used))
		}
		data = data[used:]
		if err := f(num, typ, n, b); err != nil {
			return err
		}
	}
	return nil
}
