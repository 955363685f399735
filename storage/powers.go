package storage

import (
	"context"
	"iter"
	"time"

	"github.com/stillpoint-db/stillpoint/model"
)

// Fencer is the power to hold every commit point of a database still, by a
// lock that its server enforces on all sessions, whoever they are.
type Fencer interface {
	// Fence waits until no write to the tables is in flight and then keeps
	// new ones from being applied, until Release. It waits at most
	// opts.Wait in all and otherwise lets go of everything and fails with a
	// *FenceBusyError. Tables are locked in the order of
	// model.TableName.Compare; opts.Tables need not be sorted. Its session
	// has keep-alive and idle limits on the server, so that a dead holder does
	// not hold for long.
	Fence(ctx context.Context, opts FenceOptions) (Fence, error)
	// ProveFence takes a fence on the tables for a moment and shows, with a
	// second session that tries an insert and takes it back, that it blocks.
	// class model.ErrRefused, with the reason, if it does not or if this is
	// not the primary.
	ProveFence(ctx context.Context, opts FenceOptions) error
}

// FenceWarmer is what a Fencer is too if beginning a session takes it a while.
type FenceWarmer interface {
	// WarmFence begins the session that the next Fence uses, so that it costs
	// no login while other databases are locked already. It does nothing if
	// there is one. Close ends it if no Fence did.
	WarmFence(ctx context.Context) error
}

// FenceOptions are the options of a Fence.
type FenceOptions struct {
	Tables []model.TableName
	Wait   time.Duration // one bounded wait for all locks together; 0 = 50 ms
}

// Fence is a fence that holds. It is for one goroutine.
type Fence interface {
	// Alive fails if the fence may have been lost since it was taken. A fence
	// whose Alive succeeds after the last snapshot was opened has held.
	Alive(ctx context.Context) error
	// Release lets go. It may be called more than once, and works when ctx is
	// done already.
	Release(ctx context.Context) error
}

// FenceBusyError says what stood in the way of a fence. Its class is
// model.ErrConflict: try again.
type FenceBusyError struct {
	Storage string
	Table   model.TableName // the table that could not be locked, if known
	Holders []Session       // who held it, if the database tells
	Err     error
}

// Session is a session of somebody on a database.
type Session struct {
	ID     string        `json:"id"`
	User   string        `json:"user,omitempty"`
	App    string        `json:"application,omitempty"`
	Client string        `json:"client,omitempty"` // address
	State  string        `json:"state,omitempty"`
	Query  string        `json:"query,omitempty"` // the statement it runs or last ran, cut to 200 characters
	Age    time.Duration `json:"age_ns,omitempty"`
}

// Error implements error.
func (e *FenceBusyError) Error() string {
	msg := "storage " + quote(e.Storage) + ": a lock for the fence was not granted in time"
	if e.Table.Name != "" {
		msg += " on " + e.Table.String()
	}
	for i, h := range e.Holders {
		if i == 0 {
			msg += "; held by"
		} else {
			msg += ","
		}
		msg += " session " + h.ID
		if h.User != "" {
			msg += " of " + h.User
		}
		if h.Query != "" {
			msg += " (" + h.Query + ")"
		}
	}
	return msg
}

// Unwrap returns the class and the cause.
func (e *FenceBusyError) Unwrap() []error { return []error{model.ErrConflict, e.Err} }

// Snapshotter is the power to read many tables as of one moment, at leisure.
type Snapshotter interface {
	// PrepareSnapshot does all that is slow: it opens the sessions, takes the
	// locks that keep the tables' definitions still, notes the definitions.
	// Nothing is pinned yet.
	PrepareSnapshot(ctx context.Context, opts SnapshotOptions) (Snapshot, error)
}

// SnapshotOptions are the options of a snapshot.
type SnapshotOptions struct {
	Tables  []model.TableName
	Readers int    // the most concurrent Reads that will be asked for; 0 = 1
	Scratch string // a folder for the adapter to stage data in; removed by Close
}

// Snapshot is a consistent picture of some tables. Read may be called from
// SnapshotOptions.Readers goroutines at once; the rest is for one goroutine.
type Snapshot interface {
	// Open pins the moment. It is called once, under a fence if there is one,
	// and is as short as the database allows. When it returns, the picture is
	// that of a moment between its call and its return.
	Open(ctx context.Context) error
	// Detach does what must be done before the tables can be read at leisure
	// without harm to writers (SQLite stages its pages); called once, after
	// the fence is released.
	Detach(ctx context.Context) error
	// Table returns the definition as of the snapshot.
	Table(ctx context.Context, name model.TableName) (*model.Table, error)
	// Split cuts a table into at most n parts for parallel reading, and
	// estimates its rows and bytes (-1 = no idea).
	Split(ctx context.Context, table *model.Table, n int) (parts []Part, err error)
	// Read streams the rows of one part. The row given to yield is valid only
	// during the call. An error of yield ends the reading and is returned.
	Read(ctx context.Context, table *model.Table, part Part, yield func(*model.Row) error) error
	// Verify fails, with class model.ErrInconsistent, if a table was
	// truncated, rewritten, dropped or redefined so that the picture may not
	// be true. Called when all is read.
	Verify(ctx context.Context) error
	// Close ends the snapshot and removes what it staged.
	Close() error
}

// Part is a piece of a table in a Snapshot. Its content is the adapter's.
type Part struct {
	Where any
	Rows  int64 // estimate; -1 = unknown
	Bytes int64 // estimate; -1 = unknown
}

// Loader is the power to fill an empty table quickly.
type Loader interface {
	// Load inserts rows into a table that nobody else uses, in transactions of
	// bounded size, and returns how many it inserted. A row that exists
	// already is an error: model.ErrExists.
	Load(ctx context.Context, table *model.Table, rows iter.Seq2[*model.Row, error]) (int64, error)
}

// RowChecker is what a Loader is too if it can tell beforehand, without asking the
// database, that it cannot hold some value: a NUL character, an infinity.
type RowChecker interface {
	// CheckRow fails with model.ErrBadArgument, naming the column, if Load
	// would refuse the row for what is in it. nil is no promise.
	CheckRow(t *model.Table, row *model.Row) error
}

// RowFitter is what a RowChecker is too if tables of one definition can differ in
// what they hold, as where key columns have a length.
type RowFitter interface {
	// RowFit returns CheckRow for one table: for the one that is in the database,
	// or, if there is none or it will be made anew, for the one that Admin makes.
	RowFit(ctx context.Context, t *model.Table, anew bool) (func(*model.Row) error, error)
}

// Inspector answers what a plan must know before anything is touched.
type Inspector interface {
	// Inspect looks at the database and at the tables, trying what it can
	// rather than guessing. A database that cannot be reached is an error of
	// class model.ErrUnavailable.
	Inspect(ctx context.Context, opts InspectOptions) (Inspection, error)
	// Sessions lists the other sessions that use the database now, those of
	// this process's own storages excluded.
	Sessions(ctx context.Context) ([]Session, error)
	// TerminateSessions ends those sessions and returns how many.
	TerminateSessions(ctx context.Context) (int, error)
}

// InspectOptions say what for.
type InspectOptions struct {
	Tables  []model.TableName
	Backup  bool // what a backup needs
	Restore bool // what a restore needs
	// Scratch is the folder that SnapshotOptions.Scratch will name, so that its
	// free space can be looked at; "" = not known.
	Scratch string
}

// Inspection is the answer of Inspect.
type Inspection struct {
	Engine   string // "PostgreSQL"
	Version  string // "15.18"
	Endpoint string // for people, without secrets: "PostgreSQL 127.0.0.1:5432/bank"
	// Identity is equal for two storages that are the same database, whatever
	// their URLs say. It outlives the server; a copy of a server may have it too.
	Identity string
	// Instance tells a running server from copies of it: two storages of one
	// Identity are one database only if their Instances are equal. It may change
	// when the server is started again; "" = the Identity says it all.
	Instance string
	Bytes    int64 // of the tables together; -1 = unknown
	Tables   []TableInfo
	Findings []Finding
}

// TableInfo is what is known of one table without reading it.
type TableInfo struct {
	Name  model.TableName
	Rows  int64 // estimate; -1 = unknown
	Bytes int64 // estimate; -1 = unknown
}

// Severity says what a finding means for the operation.
type Severity uint8

// The severities.
const (
	Info    Severity = iota // worth knowing
	Warning                 // goes on, but somebody should look
	Blocker                 // the operation is refused
)

// String names the severity.
func (s Severity) String() string { return [...]string{"info", "warning", "blocker"}[s] }

// MarshalText implements encoding.TextMarshaler.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Severity) UnmarshalText(text []byte) error {
	for v := Info; v <= Blocker; v++ {
		if v.String() == string(text) {
			*s = v
			return nil
		}
	}
	return model.Errorf(model.ErrBadArgument, "%q is not a severity", text)
}

// Finding is one thing that an operator should know.
type Finding struct {
	Code     string   `json:"code"` // stable, for scripts: "not-transactional", "missing-right", …
	Severity Severity `json:"severity"`
	Subject  string   `json:"subject"` // a table, a setting
	Text     string   `json:"text"`
	Fix      string   `json:"fix,omitempty"` // what to type
}
