package sqlite

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/sqlite/internal/capi"
)

// request is something that waits for the writer: a batch, or other work.
type request struct {
	batch []storage.Mutation
	work  func(*capi.Conn) error
	until time.Time // it must not begin after this
	state atomic.Int32
	done  chan error // takes one answer without blocking
	err   error      // what came of it so far; the writer's
}

// The states of a request.
const (
	waiting   = iota
	taken     // being applied; there will be an answer
	abandoned // the caller has left, and nothing was applied
)

var requests = sync.Pool{New: func() any { return &request{done: make(chan error, 1)} }}

func newRequest() *request { return requests.Get().(*request) }

// recycle gives back a request that has been answered, to its caller's
// knowledge.
func (r *request) recycle() {
	r.batch, r.work, r.err, r.until = nil, nil, nil, time.Time{}
	r.state.Store(waiting)
	requests.Put(r)
}

// abandon takes a request back that has not been begun.
func (r *request) abandon() bool { return r.state.CompareAndSwap(waiting, abandoned) }

// take marks a request as begun; false if its caller has left.
func (r *request) take() bool { return r.state.CompareAndSwap(waiting, taken) }

// answer ends a request. The writer must not touch it afterwards.
func (r *request) answer(err error) { r.done <- err }
