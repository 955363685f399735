package faulty

import (
	"context"
	"errors"
	"time"

	"github.com/stillpoint-db/stillpoint/storage"
)

// The causes of the errors that this package makes, for errors.Is.
var (
	ErrInjected = errors.New("failed on purpose")
	ErrCrashed  = errors.New("the process has crashed on purpose")
)

// decide finds the effect for a call.
func (s *Storage) decide(c *Call) (e Effect, thaw <-chan struct{}, alive bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.crashed:
		return Pass, nil, false
	default:
	}
	s.seq++
	s.counts[c.Method]++
	c.Seq = s.seq
	for _, r := range s.rules {
		if r.matches(*c, s.rng.Float64) {
			e = r.effect
			break
		}
	}
	if e.kind == loseEither {
		e = LoseRequest
		if s.rng.IntN(2) == 0 {
			e = LoseAnswer
		}
	}
	if s.watch != nil {
		s.watch(*c, e)
	}
	if e.kind == crashBefore {
		s.crash()
		return e, nil, false
	}
	return e, s.thaw, true
}

// call does a call, or what a rule says.
func (s *Storage) call(ctx context.Context, c Call, do func(context.Context) error) error {
	e, thaw, alive := s.decide(&c)
	if !alive {
		return s.dead(c)
	}
	switch e.kind {
	case conflict:
		if c.Method == Mutate {
			return storage.ConflictError(s.Name(), ErrInjected)
		}
		return storage.UnavailableError(s.Name(), ErrInjected)
	case unavailable:
		return storage.UnavailableError(s.Name(), ErrInjected)
	case loseRequest:
		return s.lost(c)
	case loseAnswer:
		_ = do(ctx) // its answer is lost
		return s.lost(c)
	case late:
		s.later(ctx, c, e.d, do)
		return s.lost(c)
	case delay:
		if err := sleep(ctx, e.d); err != nil {
			return storage.UnavailableError(s.Name(), err)
		}
	case freezeBefore:
		ctx = context.WithoutCancel(ctx)
		if !s.frozen(thaw) {
			return s.dead(c)
		}
	case crashAfter:
		_ = do(ctx) // its answer meets nobody
		s.Crash()
		return s.dead(c)
	case freezeAfter:
		err := do(ctx)
		if !s.frozen(thaw) {
			return s.dead(c)
		}
		return err
	}
	return do(ctx)
}

// frozen waits for Thaw; false if a crash came first.
func (s *Storage) frozen(thaw <-chan struct{}) bool {
	select {
	case <-thaw:
		return true
	case <-s.crashed:
		return false
	}
}

// later does a write when d is over, whatever becomes of its caller.
func (s *Storage) later(ctx context.Context, c Call, d time.Duration, do func(context.Context) error) {
	if c.Method != Mutate {
		return
	}
	ctx = context.WithoutCancel(ctx)
	s.late.Go(func() {
		_ = sleep(ctx, d)
		_ = do(ctx) // its answer meets nobody
	})
}

// lost is the error of a call whose answer never came.
func (s *Storage) lost(c Call) error {
	if c.Method == Mutate {
		return storage.UnknownError(s.Name(), ErrInjected)
	}
	return storage.UnavailableError(s.Name(), ErrInjected)
}

// dead is the error of a call of a process that has crashed. Nobody is there to
// read it; a write says that it is in doubt so that no test takes it for failed.
func (s *Storage) dead(c Call) error {
	if c.Method == Mutate {
		return storage.UnknownError(s.Name(), ErrCrashed)
	}
	return storage.UnavailableError(s.Name(), ErrCrashed)
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
