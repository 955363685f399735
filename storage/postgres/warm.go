package postgres

import (
	"context"

	"github.com/stillpoint-db/stillpoint/storage"
)

var _ storage.FenceWarmer = (*db)(nil)

// WarmFence implements storage.FenceWarmer: a login takes several round trips
// and, with SCRAM, some milliseconds of computing.
func (d *db) WarmFence(ctx context.Context) error {
	if s := d.spare.Load(); s != nil && !s.pg.IsClosed() {
		return nil
	}
	s, err := d.pool.connect(ctx)
	if err != nil {
		return d.notSent(err)
	}
	if old := d.spare.Swap(s); old != nil {
		old.close()
	}
	return nil
}

// fenceSession returns the session that was begun for the next fence, or begins
// one.
func (d *db) fenceSession(ctx context.Context) (*session, error) {
	if s := d.spare.Swap(nil); s != nil {
		if err := d.run(ctx, s, ""); err == nil {
			return s, nil
		}
		s.close() // the server has ended it meanwhile
	}
	s, err := d.pool.connect(ctx)
	if err != nil {
		return nil, d.notSent(err)
	}
	return s, nil
}
