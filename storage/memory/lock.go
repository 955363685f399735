package memory

import (
	"context"
	"sync"

	"github.com/stillpoint-db/stillpoint/model"
)

// lockTable holds the table locks: many writers, or many fences. A fence that
// waits keeps new writers out, so that it gets its turn.
type lockTable struct {
	mu     sync.Mutex
	tables map[model.TableName]*tableLock
}

type tableLock struct {
	writers, fences, waiting int
	changed                  chan struct{} // closed when any of these goes down
}

// of returns the lock of a table; l.mu is held.
func (l *lockTable) of(name model.TableName) *tableLock {
	t := l.tables[name]
	if t == nil {
		t = &tableLock{changed: make(chan struct{})}
		l.tables[name] = t
	}
	return t
}

func (t *tableLock) wake() {
	close(t.changed)
	t.changed = make(chan struct{})
}

// write locks tables for writing, in the order given; the cause of ctx's end if
// it ends first.
func (l *lockTable) write(ctx context.Context, names []model.TableName) (unlock func(), err error) {
	for i, name := range names {
		if err := l.writeOne(ctx, name); err != nil {
			l.unwrite(names[:i])
			return nil, err
		}
	}
	return func() { l.unwrite(names) }, nil
}

func (l *lockTable) writeOne(ctx context.Context, name model.TableName) error {
	for {
		l.mu.Lock()
		t := l.of(name)
		if t.fences == 0 && t.waiting == 0 {
			t.writers++
			l.mu.Unlock()
			return nil
		}
		changed := t.changed
		l.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (l *lockTable) unwrite(names []model.TableName) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, name := range names {
		t := l.of(name)
		t.writers--
		t.wake()
	}
}

// fenceOne locks a table against writers, when none is at work in it. With
// ignoreWriters it does not wait for them.
func (l *lockTable) fenceOne(ctx context.Context, name model.TableName, ignoreWriters bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.of(name)
	t.waiting++
	for t.writers > 0 && !ignoreWriters {
		changed := t.changed
		l.mu.Unlock()
		select {
		case <-changed:
			l.mu.Lock()
		case <-ctx.Done():
			l.mu.Lock()
			t.waiting--
			t.wake()
			return ctx.Err()
		}
	}
	t.waiting--
	t.fences++
	return nil
}

func (l *lockTable) unfence(names []model.TableName) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, name := range names {
		t := l.of(name)
		t.fences--
		t.wake()
	}
}
