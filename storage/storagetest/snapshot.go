package storagetest

import (
	"context"
	"sync"
	"testing"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

func (x *suite) testSnapshot(t *testing.T) {
	table, wide := x.table(t, things()), x.table(t, wideSpec())
	snapshotter, ok := x.s.(storage.Snapshotter)
	if ok != x.s.Capabilities(table.Name()).Snapshots {
		t.Fatalf("the storage is a Snapshotter: %v, its capabilities say: %v", ok, !ok)
	}
	if !ok {
		return
	}
	writers := []storage.Storage{x.s}
	if two := x.second(t); two != nil {
		writers = append(writers, two)
	}
	for c := range int32(500) {
		write(t, x.s, upsert(table, key("still", c), set("i", model.IntValue(c)), set("s", model.TextValue("a rather long text, so that pages fill up"))))
	}
	for _, typ := range allTypes {
		for n, v := range samples(typ) {
			write(t, x.s, upsert(wide, key(typ.String(), int32(n)), set(valueColumn(typ), v)))
		}
	}
	tables := []model.TableName{table.Name(), wide.Name()}
	x.checkFailedSnapshot(t, snapshotter, tables)
	for range 3 {
		stop := x.load(t, writers, table)
		snap, err := snapshotter.PrepareSnapshot(t.Context(), storage.SnapshotOptions{Tables: tables, Readers: 3, Scratch: t.TempDir()})
		if err != nil {
			stop()
			t.Fatal(err)
		}
		x.checkSnapshot(t, snap, table, wide, stop)
		if err := snap.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
}

// checkFailedSnapshot demands that a snapshot that could not be prepared is nil:
// callers close every other one.
func (x *suite) checkFailedSnapshot(t *testing.T, snapshotter storage.Snapshotter, tables []model.TableName) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	snap, err := snapshotter.PrepareSnapshot(ctx, storage.SnapshotOptions{Tables: tables, Readers: 3, Scratch: t.TempDir()})
	if err == nil {
		t.Error("a snapshot was prepared with a context that had ended")
	}
	if snap != nil && err != nil {
		t.Errorf("a snapshot that could not be prepared is %T, not nil", snap)
	} else if snap != nil {
		_ = snap.Close()
	}
}

// checkSnapshot pins the moment under a fence, if there is one, notes the rows
// there, and then demands them of the snapshot.
func (x *suite) checkSnapshot(t *testing.T, snap storage.Snapshot, table, wide *model.Table, stop func()) {
	var fence storage.Fence
	if f, ok := x.s.(storage.Fencer); ok {
		var err error
		if fence, err = f.Fence(t.Context(), storage.FenceOptions{Tables: []model.TableName{table.Name(), wide.Name()}, Wait: fenceWait}); err != nil {
			stop()
			t.Fatal(err)
		}
	} else {
		stop()
	}
	err := snap.Open(t.Context())
	want := map[string]*model.Row{}
	for _, r := range scanAll(t, x.s, storage.Scan{Table: table, Kind: storage.ScanTable}, 0) {
		want[r.Key().String()] = r
	}
	if fence != nil {
		if e := fence.Alive(t.Context()); e != nil {
			t.Errorf("Alive after Open: %v", e)
		}
		if e := fence.Release(t.Context()); e != nil {
			t.Errorf("Release: %v", e)
		}
	}
	if err == nil {
		err = snap.Detach(t.Context())
	}
	if err != nil {
		stop()
		t.Fatal(err)
	}
	write(t, x.s, upsert(table, key("new", 1)), storage.Mutation{Kind: storage.Delete, Table: table, Key: key("still", 7)})
	got := x.dump(t, snap, table)
	for k, r := range want {
		if !sameRow(got[k], r) {
			t.Errorf("row %s is %s in the snapshot, and was %s", k, show(got[k]), show(r))
		}
	}
	if len(got) != len(want) {
		t.Errorf("the snapshot has %d rows, want %d", len(got), len(want))
	}
	stop()
	values := x.dump(t, snap, wide)
	for _, r := range scanAll(t, x.s, storage.Scan{Table: wide, Kind: storage.ScanTable}, 0) {
		if !sameRow(values[r.Key().String()], r) {
			t.Errorf("row %s is %s in the snapshot, and %s outside", r.Key(), show(values[r.Key().String()]), show(r))
		}
	}
	if err := snap.Verify(t.Context()); err != nil {
		t.Errorf("Verify: %v", err)
	}
	write(t, x.s, storage.Mutation{Kind: storage.Delete, Table: table, Key: key("new", 1)}, upsert(table, key("still", 7)))
}

// dump reads a table of a snapshot, all parts at once.
func (x *suite) dump(t *testing.T, snap storage.Snapshot, table *model.Table) map[string]*model.Row {
	t.Helper()
	def, err := snap.Table(t.Context(), table.Name())
	if err != nil || !def.Equal(table) {
		t.Fatalf("definition in the snapshot: %v, %v", def, err)
	}
	parts, err := snap.Split(t.Context(), def, 3)
	if err != nil || len(parts) == 0 || len(parts) > 3 {
		t.Fatalf("Split: %v, %v", parts, err)
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	rows := map[string]*model.Row{}
	for _, part := range parts {
		wg.Go(func() {
			err := snap.Read(t.Context(), def, part, func(r *model.Row) error {
				mu.Lock()
				defer mu.Unlock()
				if rows[r.Key().String()] != nil {
					t.Errorf("row %s comes twice", r.Key())
				}
				rows[r.Key().String()] = r.Clone()
				return nil
			})
			if err != nil {
				t.Errorf("Read: %v", err)
			}
		})
	}
	wg.Wait()
	return rows
}
