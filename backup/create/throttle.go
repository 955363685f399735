package create

import (
	"context"
	"sync"
	"time"
)

// throttle keeps all readers together at a rate.
type throttle struct {
	rate int64 // bytes a second; 0 = no bound

	mu   sync.Mutex
	free time.Time // when all that was let through so far has had its time
}

func newThrottle(rate int64) *throttle { return &throttle{rate: max(0, rate)} }

// step returns how much a reader may read before it asks again, at most most: so
// little that ten readers together are at most one second ahead.
func (t *throttle) step(most int64) int64 {
	if t.rate == 0 {
		return most
	}
	return min(most, max(1, t.rate/10))
}

// wait returns when n more bytes may pass, or with ctx's error.
func (t *throttle) wait(ctx context.Context, n int64) error {
	if t.rate == 0 {
		return ctx.Err()
	}
	t.mu.Lock()
	now := time.Now()
	if t.free.Before(now) {
		t.free = now
	}
	t.free = t.free.Add(time.Duration(float64(n) / float64(t.rate) * float64(time.Second)))
	rest := t.free.Sub(now)
	t.mu.Unlock()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(rest):
		return nil
	}
}
