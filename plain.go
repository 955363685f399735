package stillpoint

import (
	"context"
	"sync"
	"time"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// plainTables caches definitions of tables as they are stored, for Direct.
type plainTables struct {
	ttl time.Duration // negative = for ever

	mu    sync.Mutex
	byRef map[model.TableName]plainTable // guarded by mu
}

type plainTable struct {
	t    *model.Table
	read time.Time
}

func (p *plainTables) get(ctx context.Context, admin storage.Admin, name model.TableName) (*model.Table, error) {
	p.mu.Lock()
	c, ok := p.byRef[name]
	p.mu.Unlock()
	if ok && (p.ttl < 0 || time.Since(c.read) < p.ttl) {
		return c.t, nil
	}
	t, err := admin.Table(ctx, name)
	if err != nil {
		return nil, err
	}
	if ok && t.Equal(c.t) {
		t = c.t // so that bindings to it stay good
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byRef == nil {
		p.byRef = map[model.TableName]plainTable{}
	}
	p.byRef[name] = plainTable{t, time.Now()}
	return t, nil
}
