package postgres

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

const (
	checkAfter  = 100 * time.Millisecond // an idle connection older than this is looked at before use
	maxIdle     = 5 * time.Minute        // one idle for longer is closed
	maxLifetime = 30 * time.Minute       // one that lived longer is replaced
)

var errClosed = errors.New("it is closed")

// pool keeps connections. It has no goroutine of its own: what is too old is
// closed when somebody comes by.
type pool struct {
	config *pgconn.Config
	slots  chan struct{} // one for each connection in use

	mu     sync.Mutex
	idle   []*session // the latest used last
	closed bool
	done   chan struct{} // closed when the pool closes
}

func newPool(config *pgconn.Config, size int) *pool {
	return &pool{config: config, slots: make(chan struct{}, size), done: make(chan struct{})}
}

// acquire returns a connection, waiting for one if all are in use. Nothing has
// been sent when it fails.
func (p *pool) acquire(ctx context.Context) (*session, error) {
	select {
	case p.slots <- struct{}{}:
	default:
		select {
		case p.slots <- struct{}{}:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-p.done:
			return nil, errClosed
		}
	}
	now := time.Now()
	for {
		s, err := p.pop()
		if err != nil {
			<-p.slots
			return nil, err
		}
		if s == nil {
			break
		}
		idle := now.Sub(s.idleSince)
		if idle < maxIdle && now.Sub(s.born) < maxLifetime && (idle < checkAfter || quiet(s.net)) {
			return s, nil
		}
		s.close()
	}
	s, err := p.connect(ctx)
	if err != nil {
		<-p.slots
		return nil, err
	}
	return s, nil
}

func (p *pool) pop() (*session, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errClosed
	}
	n := len(p.idle)
	if n == 0 {
		return nil, nil
	}
	s := p.idle[n-1]
	p.idle[n-1] = nil
	p.idle = p.idle[:n-1]
	return s, nil
}

// release gives a connection back.
func (p *pool) release(s *session) {
	defer func() { <-p.slots }()
	if s.dead {
		s.close()
		p.dropEnded()
		return
	}
	s.idleSince = time.Now()
	p.mu.Lock()
	var old *session
	keep := !p.closed
	if keep {
		if len(p.idle) > 0 && s.idleSince.Sub(p.idle[0].idleSince) > maxIdle {
			old = p.idle[0]
			p.idle = append(p.idle[:0], p.idle[1:]...)
		}
		p.idle = append(p.idle, s)
	}
	p.mu.Unlock()
	if !keep {
		s.close()
	}
	if old != nil {
		old.close()
	}
}

// dropEnded closes idle connections that the server has ended meanwhile: a
// connection that broke is rarely alone.
func (p *pool) dropEnded() {
	p.mu.Lock()
	var ended []*session
	kept := p.idle[:0]
	for _, s := range p.idle {
		if quiet(s.net) {
			kept = append(kept, s)
		} else {
			ended = append(ended, s)
		}
	}
	clear(p.idle[len(kept):])
	p.idle = kept
	p.mu.Unlock()
	for _, s := range ended {
		s.close()
	}
}

// connect opens a connection outside the pool's count.
func (p *pool) connect(ctx context.Context) (*session, error) {
	return p.connectWith(ctx, nil)
}

// connectWith opens a connection with further settings.
func (p *pool) connectWith(ctx context.Context, settings map[string]string) (*session, error) {
	config := p.config
	if len(settings) > 0 {
		config = config.Copy()
		for k, v := range settings {
			config.RuntimeParams[k] = v
		}
	}
	pg, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	return &session{pg: pg, net: pg.Conn(), prepared: map[string]prepared{}, born: time.Now()}, nil
}

// close waits until all connections are given back and closes them.
func (p *pool) close() {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	p.closed = true
	idle := p.idle
	p.idle = nil
	close(p.done)
	p.mu.Unlock()
	for _, s := range idle {
		s.close()
	}
	for range cap(p.slots) {
		p.slots <- struct{}{}
	}
}

// quiet tells whether an idle connection is as it should be: open, and nothing
// to read. The server says something unasked when it is about to end. It must not
// wait for whoever reads already: after a slow write the driver leaves a reader of
// its own on the connection.
func quiet(c net.Conn) bool {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	sc, ok := c.(syscall.Conn)
	if !ok {
		return true
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	quiet := false
	err = raw.Control(func(fd uintptr) {
		var b [1]byte
		_, _, e := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		quiet = e == syscall.EAGAIN || e == syscall.EWOULDBLOCK
	})
	return err == nil && quiet
}
