package stillpoint

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stillpoint-db/stillpoint/model"
)

// The bounds of Transact's retries, unless TransactOptions say otherwise.
const (
	defaultAttempts  = 20
	retryBaseBackoff = time.Millisecond
	retryMaxBackoff  = 250 * time.Millisecond
)

// Transact runs fn in a transaction and commits it. When another transaction
// was in the way (ErrConflict from fn or from the commit), it rolls back, waits
// a little longer each time, and runs fn again, at most 20 times or as Attempts
// says, and as long as ctx allows. It never runs fn again after
// ErrUnknownOutcome. Any other error of fn rolls back and is returned as it is.
// When fn panics, the transaction is rolled back and the panic goes on.
//
// fn may run several times: what it does outside the transaction must bear that.
// A Transact or View within fn on the same DB is ErrBadArgument.
func (db *DB) Transact(ctx context.Context, fn func(tx *Tx) error, opts ...TxOption) error {
	o, err := newTxOptions(opts)
	if err != nil {
		return err
	}
	return db.transact(ctx, fn, o)
}

// View is Transact for a function that only reads: a write in it is
// ErrBadArgument, and nothing is written anywhere on its behalf.
func (db *DB) View(ctx context.Context, fn func(tx *Tx) error, opts ...TxOption) error {
	o, err := newTxOptions(opts)
	if err != nil {
		return err
	}
	o.readOnly = true
	return db.transact(ctx, fn, o)
}

func (db *DB) transact(ctx context.Context, fn func(tx *Tx) error, o txOptions) error {
	switch {
	case fn == nil:
		return &Error{Class: ErrBadArgument, Op: "transaction", Detail: "the function to run is nil"}
	case o.id != "":
		return &Error{Class: ErrBadArgument, Op: "transaction", Detail: "WithID is for Begin; here, every run of the function has an id of its own",
			Hint: "Tx.ID tells it"}
	}
	leave, err := db.nesting.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	for attempt := 1; ; attempt++ {
		err := db.attempt(ctx, fn, o)
		if err == nil || !retriable(err) {
			return err
		}
		if attempt >= o.attempts {
			return &Error{Class: ErrConflict, Op: "transaction", Detail: "gave up after " + strconv.Itoa(attempt) + " attempts",
				Hint: "Others keep changing the same rows: make transactions smaller, or allow more with stillpoint.Attempts", Err: err}
		}
		if db.hooks.Retry != nil {
			db.hooks.Retry(ctx, attempt, err)
		}
		if !sleep(ctx, backoff(attempt)) {
			return &Error{Class: ErrConflict, Op: "transaction", Detail: "no time was left for attempt " + strconv.Itoa(attempt+1),
				Err: fmt.Errorf("%w, after: %w", context.Cause(ctx), err)}
		}
	}
}

// retriable tells whether running the transaction again may help: an insert of
// a row that exists is a conflict, but will stay one.
func retriable(err error) bool {
	return errors.Is(err, ErrConflict) && !errors.Is(err, ErrUnknownOutcome) && !errors.Is(err, ErrExists)
}

// attempt runs fn once. The transaction is over when it returns, whatever
// happens in fn. It is not inlined, so that withinAttempt finds it.
//
//go:noinline
func (db *DB) attempt(ctx context.Context, fn func(tx *Tx) error, o txOptions) (err error) {
	tx, err := db.begin(ctx, o)
	if err != nil {
		return err
	}
	tx.managed = true
	defer tx.abandon() // does nothing after a commit
	if err := fn(tx); err != nil {
		return err
	}
	return tx.commit()
}

// backoff returns how long to wait after a failed attempt: up to twice as long
// each time, at random so that contenders part.
func backoff(attempt int) time.Duration {
	limit := retryMaxBackoff
	if attempt < 10 {
		limit = min(limit, retryBaseBackoff<<attempt)
	}
	return limit/4 + rand.N(limit*3/4)
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil // both may be ready
	case <-ctx.Done():
		return false
	}
}

// nesting notices a transaction inside another one on the same DB: by the context
// where the inner one was given Tx.Context, and by the goroutine where it was
// not. As long as the program has one DB open, a look at the goroutine's stack
// tells; with several, goroutines have to be told apart by number, which costs
// some microseconds.
type nesting struct {
	mu     sync.Mutex
	active map[uint64]struct{} // goroutines inside Transact while several DBs are open; guarded by mu
}

type nestingKey struct{ n *nesting }

// openDBs counts the DBs of this program that are open.
var openDBs atomic.Int32

func (n *nesting) enter(ctx context.Context) (leave func(), err error) {
	if ctx.Value(nestingKey{n}) != nil {
		return nil, errNested()
	}
	if openDBs.Load() <= 1 {
		if withinAttempt() {
			return nil, errNested()
		}
		return func() {}, nil
	}
	id := goroutineID()
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, busy := n.active[id]; busy {
		return nil, errNested()
	}
	if n.active == nil {
		n.active = map[uint64]struct{}{}
	}
	n.active[id] = struct{}{}
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.active, id)
	}, nil
}

func errNested() error {
	return model.Errorf(ErrBadArgument, "transaction within a transaction: use the Tx at hand, or end it first")
}

var attemptEntry = reflect.ValueOf((*DB).attempt).Pointer()

// withinAttempt tells whether this goroutine is inside DB.attempt already, as far
// as the nearest 64 calls tell.
func withinAttempt() bool {
	var pcs [64]uintptr
	for _, pc := range pcs[:runtime.Callers(3, pcs[:])] {
		if f := runtime.FuncForPC(pc - 1); f != nil && f.Entry() == attemptEntry {
			return true
		}
	}
	return false
}

// goroutineID reads the number of this goroutine off the head of its stack
// trace, "goroutine 17 [running]:". It only serves to report a mistake.
func goroutineID() uint64 {
	var buf [40]byte
	s := buf[len("goroutine "):runtime.Stack(buf[:], false)]
	var id uint64
	for _, c := range s {
		if c < '0' || c > '9' {
			break
		}
		id = id*10 + uint64(c-'0')
	}
	return id
}
