package check

import (
	"bytes"
	"context"
	"encoding/binary"
	"slices"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

// Facts sorted by table and key, for V9: the record first, then the write sets
// that name it.
const (
	keyRecord  = 0 // the fields of a keyFact
	keyWritten = 1 // tx_id of the writer, its tx_created_at
)

func (r *run) keyOf(index int, key model.Key) []byte {
	r.buf = binary.BigEndian.AppendUint32(r.buf[:0], uint32(index))
	r.buf = appendKey(r.buf, key)
	return r.buf
}

// noteKey notes a record for V9.
func (r *run) noteKey(index int, row *model.Row) error {
	if r.keys == nil {
		return nil
	}
	k := keyFactOf(r.targets[index].layout, row)
	r.val = appendValue(append(r.val[:0], keyRecord), model.TextValue(k.id))
	r.val = binary.AppendVarint(appendValue(r.val, model.TextValue(k.beforeID)), k.last)
	r.val = appendValue(r.val, model.BooleanValue(k.fresh))
	return r.keys.Add(r.keyOf(index, row.Key()), r.val)
}

// noteWriteSet notes the keys that a committed transaction says it wrote.
func (r *run) noteWriteSet(c *record.Coordinator) error {
	if r.keys == nil || c.WriteSet == "" || c.State != record.Committed {
		return nil
	}
	entries, err := record.ParseWriteSet(c.WriteSet)
	if err != nil {
		return err // checkCoordinatorRow has parsed it
	}
	for _, e := range entries {
		index := slices.IndexFunc(r.targets, func(t *target) bool { return t.Name() == e.Table })
		if index < 0 {
			continue // not among the tables that are checked
		}
		key, ok := keyFromEntry(r.targets[index].Table.Table, e)
		if !ok {
			r.report(broken("V10", "tx_write_set names a key that %s does not have", e.Table), r.coordinator, "", c.ID)
			continue
		}
		id := c.ID
		if e.Child != "" {
			id = memberID(c.ID, e.Child)
		}
		at := r.keyOf(index, key)
		r.val = binary.AppendVarint(appendValue(append(r.val[:0], keyWritten), model.TextValue(id)), c.At)
		if err := r.keys.Add(at, r.val); err != nil {
			return err
		}
	}
	return nil
}

// keyFromEntry puts the columns of a write set's entry in the table's order.
func keyFromEntry(t *model.Table, e record.WriteSetEntry) (model.Key, bool) {
	values := make([]model.Value, t.KeyLen())
	place := func(named []record.NamedValue, from, to int) bool {
		for _, n := range named {
			i := t.Position(n.Name)
			if i < from || i >= to || n.Value.Type() != t.Columns()[i].Type {
				return false
			}
			values[i] = n.Value
		}
		return len(named) == to-from
	}
	ok := place(e.Partition, 0, t.PartitionLen()) && place(e.Clustering, t.PartitionLen(), t.KeyLen())
	for _, v := range values {
		ok = ok && v.IsSet()
	}
	return model.KeyOf(t, values), ok
}

// keyFact is what V9 needs of a record: who wrote it and the version before, and
// when the last committed version was committed (0: never by a transaction).
type keyFact struct {
	id, beforeID string
	last         int64
	fresh        bool // undecided, and there is no version before: as good as absent
}

// explains tells whether the record can be what it is after the transaction has
// committed at the time given: it is by that transaction, or by a later one.
func (k keyFact) explains(id string, at, skew int64) bool {
	return k.fresh || k.id == id || k.beforeID == id || k.last >= at-skew
}

func keyFactOf(l *record.Layout, row *model.Row) keyFact {
	at := func(i int) model.Value { return row.Values[i] }
	k := keyFact{id: l.WriterID(row), beforeID: at(l.BeforeMeta.TxID).Str(), last: l.CommittedAt(row)}
	if !l.IsCommitted(row) {
		k.last, k.fresh = at(l.BeforeMeta.CommittedAt).Int64(), !l.HasBefore(row)
	}
	return k
}

// writeSets is V9: walks keys, each with its record, if there is one, and the
// transactions that say they wrote it.
func (r *run) writeSets(ctx context.Context) error {
	var key []byte
	var current *keyFact
	for e, err := range r.keys.Sorted() {
		if err != nil {
			return err
		}
		if !bytes.Equal(e.Key, key) {
			key, current = append(key[:0], e.Key...), nil
		}
		d := decoder{b: e.Value}
		if d.byte() == keyRecord {
			current = &keyFact{id: d.value().Str(), beforeID: d.value().Str(), last: d.varint(), fresh: d.value().Bool()}
			if err := d.err(); err != nil {
				return err
			}
			continue
		}
		id, at := d.value().Str(), d.varint()
		if err := d.err(); err != nil {
			return err
		}
		if current == nil || current.explains(id, at, r.opts.Skew.Milliseconds()) {
			continue // absent: deleted since, or by it
		}
		index := int(binary.BigEndian.Uint32(key))
		kd := decoder{b: key[4:]}
		f := fact{kind: factCommitted, table: index, key: kd.key(r.targets[index].Table.Table), committedAt: current.last}
		if err := kd.err(); err != nil {
			return err
		}
		if err := r.suspect(ctx, suspect{rule: "V9", id: id, committed: f, at: at}); err != nil {
			return err
		}
	}
	return nil
}
