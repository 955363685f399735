package testenv

import (
	"bytes"
	"net"
	"sync"
	"testing"
	"time"
)

// Proxy stands between a client and a server, counts round trips and, when
// told to, loses or delays what passes.
type Proxy struct {
	target   string
	listener net.Listener
	wg       sync.WaitGroup

	mu     sync.Mutex
	pairs  map[*pair]struct{}
	fault  *Fault
	delay  time.Duration
	trips  int64
	tap    func(connection int64, toServer bool, data []byte)
	last   int64 // number of the latest connection
	closed bool
}

// FaultKind says what a Fault does to the connection that it hits.
type FaultKind int

// The kinds of fault.
const (
	// CutRequest closes the connection before the request is passed on: the
	// server never sees it.
	CutRequest FaultKind = iota + 1
	// CutAnswer passes the request on, waits until the server has done all that
	// it was asked for, and closes the connection instead of passing any
	// answer on. The request must come in one piece.
	CutAnswer
	// HoldAnswer passes the request on and keeps the answer, and all later
	// ones of this connection, until the proxy is closed.
	HoldAnswer
	// HoldRequest keeps the request, and all later ones of this connection,
	// from the server until the proxy is closed.
	HoldRequest
)

// Fault is what is to go wrong, once.
type Fault struct {
	Kind FaultKind
	// Match is what the request must contain; nil hits the next one.
	Match []byte
	// Hit is closed when the fault has happened. Arm sets it.
	Hit chan struct{}
}

type pair struct {
	client, server net.Conn
	number         int64
	// guarded by Proxy.mu
	asking     bool // the client spoke last
	cutAnswer  *Fault
	holdAnswer bool
	holdAsked  bool
}

// NewProxy starts a proxy to an address. It ends with the test.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	p := &Proxy{target: target, listener: l, pairs: map[*pair]struct{}{}}
	p.wg.Add(1)
	go p.accept()
	t.Cleanup(p.Close)
	return p
}

// Addr is the address that clients connect to.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Port is the port of Addr.
func (p *Proxy) Port() int { return p.listener.Addr().(*net.TCPAddr).Port }

// Arm makes one fault happen. The returned channel is closed when it has.
func (p *Proxy) Arm(kind FaultKind, match string) <-chan struct{} {
	f := &Fault{Kind: kind, Hit: make(chan struct{})}
	if match != "" {
		f.Match = []byte(match)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = f
	return f.Hit
}

// Delay holds every piece of data of both directions back for d from now on.
func (p *Proxy) Delay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
}

// Tap has f see all data from now on, in order for each direction of each
// connection; connections are numbered as they come.
func (p *Proxy) Tap(f func(connection int64, toServer bool, data []byte)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tap = f
}

// RoundTrips counts how often a client spoke after its server did (or first).
// It is exact when each request fits one read; a long one sent while the server
// answers already may count more.
func (p *Proxy) RoundTrips() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.trips
}

// CutAll closes all connections that are open.
func (p *Proxy) CutAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for x := range p.pairs {
		x.close()
	}
}

// Close ends the proxy and its connections.
func (p *Proxy) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	_ = p.listener.Close()
	p.CutAll()
	p.wg.Wait()
}

func (x *pair) close() {
	_ = x.client.Close()
	_ = x.server.Close()
}

func (p *Proxy) accept() {
	defer p.wg.Done()
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		x := &pair{client: client, server: server}
		p.mu.Lock()
		if p.closed {
			p.mu.Unlock()
			x.close()
			return
		}
		p.last++
		x.number = p.last
		p.pairs[x] = struct{}{}
		p.wg.Add(2)
		p.mu.Unlock()
		go p.pump(x, true)
		go p.pump(x, false)
	}
}

// pump carries one direction of a connection.
func (p *Proxy) pump(x *pair, toServer bool) {
	defer p.wg.Done()
	defer func() {
		x.close()
		p.mu.Lock()
		delete(p.pairs, x)
		p.mu.Unlock()
	}()
	from, to := x.server, x.client
	if toServer {
		from, to = x.client, x.server
	}
	buf := make([]byte, 256<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			forward, cut := p.pass(x, toServer, buf[:n])
			if forward {
				if _, err := to.Write(buf[:n]); err != nil {
					return
				}
			}
			if cut {
				return
			}
		}
		if err != nil {
			if f := p.lost(x); f != nil && !toServer {
				close(f.Hit)
			}
			return
		}
	}
}

// lost returns the fault that keeps the answers of a connection, if there is one.
func (p *Proxy) lost(x *pair) *Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	return x.cutAnswer
}

// pass decides about one piece of data.
func (p *Proxy) pass(x *pair, toServer bool, data []byte) (forward, cut bool) {
	p.mu.Lock()
	delay := p.delay
	p.mu.Unlock()
	if delay > 0 {
		time.Sleep(delay)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.tap != nil {
		p.tap(x.number, toServer, data)
	}
	if !toServer {
		x.asking = false
		if x.cutAnswer != nil {
			// A server may answer the first of several statements before it has
			// done the last. With no more to be read it ends when it has done all.
			_ = x.server.(*net.TCPConn).CloseWrite()
			return false, false
		}
		return !x.holdAnswer, false
	}
	if !x.asking {
		x.asking = true
		p.trips++
	}
	if x.holdAsked {
		return false, false
	}
	f := p.fault
	if f == nil || !bytes.Contains(data, f.Match) {
		return true, false
	}
	p.fault = nil
	switch f.Kind {
	case CutRequest:
		close(f.Hit)
		return false, true
	case CutAnswer:
		x.cutAnswer = f
	case HoldAnswer:
		x.holdAnswer = true
		close(f.Hit)
	case HoldRequest:
		x.holdAsked = true
		close(f.Hit)
		return false, false
	}
	return true, false
}
