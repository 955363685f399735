package sqlite

import (
	"context"
	"time"
)

// backoff waits between tries to get another process's lock.
type backoff struct {
	until time.Time
	step  time.Duration
	got   bool
}

func newBackoff(d time.Duration) *backoff {
	return &backoff{until: time.Now().Add(d), step: 100 * time.Microsecond}
}

// sleep waits for the next try; false if there is no time for one.
func (b *backoff) sleep(ctx context.Context) bool {
	left := time.Until(b.until)
	if left <= 0 || ctx.Err() != nil {
		return false
	}
	timer := time.NewTimer(min(b.step, left))
	defer timer.Stop()
	b.step = min(2*b.step, time.Millisecond) // others poll likewise; longer, and they take all turns
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// pause is sleep without a context.
func (b *backoff) pause() bool { return b.sleep(context.Background()) }
