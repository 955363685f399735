package record_test

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/txn/record"
	"google.golang.org/protobuf/encoding/protowire"
)

func message(num protowire.Number, content ...[]byte) []byte {
	var all []byte
	for _, c := range content {
		all = append(all, c...)
	}
	return protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), all)
}

func varint(n uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), n)
}

func column(name string, field protowire.Number, value []byte) []byte {
	return message(1, message(1, []byte(name)), message(field, value))
}

func writeSet(columns ...[]byte) string {
	entry := message(2, message(2, []byte("bank")), message(3, []byte("accounts")), message(4, columns...), message(5, column("n", 3, varint(1))))
	return string(append(varint(1), message(2, message(1, message(1, []byte("child")), entry))...))
}

func TestWriteSetKeysOfEveryType(t *testing.T) {
	noon := model.CivilDateTime{Date: model.CivilDate{Year: 1969, Month: 12, Day: 31}, Time: model.CivilTime{Hour: 23, Minute: 59, Second: 58, Nanosecond: 250e6}}
	packed := protowire.EncodeZigZag(-2*1000 - (999 - 250))
	data := writeSet(
		column("b", 2, varint(1)), column("i", 3, varint(math.MaxUint64)), column("l", 4, varint(5)),
		column("f", 5, protowire.AppendFixed32(protowire.AppendTag(nil, 1, protowire.Fixed32Type), math.Float32bits(1.5))),
		column("d", 6, protowire.AppendFixed64(protowire.AppendTag(nil, 1, protowire.Fixed64Type), math.Float64bits(-2.5))),
		column("t", 7, message(1, []byte("text"))), column("x", 8, message(1, []byte{0, 1})),
		column("date", 9, varint(protowire.EncodeZigZag(-1))), column("time", 10, varint(1000)),
		column("ts", 11, varint(packed)), column("tz", 12, varint(protowire.EncodeZigZag(1500))), column("null", 3, nil))
	got, err := record.ParseWriteSet(data)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || got[0].Child != "child" || got[0].Table.String() != "bank.accounts" || len(got[0].Clustering) != 1 {
		t.Fatalf("%+v", got)
	}
	want := map[string]model.Value{"b": model.BooleanValue(true), "i": model.IntValue(-1), "l": model.BigIntValue(5), "f": model.FloatValue(1.5), "d": model.DoubleValue(-2.5),
		"t": model.TextValue("text"), "x": model.BlobValue([]byte{0, 1}), "date": model.RawValue(model.Date, -1), "time": model.RawValue(model.Time, 1000),
		"ts": model.TimestampValue(noon), "tz": model.TimestampTZMilli(1500), "null": model.Null(model.Int)}
	have := map[string]model.Value{}
	for _, c := range got[0].Partition {
		have[c.Name] = c.Value
	}
	if d := cmp.Diff(want, have, cmp.Comparer(func(a, b model.Value) bool { return a == b })); d != "" {
		t.Error(d)
	}
}

func TestWriteSetsOfNewerManagersAreAnErrorAndNotEmpty(t *testing.T) {
	for name, data := range map[string]string{
		"no payload": string(varint(1)), "other payload": string(message(3)), "nothing": "", "version 2": string(append(varint(2), message(2)...)),
	} {
		if got, err := record.ParseWriteSet(data); err == nil {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func FuzzParseWriteSet(f *testing.F) {
	f.Add([]byte(writeSet(column("id", 4, varint(1)))))
	f.Add([]byte("\x08\x01\x12\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, err := record.ParseWriteSet(string(data))
		if err != nil {
			return
		}
		for _, e := range entries {
			if e.Table.Name == "" || len(e.Partition) == 0 {
				t.Errorf("an entry without table or key: %+v", e)
			}
		}
	})
}
