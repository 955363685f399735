package txn

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// background settles records of decided transactions behind their answers. Its
// goroutines live only while there is work. Writes of several transactions that
// came together while others were on their way go in one call.
//
// Each write is guarded by "still prepared by that transaction": it may be lost,
// come late or twice without harm, because whoever meets the record next does
// the same.
type background struct {
	m      *Manager
	ctx    context.Context // ends when close gives up waiting
	cancel context.CancelFunc

	mu      sync.Mutex
	queue   []job
	waiting int             // writes in queue and tasks not begun
	running int             // goroutines
	working int             // those of them that settle
	idle    []chan struct{} // closed when nothing runs
	closed  bool
}

// job is some records to settle.
type job struct {
	writes []storage.Mutation
	done   *wait
}

// wait is the end of a job. err may be read once done is closed.
type wait struct {
	done chan struct{}
	err  error
}

func newWait() *wait { return &wait{done: make(chan struct{})} }

// running returns w if it has not ended yet, else nil.
func (w *wait) running() *wait {
	if w == nil {
		return nil
	}
	select {
	case <-w.done:
		return nil
	default:
		return w
	}
}

const (
	settlers      = 4   // goroutines at once
	heldUp        = 16  // jobs waiting for which another goroutine is started
	settleBatch   = 128 // writes in one call
	settleTimeout = 30 * time.Second
)

func newBackground(m *Manager) *background {
	b := &background{m: m}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	return b
}

// settle takes over writes, unless too much is waiting already or the manager is
// closed: then it does them before it returns. The returned wait ends when they
// are done. prepare, if not nil, is called with the wait before anything begins.
func (b *background) settle(ctx context.Context, writes []storage.Mutation, prepare func(*wait)) *wait {
	w := newWait()
	if prepare != nil {
		prepare(w)
	}
	b.mu.Lock()
	if b.closed || b.waiting+len(writes) > b.m.opts.Backlog {
		b.mu.Unlock()
		w.err = b.write(ctx, writes)
		close(w.done)
		return w
	}
	b.waiting += len(writes)
	b.queue = append(b.queue, job{writes, w})
	b.help()
	b.mu.Unlock()
	return w
}

// help starts a goroutine that settles, if there should be one more: one is
// enough, and the better for batching, unless it is held up.
func (b *background) help() {
	if len(b.queue) > 0 && (b.working == 0 || len(b.queue) >= heldUp && b.working < settlers) {
		b.running++
		b.working++
		go b.work()
	}
}

// do runs f behind the answer, unless too much is waiting already.
func (b *background) do(f func(context.Context) error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || b.waiting >= b.m.opts.Backlog {
		return
	}
	b.running++
	b.waiting++
	go func() {
		defer b.leave()
		ctx, cancel := context.WithTimeout(b.ctx, settleTimeout)
		defer cancel()
		if err := f(ctx); err != nil {
			b.m.opts.Logger.LogAttrs(ctx, slog.LevelDebug, "a record in doubt was left as it is", slog.Any("error", err))
		}
	}()
}

// work settles until nothing is left.
func (b *background) work() {
	for {
		b.mu.Lock()
		n := 0
		var jobs []job
		for _, j := range b.queue {
			if n > 0 && n+len(j.writes) > settleBatch {
				break
			}
			jobs, n = append(jobs, j), n+len(j.writes)
		}
		if len(jobs) == 0 {
			b.working--
			b.leaveLocked()
			b.mu.Unlock()
			return
		}
		b.queue = slices.Delete(b.queue, 0, len(jobs))
		b.mu.Unlock()
		b.run(jobs)
		b.mu.Lock()
		b.waiting -= n
		b.mu.Unlock()
	}
}

func (b *background) leave() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting--
	b.leaveLocked()
}

func (b *background) leaveLocked() {
	if b.running--; b.running > 0 {
		return
	}
	for _, c := range b.idle {
		close(c)
	}
	b.idle = nil
}

func (b *background) run(jobs []job) {
	ctx, cancel := context.WithTimeout(b.ctx, settleTimeout)
	defer cancel()
	var writes []storage.Mutation
	if len(jobs) == 1 {
		writes = jobs[0].writes
	} else {
		for _, j := range jobs {
			writes = append(writes, j.writes...)
		}
	}
	err := b.write(ctx, writes)
	for _, j := range jobs {
		j.done.err = err
		close(j.done.done)
	}
}

// flush waits until nothing is waiting and nothing runs.
func (b *background) flush(ctx context.Context) error {
	b.mu.Lock()
	if b.running == 0 {
		b.mu.Unlock()
		return nil
	}
	c := make(chan struct{})
	b.idle = append(b.idle, c)
	b.mu.Unlock()
	select {
	case <-c:
		return nil
	case <-ctx.Done():
		return &model.Error{Class: model.ErrUnavailable, Op: "wait for records to be settled", Err: context.Cause(ctx)}
	}
}

func (b *background) close(ctx context.Context) error {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	err := b.flush(ctx)
	b.cancel()
	if err != nil {
		// What runs ends soon, its context being over.
		_ = b.flush(context.WithoutCancel(ctx))
	}
	return err
}
