package mysql

import (
	"context"
	"errors"
	"sync"
	"time"
)

var errClosed = errors.New("the storage is closed")

// pool lends sessions. The one used last is lent first.
type pool struct {
	open    func(context.Context) (*session, error)
	slots   chan struct{} // one for each session that may be lent
	maxIdle int

	mu     sync.Mutex
	idle   []*session
	closed bool
}

func newPool(open func(context.Context) (*session, error), maxTotal, maxIdle int) *pool {
	return &pool{open: open, slots: make(chan struct{}, maxTotal), maxIdle: maxIdle}
}

// get lends a session, opening one if none is idle. The caller gives it back
// with put.
func (p *pool) get(ctx context.Context) (*session, error) {
	select {
	case p.slots <- struct{}{}:
	default:
		select {
		case p.slots <- struct{}{}:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	for {
		p.mu.Lock()
		if p.closed {
			p.mu.Unlock()
			<-p.slots
			return nil, errClosed
		}
		n := len(p.idle)
		if n == 0 {
			p.mu.Unlock()
			break
		}
		s := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		if s.alive(ctx) {
			return s, nil
		}
		s.close()
	}
	s, err := p.open(ctx)
	if err != nil {
		<-p.slots
		return nil, err
	}
	return s, nil
}

// put takes a session back; a broken one is closed.
func (p *pool) put(s *session) {
	defer func() { <-p.slots }()
	if s.usable() {
		s.used = time.Now()
		p.mu.Lock()
		if !p.closed && len(p.idle) < p.maxIdle {
			p.idle = append(p.idle, s)
			s = nil
		}
		p.mu.Unlock()
	}
	if s != nil {
		s.close()
	}
}

// dropIdle closes the sessions that nobody uses.
func (p *pool) dropIdle() {
	p.mu.Lock()
	idle := p.idle
	p.idle = nil
	p.mu.Unlock()
	for _, s := range idle {
		s.close()
	}
}

// close waits until all sessions are back and closes them. It may be called
// more than once.
func (p *pool) close() {
	p.mu.Lock()
	first := !p.closed
	p.closed = true
	p.mu.Unlock()
	if !first {
		return
	}
	for range cap(p.slots) {
		p.slots <- struct{}{}
	}
	p.dropIdle()
	for range cap(p.slots) {
		<-p.slots
	}
}
