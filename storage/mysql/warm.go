package mysql

import (
	"context"

	"github.com/stillpoint-db/stillpoint/storage"
)

var _ storage.FenceWarmer = (*Store)(nil)

// WarmFence implements storage.FenceWarmer.
func (s *Store) WarmFence(ctx context.Context) error {
	if ses := s.spare.Load(); ses != nil && !ses.lost() {
		return nil
	}
	ses, err := s.openAlone(ctx, s.opts.isolation)
	if err != nil {
		return err
	}
	if old := s.spare.Swap(ses); old != nil {
		old.close()
	}
	return nil
}

// fenceSession returns the session that was begun for the next fence, or begins
// one.
func (s *Store) fenceSession(ctx context.Context) (*session, error) {
	if ses := s.spare.Swap(nil); ses != nil {
		if err := ses.execText(ctx, "DO 0"); err == nil {
			return ses, nil
		}
		ses.close() // the server has ended it meanwhile
	}
	return s.openAlone(ctx, s.opts.isolation)
}
