package multi

import (
	"context"
	"sync"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// Capabilities are those of the storage that holds the table, without the
// optional powers: a Set has none.
func (s *Set) Capabilities(table model.TableName) storage.Capabilities {
	c := s.Route(table).Capabilities(table)
	c.Snapshots, c.Fences, c.Loads = false, false, false
	return c
}

// Unit is that of the storage that holds the table, and carries its name.
func (s *Set) Unit(table model.TableName, key model.Key) storage.Unit {
	return s.Route(table).Unit(table, key)
}

// Get asks all storages concerned at the same time. If several fail, the error
// is that of the one that was asked for first.
func (s *Set) Get(ctx context.Context, gets []storage.Get) ([]*model.Row, error) {
	if len(gets) == 0 {
		return nil, nil
	}
	first := s.Route(gets[0].Table.Name())
	if len(s.storages) == 1 {
		return first.Get(ctx, gets)
	}
	same := true
	for i := 1; i < len(gets) && same; i++ {
		same = s.Route(gets[i].Table.Name()) == first
	}
	if same {
		return first.Get(ctx, gets)
	}
	return s.getSplit(ctx, gets)
}

// share is what one storage is asked for: gets[i] is request at[i] of the whole.
type share struct {
	storage storage.Storage
	gets    []storage.Get
	at      []int
	err     error
}

func (s *Set) getSplit(ctx context.Context, gets []storage.Get) ([]*model.Row, error) {
	var shares []*share
	for i, g := range gets {
		st := s.Route(g.Table.Name())
		var sh *share
		for _, have := range shares {
			if have.storage == st {
				sh = have
			}
		}
		if sh == nil {
			sh = &share{storage: st}
			shares = append(shares, sh)
		}
		sh.gets, sh.at = append(sh.gets, g), append(sh.at, i)
	}
	rows := make([]*model.Row, len(gets))
	run := func(sh *share) {
		part, err := sh.storage.Get(ctx, sh.gets)
		if err != nil {
			sh.err = err
			return
		}
		for i, at := range sh.at {
			rows[at] = part[i]
		}
	}
	var wg sync.WaitGroup
	for _, sh := range shares[1:] {
		wg.Go(func() { run(sh) })
	}
	run(shares[0])
	wg.Wait()
	for _, sh := range shares {
		if sh.err != nil {
			return nil, sh.err
		}
	}
	return rows, nil
}

// Scan goes to the storage that holds the table.
func (s *Set) Scan(ctx context.Context, scan storage.Scan) (storage.Page, error) {
	return s.Route(scan.Table.Name()).Scan(ctx, scan)
}

// Mutate goes to the one storage that holds all tables of the batch; a batch
// over two storages is refused before any I/O.
func (s *Set) Mutate(ctx context.Context, batch storage.Batch) error {
	if len(batch.Mutations) == 0 {
		return model.Errorf(model.ErrBadArgument, "an empty batch cannot be applied")
	}
	first := batch.Mutations[0].Table.Name()
	st := s.Route(first)
	for _, m := range batch.Mutations[1:] {
		if other := s.Route(m.Table.Name()); other != st {
			return model.Errorf(model.ErrBadArgument,
				"one batch cannot write %s in storage %q and %s in storage %q: no atomic unit spans two storages",
				first, st.Name(), m.Table.Name(), other.Name())
		}
	}
	return st.Mutate(ctx, batch)
}
