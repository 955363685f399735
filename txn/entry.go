package txn

import (
	"slices"

	"github.com/stillpoint-db/stillpoint/model"
)

type writeKind uint8

const (
	writeNone writeKind = iota
	writePut
	writeDelete
)

// entry is all that a transaction knows of one record: what it read and what it
// means to write.
type entry struct {
	table *table
	key   model.Key

	// known tells that the record has been read; base is then the stored row in
	// its committed form, nil if there was none. The first read counts: it is
	// what the transaction's writes are guarded by.
	known bool
	base  *model.Row
	clean bool       // base was stored as it is here, its before columns NULL
	byKey bool       // read by its key, not by a scan only
	wait  *wait      // the record was in doubt and is being settled
	later *model.Row // what the last read saw; base, or a version that came after it
	doubt *model.Row // ReadCommitted: the stored row in doubt whose version before was taken

	asked bool // scratch of GetAll

	kind   writeKind
	insert bool          // the record must not exist
	set    []model.Value // of a put: values by position in the user's table; not set = keep
}

// String names the record for people.
func (e *entry) String() string { return e.table.User.Name().String() + " " + e.key.String() }

// view returns the record as the transaction sees it, its own write included:
// a row of the user's table, nil if there is none.
func (e *entry) view() *model.Row {
	switch {
	case e.kind == writeDelete:
		return nil
	case e.kind == writeNone:
		return e.table.UserRow(e.base)
	}
	columns := e.table.User.Columns()
	row := &model.Row{Table: e.table.User, Values: make([]model.Value, len(columns))}
	for i := range columns {
		switch {
		case i < e.key.Len():
			row.Values[i] = e.key.At(i)
		case e.set[i].IsSet():
			row.Values[i] = e.set[i]
		case e.base != nil:
			row.Values[i] = e.base.Values[e.table.Column[i]]
		default:
			row.Values[i] = model.Null(columns[i].Type)
		}
	}
	return row
}

// stored returns the record as the transaction sees it, with the columns of the
// stored table; those that a write under way has not got yet are NULL.
func (e *entry) stored() *model.Row {
	if e.kind == writeNone || e.kind == writeDelete {
		if e.kind == writeDelete {
			return nil
		}
		return e.base
	}
	view := e.view()
	row := &model.Row{Table: e.table.Physical, Values: make([]model.Value, len(e.table.Physical.Columns()))}
	for i, c := range e.table.Physical.Columns() {
		row.Values[i] = model.Null(c.Type)
		if e.base != nil {
			row.Values[i] = e.base.Values[i]
		}
	}
	for i, at := range e.table.Column {
		row.Values[at] = view.Values[i]
	}
	return row
}

// entries finds records by key. A few are searched one by one; many are indexed.
type entries struct {
	list   []*entry
	index  map[string]*entry
	inline [2]entry
	used   int
	first  [4]*entry
}

const indexFrom = 12

func (es *entries) find(t *table, key model.Key) *entry {
	if es.index != nil {
		return es.index[indexKey(t, key)]
	}
	for _, e := range es.list {
		if e.table == t && sameKey(e.key, key) {
			return e
		}
	}
	return nil
}

// add makes the entry of a record that has none. The key must not change
// afterwards.
func (es *entries) add(t *table, key model.Key) *entry {
	var e *entry
	if es.used < len(es.inline) {
		e = &es.inline[es.used]
		es.used++
	} else {
		e = new(entry)
	}
	e.table, e.key = t, key
	if es.list == nil {
		es.list = es.first[:0]
	}
	es.list = append(es.list, e)
	switch {
	case es.index != nil:
		es.index[indexKey(t, key)] = e
	case len(es.list) > indexFrom:
		es.index = make(map[string]*entry, 4*indexFrom)
		for _, e := range es.list {
			es.index[indexKey(e.table, e.key)] = e
		}
	}
	return e
}

// findOrAdd finds an entry, or makes one with a copy of the key.
func (es *entries) findOrAdd(t *table, key model.Key) *entry {
	if e := es.find(t, key); e != nil {
		return e
	}
	return es.add(t, cloneKey(key))
}

func indexKey(t *table, key model.Key) string { return t.User.Name().String() + "\x00" + key.Encode() }

func sameKey(a, b model.Key) bool {
	return slices.Equal(a.Partition, b.Partition) && slices.Equal(a.Clustering, b.Clustering)
}

func cloneKey(k model.Key) model.Key {
	n := len(k.Partition)
	all := make([]model.Value, 0, k.Len())
	all = append(append(all, k.Partition...), k.Clustering...)
	return model.Key{Partition: all[:n:n], Clustering: all[n:]}
}
