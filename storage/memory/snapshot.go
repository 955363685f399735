package memory

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// PrepareSnapshot implements storage.Snapshotter.
func (s *Storage) PrepareSnapshot(ctx context.Context, opts storage.SnapshotOptions) (storage.Snapshot, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	snap := &snapshot{s: s, names: slices.Clone(opts.Tables), tables: map[model.TableName]*picture{}}
	s.db.mu.RLock()
	defer s.db.mu.RUnlock()
	for _, name := range snap.names {
		t, err := s.db.find(name)
		if err != nil {
			return nil, err
		}
		snap.tables[name] = &picture{def: t.def}
	}
	return snap, nil
}

// snapshot implements storage.Snapshot. Rows never change, so a picture is a
// copy of the table's map.
type snapshot struct {
	s      *Storage
	names  []model.TableName
	tables map[model.TableName]*picture
	opened bool
}

type picture struct {
	def     *model.Table
	changed bool // dropped or redefined before the snapshot was opened
	rows    map[string]*model.Row

	once sync.Once
	keys []string // of rows, in order
}

// sorted returns the keys of the rows in a fixed order.
func (p *picture) sorted() []string {
	p.once.Do(func() { p.keys = slices.Sorted(maps.Keys(p.rows)) })
	return p.keys
}

// Open implements storage.Snapshot.
func (p *snapshot) Open(ctx context.Context) error {
	leave, err := p.s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if p.opened {
		return model.Errorf(model.ErrBadArgument, "storage %q: the snapshot is open already", p.s.name)
	}
	p.opened = true
	p.s.db.mu.RLock()
	defer p.s.db.mu.RUnlock()
	for name, pic := range p.tables {
		t := p.s.db.tables[name]
		if pic.changed = t == nil || t.def != pic.def; !pic.changed {
			pic.rows = maps.Clone(t.rows)
		}
	}
	return nil
}

// Detach implements storage.Snapshot: there is nothing to detach from.
func (p *snapshot) Detach(context.Context) error { return nil }

// of returns the picture of a table, once the snapshot is open.
func (p *snapshot) of(name model.TableName) (*picture, error) {
	pic := p.tables[name]
	switch {
	case pic == nil:
		return nil, model.Errorf(model.ErrNotFound, "table %s is not in the snapshot of storage %q", name, p.s.name)
	case !p.opened:
		return nil, model.Errorf(model.ErrBadArgument, "storage %q: the snapshot is not open", p.s.name)
	}
	return pic, nil
}

// Table implements storage.Snapshot.
func (p *snapshot) Table(_ context.Context, name model.TableName) (*model.Table, error) {
	pic, err := p.of(name)
	if err != nil {
		return nil, err
	}
	return pic.def, nil
}

// span is the content of a Part: a range of the sorted keys.
type span struct{ from, to int }

// Split implements storage.Snapshot.
func (p *snapshot) Split(_ context.Context, t *model.Table, n int) ([]storage.Part, error) {
	pic, err := p.of(t.Name())
	if err != nil {
		return nil, err
	}
	total := len(pic.sorted())
	n = max(1, min(n, total))
	parts := make([]storage.Part, n)
	for i := range parts {
		s := span{total * i / n, total * (i + 1) / n}
		parts[i] = storage.Part{Where: s, Rows: int64(s.to - s.from), Bytes: -1}
	}
	return parts, nil
}

// Read implements storage.Snapshot.
func (p *snapshot) Read(ctx context.Context, t *model.Table, part storage.Part, yield func(*model.Row) error) error {
	pic, err := p.of(t.Name())
	if err != nil {
		return err
	}
	s, ok := part.Where.(span)
	keys := pic.sorted()
	if !ok || s.from < 0 || s.to > len(keys) {
		return model.Errorf(model.ErrBadArgument, "a part that is not of this snapshot of %s", t.Name())
	}
	for _, key := range keys[s.from:s.to] {
		if err := ctx.Err(); err != nil {
			return storage.UnavailableError(p.s.name, err)
		}
		row, err := project(pic.rows[key], t)
		if err != nil {
			return err
		}
		if err := yield(row); err != nil {
			return err
		}
	}
	return nil
}

// Verify implements storage.Snapshot. Only a change of the definition before
// Open can spoil the picture.
func (p *snapshot) Verify(context.Context) error {
	for _, name := range p.names {
		if p.tables[name].changed {
			return model.Errorf(model.ErrInconsistent, "table %s of storage %q was dropped or redefined while the snapshot was being opened", name, p.s.name)
		}
	}
	return nil
}

// Close implements storage.Snapshot.
func (p *snapshot) Close() error {
	clear(p.tables)
	p.names = nil
	return nil
}
