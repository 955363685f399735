package testenv

import (
	"errors"
	"net"
	"strconv"
	"syscall"
	"testing"
)

// TestAFreePortStaysFree: nobody can have it but a server that asks for it, which
// can, again and again, and nobody answers there meanwhile.
func TestAFreePortStaysFree(t *testing.T) {
	port, err := FreePort()
	must(t, err)
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	other, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer other.Close()
	for range 2 {
		if c, err := net.Dial("tcp", addr); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("a connection to it: %v, %v", c, err)
		}
		from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}}
		if c, err := from.Dial("tcp", other.Addr().String()); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("a connection from it: %v, %v", c, err)
		}
		server, err := net.Listen("tcp", addr)
		must(t, err)
		c, err := net.Dial("tcp", addr)
		must(t, err)
		must(t, errors.Join(c.Close(), server.Close()))
	}
}
