package sqlite

import (
	"context"

	"github.com/stillpoint-db/stillpoint/storage/sqlite/internal/capi"
)

// pool holds the connections that read. They are opened when first needed.
type pool struct {
	set   settings
	slots chan *capi.Conn // nil = not opened yet
}

func newPool(set settings) *pool {
	p := &pool{set: set, slots: make(chan *capi.Conn, set.readers)}
	for range set.readers {
		p.slots <- nil
	}
	return p
}

func (p *pool) get(ctx context.Context) (*capi.Conn, error) {
	var c *capi.Conn
	select {
	case c = <-p.slots:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if c != nil {
		return c, nil
	}
	c, err := openConn(p.set, capi.ReadWrite)
	if err == nil {
		if err = c.Exec("PRAGMA query_only=ON"); err != nil {
			_ = c.Close()
		}
	}
	if err != nil {
		p.slots <- nil
		return nil, err
	}
	return c, nil
}

func (p *pool) put(c *capi.Conn) { p.slots <- c }

// close closes all connections; none may be out.
func (p *pool) close() error {
	var err error
	for range cap(p.slots) {
		if c := <-p.slots; c != nil {
			if e := c.Close(); err == nil {
				err = e
			}
		}
	}
	return err
}
