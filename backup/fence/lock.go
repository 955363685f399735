package fence

import (
	"context"
	"errors"
	"time"

	"github.com/stillpoint-db/stillpoint/storage"
)

// answerTime is how long a database may take to answer at all. Others are not
// locked meanwhile, but for the patience of an attempt.
const answerTime = 10 * time.Second

// answer is what a database said to a lock.
type answer struct {
	fence storage.Fence
	err   error
}

// grace is how long a database may take beyond the wait for its lock: for the
// way there and back, for a login, for finding out who was in the way. It grows
// with the attempts, so that a slow way makes a fence late but not impossible.
func (h *Held) grace(opts Options) time.Duration {
	return min(opts.Wait/2<<min(h.tries-1, 10), opts.Hold)
}

// lock asks one database for its lock. If it does not answer within the
// patience, the databases that are locked already are let go of at once, and it
// counts as busy: nobody else's writers wait for it.
func (h *Held) lock(ctx context.Context, m Member, opts storage.FenceOptions, patience time.Duration) error {
	asked := time.Now()
	got := make(chan answer, 1)
	go func() {
		var a answer
		defer func() { got <- a }()
		a.err = within(ctx, answerTime, func(ctx context.Context) (err error) {
			a.fence, err = m.Fencer.Fence(ctx, opts)
			return err
		})
	}()
	late := time.NewTimer(patience)
	defer late.Stop()
	var a answer
	select {
	case a = <-got:
	case <-late.C:
		released := h.Release(ctx)
		if a = <-got; a.err == nil {
			released = errors.Join(released, a.fence.Release(context.WithoutCancel(ctx)))
			a.err = &storage.FenceBusyError{Storage: m.Storage, Err: errors.New("it took too long to answer")}
		}
		a.err = errors.Join(a.err, released)
	}
	if a.err != nil {
		h.stalled(asked)
		return a.err
	}
	h.spans = append(h.spans, &span{Storage: m.Storage, asked: asked, granted: time.Now(), fence: a.fence})
	return nil
}
