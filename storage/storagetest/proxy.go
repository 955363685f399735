package storagetest

import (
	"io"
	"net"
	"sync"
	"testing"
)

// Proxy forwards TCP connections to a server and can lose its answers.
type Proxy struct {
	listener net.Listener
	target   string
	wg       sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]struct{}
	armed bool
	left  int64 // bytes of answers still to be forwarded, while armed
}

// NewProxy starts a proxy on a free port; it ends with the test.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{listener: l, target: target, conns: map[net.Conn]struct{}{}}
	p.wg.Go(p.accept)
	t.Cleanup(func() {
		_ = l.Close()
		p.Break()
		p.wg.Wait()
	})
	return p
}

// Addr is where to connect to.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// LoseAnswersAfter lets n more bytes of answers through, on all connections
// together, and then breaks them all; new connections work again.
func (p *Proxy) LoseAnswersAfter(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.armed, p.left = true, n
}

// Disarm takes LoseAnswersAfter back and tells whether it was still to happen.
func (p *Proxy) Disarm() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	was := p.armed
	p.armed = false
	return was
}

// Break ends all connections.
func (p *Proxy) Break() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
	clear(p.conns)
}

func (p *Proxy) accept() {
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
		p.mu.Lock()
		p.conns[client], p.conns[server] = struct{}{}, struct{}{}
		p.mu.Unlock()
		p.wg.Go(func() {
			_, _ = io.Copy(server, client)
			_ = server.Close()
		})
		p.wg.Go(func() {
			p.answers(client, server)
			_ = client.Close()
			_ = server.Close()
		})
	}
}

// answers forwards what the server says, as far as it is to be heard. What
// the client says goes on to the server all the while.
func (p *Proxy) answers(client, server net.Conn) {
	buf := make([]byte, 16<<10)
	for {
		n, err := server.Read(buf)
		if n > 0 {
			let, lost := p.let(int64(n))
			if _, err := client.Write(buf[:let]); err != nil {
				return
			}
			if lost {
				p.Break()
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (p *Proxy) let(n int64) (let int64, lost bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.armed {
		return n, false
	}
	if n <= p.left && p.left > 0 {
		p.left -= n
		return n, false
	}
	p.armed = false
	return min(n, p.left), true
}
