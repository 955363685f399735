package stillpoint

import (
	"context"
	"log/slog"
	"time"

	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/txn"
)

// Isolation is the isolation level of transactions.
type Isolation = txn.Isolation

// The isolation levels; docs/transactions.md says what each allows.
const (
	// Snapshot repeats reads and loses no update; write skew is possible. The
	// default.
	Snapshot = txn.Snapshot
	// Serializable validates every read at commit.
	Serializable = txn.Serializable
	// ReadCommitted reads the latest committed state each time.
	ReadCommitted = txn.ReadCommitted
)

// Hooks are called at the turns of transactions, for metrics and tracing. Any
// may be nil; they are called from the goroutine of the transaction, must be
// quick, and may run at once for different transactions. DB.Close waits for them,
// so they must not call it.
type Hooks struct {
	// Begin is called when a transaction begins; the context that it returns
	// governs the transaction from there, so that a span can travel in it; nil
	// changes nothing.
	Begin func(ctx context.Context, txID string) context.Context
	// End is called when a transaction has ended. committed tells whether it
	// has; err is what its commit failed with, nil after a rollback too.
	End func(ctx context.Context, txID string, took time.Duration, committed bool, err error)
	// Retry is called before Transact runs its function again.
	Retry func(ctx context.Context, attempt int, err error)
	// Steps hear of what happens inside of transactions: reads, preparations, and
	// commit points with the path that was taken.
	Steps txn.Hooks
}

// Option is an option of Open.
type Option func(*openOptions)

type openOptions struct {
	logger     *slog.Logger
	hooks      Hooks
	isolation  *Isolation
	user       string
	password   string
	properties map[string]string
	wrap       func(storage.Storage) storage.Storage
	intercept  CommitInterceptor
}

// WithLogger gives the DB a logger; without it, it says nothing.
func WithLogger(l *slog.Logger) Option { return func(o *openOptions) { o.logger = l } }

// WithHooks sets the hooks for metrics and tracing.
func WithHooks(h Hooks) Option { return func(o *openOptions) { o.hooks = h } }

// WithIsolation sets the isolation level, above what the properties say.
func WithIsolation(i Isolation) Option { return func(o *openOptions) { o.isolation = &i } }

// WithCredentials sets the user and password of the database, above what the
// properties say. For several storages put them into the properties.
func WithCredentials(user, password string) Option {
	return func(o *openOptions) { o.user, o.password = user, password }
}

// WithProperty sets one property, above what the source says.
func WithProperty(key, value string) Option {
	return func(o *openOptions) {
		if o.properties == nil {
			o.properties = map[string]string{}
		}
		o.properties[key] = value
	}
}

// WithStorageWrapper puts something between the DB and each of its storages:
// what measures calls, or makes them fail on purpose (see stillpointtest). The
// wrapper must keep to the contract of storage.Storage.
func WithStorageWrapper(wrap func(storage.Storage) storage.Storage) Option {
	return func(o *openOptions) { o.wrap = wrap }
}

// CommitInterceptor runs in place of the commit of every transaction that has
// written something. It calls commit, once, or not at all, and returns what the
// program is to see.
type CommitInterceptor func(ctx context.Context, txID string, commit func() error) error

// WithCommitInterceptor lets commits fail on purpose, for tests of what a
// program does then; stillpointtest has a switch made of it.
func WithCommitInterceptor(f CommitInterceptor) Option {
	return func(o *openOptions) { o.intercept = f }
}

// TxOption is an option of one transaction.
type TxOption func(*txOptions)

type txOptions struct {
	id        string
	isolation *Isolation
	readOnly  bool
	attempts  int
}

func newTxOptions(opts []TxOption) (txOptions, error) {
	o := txOptions{attempts: defaultAttempts}
	for _, opt := range opts {
		if opt == nil {
			return o, &Error{Class: ErrBadArgument, Op: "begin a transaction", Detail: "an option is nil"}
		}
		opt(&o)
	}
	return o, nil
}

// AtIsolation runs one transaction at another level than the DB's.
func AtIsolation(i Isolation) TxOption { return func(o *txOptions) { o.isolation = &i } }

// Attempts bounds how often Transact runs its function; at least once.
func Attempts(n int) TxOption { return func(o *txOptions) { o.attempts = max(n, 1) } }

// ReadOnly makes a transaction of Begin read-only.
func ReadOnly() TxOption { return func(o *txOptions) { o.readOnly = true } }

// WithID gives a transaction of Begin an id of the caller's, which must never
// have been used before and never be used again. Transact and View refuse it, as
// each run of their function is a transaction of its own.
func WithID(id string) TxOption { return func(o *txOptions) { o.id = id } }
