// Package memory is a storage that keeps everything in the memory of this
// process. It has every power of the contract and is exact about its words, so
// it serves tests, examples and the exploration of the protocol; its data ends
// with the process.
//
// Data lives in a Database, and a Storage is one client's handle on it. Handles
// on one Database share its tables and locks, as sessions of a server do.
// Options make a handle behave like engines that can do less: an atomic unit of
// one partition, batches of limited length, no server-side copies.
package memory

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// DriverName is the name under which the driver is registered. The URL of its
// configuration names a database of this process: storages of equal URLs share it.
const DriverName = "memory"

func init() { storage.Register(DriverName, driver{}) }

type driver struct{}

// Open implements storage.Driver.
func (driver) Open(_ context.Context, cfg storage.Config) (storage.Storage, error) {
	return Named(cfg.URL).Open(cfg.Name, Options{}), nil
}

// UnitKind says what one Mutate call may span.
type UnitKind uint8

// The kinds of atomic unit.
const (
	WholeStorage UnitKind = iota // any rows, as SQL databases and DynamoDB do
	Partition                    // rows of one partition of one table, as Cassandra does
)

// Options make a handle less able, or watch it. The zero value has all powers.
type Options struct {
	Unit           UnitKind
	MaxMutations   int           // most mutations of one Mutate call; 0 = no limit
	NoCopyColumns  bool          // Assignment.From is refused
	NoLockedChecks bool          // a Check holds at one moment before the batch is applied, not until then
	NoAtomicScan   bool          // the rows of a page are read one after the other
	NoBatchedReads bool          // only said in Capabilities
	PageSize       int           // rows of a page when a scan has no limit; 0 = 1000
	FenceLimit     time.Duration // how long a fence holds before the database takes it away; 0 = 30 s

	// Locked is called when a batch has its table locks and is not applied yet,
	// Applied when it is applied and holds them still. Both may be nil.
	Locked, Applied func(ctx context.Context, batch storage.Batch)
}

const (
	defaultPageSize   = 1000
	defaultFenceLimit = 30 * time.Second
	defaultFenceWait  = 50 * time.Millisecond
)

// Storage is a handle on a Database. All methods may be called from several
// goroutines at once.
type Storage struct {
	db   *Database
	name string
	opts Options

	mu     sync.Mutex
	closed bool
	calls  sync.WaitGroup

	roundTrips atomic.Int64
}

// New returns a storage with all powers over a new database of its own.
func New(name string) *Storage { return NewDatabase().Open(name, Options{}) }

// Open returns a handle on the database.
func (db *Database) Open(name string, opts Options) *Storage {
	if opts.PageSize <= 0 {
		opts.PageSize = defaultPageSize
	}
	if opts.FenceLimit <= 0 {
		opts.FenceLimit = defaultFenceLimit
	}
	return &Storage{db: db, name: name, opts: opts}
}

// Name implements storage.Storage.
func (s *Storage) Name() string { return s.name }

// Database returns what the storage is a handle on.
func (s *Storage) Database() *Database { return s.db }

// RoundTrips returns how many calls of Get, Scan and Mutate this handle has
// served; a Get of n rows counts n without batched reads.
func (s *Storage) RoundTrips() int64 { return s.roundTrips.Load() }

// Capabilities implements storage.Storage.
func (s *Storage) Capabilities(model.TableName) storage.Capabilities {
	return storage.Capabilities{
		Engine:       "memory",
		MaxMutations: s.opts.MaxMutations,
		BatchedReads: !s.opts.NoBatchedReads,
		CopyColumns:  !s.opts.NoCopyColumns,
		LockedChecks: !s.opts.NoLockedChecks,
		AtomicScan:   !s.opts.NoAtomicScan,
		Snapshots:    true,
		Fences:       true,
		Loads:        true,
	}
}

// Unit implements storage.Storage.
func (s *Storage) Unit(table model.TableName, key model.Key) storage.Unit {
	u := storage.Unit{Storage: s.name}
	if s.opts.Unit == Partition {
		u.Scope = table.String() + "\x00" + model.EncodeValues(key.Partition)
	}
	return u
}

// Admin implements storage.Storage.
func (s *Storage) Admin() storage.Admin { return admin{s} }

// Close implements storage.Storage.
func (s *Storage) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.calls.Wait()
	return nil
}

// enter begins a call; leave ends it. It fails once the storage is closed or
// ctx is done.
func (s *Storage) enter(ctx context.Context) (leave func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, storage.UnavailableError(s.name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, storage.UnavailableError(s.name, errClosed)
	}
	s.calls.Add(1)
	return s.calls.Done, nil
}

var errClosed = model.Errorf(model.ErrUnavailable, "the storage is closed")

var (
	_ storage.Storage     = (*Storage)(nil)
	_ storage.Fencer      = (*Storage)(nil)
	_ storage.Snapshotter = (*Storage)(nil)
	_ storage.Loader      = (*Storage)(nil)
	_ storage.Inspector   = (*Storage)(nil)
)
