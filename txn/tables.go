package txn

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

// table is a transactional table as a manager uses it. It never changes.
type table struct {
	*record.Layout
	caps storage.Capabilities

	// Assignments that are the same for every record.
	copies  []storage.Assignment // before_c = c for all columns outside the key; nil if the storage cannot copy
	restart storage.Assignment   // before_tx_version = 0: the mark of an imported record
	nulls   []storage.Assignment // before_c = NULL
}

func newTable(layout *record.Layout, caps storage.Capabilities) *table {
	t := &table{Layout: layout, caps: caps}
	columns := layout.Physical.Columns()
	for _, c := range t.twins() {
		name, twin := columns[c[0]].Name, columns[c[1]]
		t.copies = append(t.copies, storage.Assignment{Column: twin.Name, From: name})
		t.nulls = append(t.nulls, storage.Assignment{Column: twin.Name, Value: model.Null(twin.Type)})
	}
	if !caps.CopyColumns {
		t.copies = nil
	}
	t.restart = storage.Assignment{Column: columns[layout.BeforeMeta.Version].Name, Value: model.IntValue(0)}
	return t
}

// twins lists the columns outside the key with their before columns, as
// positions: the user's first, then the meta columns.
func (t *table) twins() [][2]int {
	var out [][2]int
	for i, at := range t.Column {
		if t.Twin[i] >= 0 {
			out = append(out, [2]int{at, t.Twin[i]})
		}
	}
	for i := range 5 {
		out = append(out, [2]int{t.Meta.Position(i), t.BeforeMeta.Position(i)})
	}
	return out
}

// tables keeps definitions for a while. That a table does not exist is never
// remembered.
type tables struct {
	store storage.Storage
	ttl   time.Duration
	now   func() time.Time

	mu     sync.RWMutex
	known  map[model.TableName]*known
	unique sync.Mutex // one definition is read at a time
}

type known struct {
	table   *table
	expires time.Time
}

func (ts *tables) get(ctx context.Context, name model.TableName) (*table, error) {
	if t := ts.cached(name); t != nil {
		return t, nil
	}
	ts.unique.Lock()
	defer ts.unique.Unlock()
	if t := ts.cached(name); t != nil {
		return t, nil
	}
	physical, err := ts.store.Admin().Table(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("read the definition of table %s: %w", name, err)
	}
	ts.mu.Lock()
	defer ts.mu.Unlock()
	caps := ts.store.Capabilities(name)
	if old := ts.known[name]; old != nil && old.table.Physical.Equal(physical) && old.table.caps == caps {
		old.expires = ts.now().Add(ts.ttl)
		return old.table, nil
	}
	layout, err := record.NewLayout(physical)
	if err != nil {
		return nil, err
	}
	t := newTable(layout, caps)
	ts.known[name] = &known{table: t, expires: ts.now().Add(ts.ttl)}
	return t, nil
}

func (ts *tables) cached(name model.TableName) *table {
	ts.mu.RLock()
	defer ts.mu.RUnlock()
	k := ts.known[name]
	if k == nil || ts.ttl > 0 && ts.now().After(k.expires) {
		return nil
	}
	return k.table
}

// forget drops what is known of a table.
func (ts *tables) forget(name model.TableName) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	delete(ts.known, name)
}
