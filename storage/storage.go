// Package storage is the contract between the transaction manager, the backup
// and a database. An adapter implements Storage, and whichever of the optional
// powers (Fencer, Snapshotter, Loader, Inspector) its database has; it registers
// itself under a driver name as database/sql drivers do. No adapter knows about
// transactions of ours: to it, tx_id is a column like any other.
package storage

import (
	"context"
	"time"

	"github.com/stillpoint-db/stillpoint/model"
)

// Storage is one database (or several behind one router, see package multi).
//
// All methods may be called from several goroutines at once. Every method
// honours ctx: when it ends, the method returns soon; for Mutate the outcome is
// then unknown unless nothing was sent.
//
// Reads return what the database has committed, at the strongest consistency
// that it offers for the read at hand. A read that fails has class
// model.ErrUnavailable (retry may help), model.ErrNotFound (no such table) or
// model.ErrBadArgument.
type Storage interface {
	// Name is the configured name: unique among the storages of one program,
	// and what users see in messages and manifests.
	Name() string

	// Capabilities says, as data, what the storage that holds the table can do.
	Capabilities(table model.TableName) Capabilities

	// Unit names the atomic unit that a key of the table belongs to. Mutations
	// of equal units may share one Mutate call, up to
	// Capabilities.MaxMutations. Does no I/O.
	Unit(table model.TableName, key model.Key) Unit

	// Get reads several rows by primary key, of any tables, in one call: one
	// round trip where Capabilities.BatchedReads says so. The answer has one
	// element for each request, nil where there is no row. The reads are each
	// as fresh as a single one; together they are not one snapshot.
	Get(ctx context.Context, gets []Get) ([]*model.Row, error)

	// Scan reads one page. An empty Page.Next ends the scan; otherwise the
	// same Scan with that token goes on behind the last row. Each row that
	// exists unchanged throughout is seen exactly once; pages are not one
	// snapshot. The storage keeps nothing between pages.
	Scan(ctx context.Context, scan Scan) (Page, error)

	// Mutate applies all mutations of the batch, or none: one atomic unit, in
	// the order given. A batch that is not within one unit, or too long, is
	// refused before any I/O with model.ErrBadArgument. What an error means is
	// told by OutcomeOf; a failed condition is a *ConditionError.
	Mutate(ctx context.Context, batch Batch) error

	// Admin returns the schema operations.
	Admin() Admin

	// Close waits for calls under way and releases everything. Calls after
	// Close fail with model.ErrUnavailable.
	Close() error
}

// Unit is an atomic unit: all that one Mutate call may span. Units are
// comparable. Scope is empty where the whole database is one unit, and tells
// partitions apart where a partition is.
type Unit struct {
	Storage string
	Scope   string
}

// Capabilities describe a storage.
type Capabilities struct {
	Engine string // "SQLite", "PostgreSQL", "MariaDB", …

	// MaxMutations is the most mutations that one Mutate call takes; 0 = no limit.
	MaxMutations int
	// BatchedReads: a Get of many keys costs one round trip.
	BatchedReads bool
	// CopyColumns: Assignment.From is honoured, the storage itself copying the
	// value that the column had before the mutation.
	CopyColumns bool
	// LockedChecks: a Check mutation of an existing row keeps that row from
	// changing until the unit is applied, so that checks and writes of one
	// batch are serializable against other such batches.
	LockedChecks bool
	// AtomicScan: one page of a scan is read in one database snapshot, so a
	// predicate over a column and its before-image in one scan misses no row;
	// and Scan.OrIndex is honoured.
	AtomicScan bool
	// Snapshots, Fences, Loads: the storage implements Snapshotter, Fencer,
	// Loader.
	Snapshots, Fences, Loads bool
}

// Get asks for one row.
type Get struct {
	Table *model.Table
	Key   model.Key
}

// ScanKind says what a Scan runs over.
type ScanKind uint8

// The kinds of scan.
const (
	// ScanPartition reads one partition, in clustering order (or all reversed).
	ScanPartition ScanKind = iota
	// ScanIndex reads the rows whose indexed column has a value. No order.
	ScanIndex
	// ScanTable reads the whole table, in the order of OrderBy, if any.
	ScanTable
)

// Scan asks for a page of rows.
type Scan struct {
	Table *model.Table
	Kind  ScanKind

	// ScanPartition: the whole partition key, and bounds over a prefix of the
	// clustering key. Bounds are on values, not on the direction of the scan.
	Partition  []model.Value
	Start, End Bound
	// Reverse turns the clustering order of the table around.
	Reverse bool

	// ScanIndex: the column and its value.
	IndexColumn string
	IndexValue  model.Value
	// OrIndex, if not empty, names a second indexed column of the same type: a
	// row belongs if either has the value. Only where Capabilities.AtomicScan.
	OrIndex string

	// ScanTable: the order wanted, over any columns. NULLs come where the
	// database puts them.
	OrderBy []OrderBy

	// Where filters the rows in the database.
	Where model.Predicate
	// Limit is the most rows of the page; 0 leaves the size to the storage.
	Limit int
	// Token continues an earlier scan; "" begins.
	Token string
}

// Bound is one end of a range over clustering columns.
type Bound struct {
	Values    []model.Value // a prefix of the clustering key; none = unbounded
	Exclusive bool
}

// OrderBy is one column of an order.
type OrderBy struct {
	Column string
	Order  model.Order
}

// Page is the answer to a Scan.
type Page struct {
	Rows []*model.Row
	Next string // token of the next page; "" = the scan is over
}

// MutationKind says what a Mutation does.
type MutationKind uint8

// The kinds of mutation.
const (
	// Put inserts or updates, as the guard allows. Columns not set keep their
	// value; in a new row they are NULL.
	Put MutationKind = iota
	// Delete removes the row. Without a guard, a missing row is no error.
	Delete
	// Check changes nothing: its guard must hold when the batch is applied.
	Check
)

// GuardKind is the kind of a guard.
type GuardKind uint8

// The kinds of guard.
const (
	// Always: no condition. A Put inserts or updates.
	Always GuardKind = iota
	// NotExists: the row must not exist. A Put inserts.
	NotExists
	// Exists: the row must exist. A Put updates.
	Exists
	// If: the row must exist and all Conditions hold. A Put updates. A
	// condition on a missing row is false on every engine, IS NULL included.
	If
)

// Guard is the condition of a mutation.
type Guard struct {
	Kind       GuardKind
	Conditions []model.Condition // If only; no LIKE
}

// Assignment gives a column its value.
type Assignment struct {
	Column string
	Value  model.Value
	// From, if not empty, names the column whose value before this mutation is
	// copied; Value is not used. Only on updates (guard If or Exists), and only
	// where Capabilities.CopyColumns.
	From string
}

// Mutation is one conditional write.
type Mutation struct {
	Kind  MutationKind
	Table *model.Table
	Key   model.Key
	Set   []Assignment // Put only; never a key column, no column twice
	Guard Guard
}

// Batch is one atomic unit of mutations. No two are of the same key.
type Batch struct {
	Mutations []Mutation
	// Deadline: the storage must not begin to apply the batch after it, and
	// tells its server to give up about then where it can. Zero = none but
	// that of the context.
	Deadline time.Time
}

// Admin is the schema side of a storage. A definition is recorded beside the
// table, as ScalarDB does, and Table answers from that record.
type Admin interface {
	// CheckTable says whether CreateTable would be refused for what the
	// definition is: names over the engine's limit, types that it lacks in
	// that place, a name that it would take for that of another table, there or
	// among those that are to be made with it. Changes nothing.
	CheckTable(ctx context.Context, t *model.Table, with ...model.TableName) error
	// Statements returns the DDL that CreateTable would run, for people.
	Statements(t *model.Table) []string

	// CreateNamespace makes a namespace; no error if it is there.
	CreateNamespace(ctx context.Context, namespace string) error
	// DropNamespace drops an empty namespace; no error if it is not there.
	DropNamespace(ctx context.Context, namespace string) error
	// CreateTable creates the table in an existing namespace, with its
	// indexes, and records its definition: model.ErrExists if it is there. A
	// run that failed half way is completed by running it again.
	CreateTable(ctx context.Context, t *model.Table) error
	// DropTable drops the table, its indexes and its record:
	// model.ErrNotFound if it is not there.
	DropTable(ctx context.Context, name model.TableName) error
	// TruncateTable removes all rows.
	TruncateTable(ctx context.Context, name model.TableName) error
	// Table reads a definition, fresh from the database: model.ErrNotFound if
	// there is none, model.ErrDamaged if it makes no sense or the table lacks
	// a column of it. DropTable drops such a table too.
	Table(ctx context.Context, name model.TableName) (*model.Table, error)
	// Namespaces lists the namespaces that hold tables, the one of the
	// metadata itself excluded, in order.
	Namespaces(ctx context.Context) ([]string, error)
	// Tables lists the tables of a namespace in order; none if it is not there.
	Tables(ctx context.Context, namespace string) ([]model.TableName, error)
}

// ExactNamespaces is an optional power of an Admin whose CreateNamespace relies on
// defaults of the server and may refuse them.
type ExactNamespaces interface {
	// CreateExactNamespace is CreateNamespace for a namespace whose tables
	// nobody but this project uses: it is made so that texts that differ are
	// told apart, whatever the server's defaults.
	CreateExactNamespace(ctx context.Context, namespace string) error
}
