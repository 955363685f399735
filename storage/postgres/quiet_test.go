package postgres

import (
	"net"
	"testing"
)

// After a write that took long, pgconn leaves a goroutine reading on the
// connection, which the next answer ends.
func TestAConnectionThatTheDriverReadsInTheBackgroundIsLookedAtWithoutWaiting(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	read := make(chan byte)
	go func() {
		defer close(read)
		var b [1]byte
		for {
			if _, err := client.Read(b[:]); err != nil {
				return
			}
			read <- b[0]
		}
	}()
	if _, err := server.Write([]byte{1}); err != nil {
		t.Fatal(err)
	}
	<-read // the goroutine is there, and about to read again
	for range 100 {
		if !quiet(client) {
			t.Fatal("the connection is open and has nothing to say")
		}
	}
	_ = server.Close()
	<-read
	_ = client.Close()
	if quiet(client) {
		t.Error("a closed connection is taken for a good one")
	}
}
