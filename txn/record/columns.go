package record

import (
	"strings"

	"github.com/stillpoint-db/stillpoint/model"
)

// The columns that are added to every transactional table. All may be NULL.
const (
	TxID        = "tx_id"           // TEXT: the last writer
	TxState     = "tx_state"        // INT: see State
	TxVersion   = "tx_version"      // INT: one more with each write, 1 for a new record
	PreparedAt  = "tx_prepared_at"  // BIGINT: milliseconds since 1970, the writer's clock
	CommittedAt = "tx_committed_at" // BIGINT: milliseconds since 1970; while prepared, that of the version before

	// BeforePrefix makes the name of the column that keeps the value a column
	// had before the write under way.
	BeforePrefix = "before_"
)

// State is what tx_state says, in records and in the Coordinator's table. The
// zero State is none: NULL in a record that was imported, no row in the
// Coordinator's table.
type State int32

// The states. Committed and Aborted are the two that the Coordinator's table
// knows; a record never holds Aborted.
const (
	Prepared  State = 1 // written, not decided here
	Deleted   State = 2 // to be deleted, not decided here
	Committed State = 3
	Aborted   State = 4
)

// String names the state.
func (s State) String() string {
	switch s {
	case 0:
		return "NONE"
	case Prepared:
		return "PREPARED"
	case Deleted:
		return "DELETED"
	case Committed:
		return "COMMITTED"
	case Aborted:
		return "ABORTED"
	}
	return "UNKNOWN"
}

// metaColumns are the five meta columns, in the order in which they are added.
var metaColumns = [...]model.Column{
	{Name: TxID, Type: model.Text},
	{Name: TxState, Type: model.Int},
	{Name: TxVersion, Type: model.Int},
	{Name: PreparedAt, Type: model.BigInt},
	{Name: CommittedAt, Type: model.BigInt},
}

// isMeta tells whether name is one of the ten.
func isMeta(name string) bool {
	name = strings.TrimPrefix(name, BeforePrefix)
	for _, c := range metaColumns {
		if c.Name == name {
			return true
		}
	}
	return false
}

// Physical returns the table as it is stored: the columns of the user's table,
// the ten meta columns, a before column for each column outside the key, and an
// index on the before column of each indexed one. A user's column whose name is
// taken by one of them is model.ErrBadArgument.
func Physical(user *model.Table) (*model.Table, error) {
	spec := user.Spec()
	for i, c := range user.Columns() {
		if isMeta(c.Name) {
			return nil, model.Errorf(model.ErrBadArgument, "table %s cannot be transactional: the column name %q is taken by the transaction's own columns", user.Name(), c.Name)
		}
		if rest, ok := strings.CutPrefix(c.Name, BeforePrefix); ok && !user.IsKey(i) && user.Position(rest) >= 0 {
			return nil, model.Errorf(model.ErrBadArgument, "table %s cannot be transactional: column %q looks like the before-image of column %q; rename one of them", user.Name(), c.Name, rest)
		}
	}
	spec.Columns = append(spec.Columns, metaColumns[:]...)
	for _, c := range metaColumns {
		spec.Columns = append(spec.Columns, model.Column{Name: BeforePrefix + c.Name, Type: c.Type})
	}
	for i, c := range user.Columns() {
		if user.IsKey(i) {
			continue
		}
		spec.Columns = append(spec.Columns, model.Column{Name: BeforePrefix + c.Name, Type: c.Type})
		if user.Indexed(i) {
			spec.Indexes = append(spec.Indexes, BeforePrefix+c.Name)
		}
	}
	return model.NewTable(spec)
}

// IsTransactional tells whether a stored table is one that transactions manage:
// it has all ten meta columns, and each other column outside the key has its
// before column, or is one.
func IsTransactional(t *model.Table) bool {
	for _, c := range metaColumns {
		if t.Position(c.Name) < 0 || t.Position(BeforePrefix+c.Name) < 0 {
			return false
		}
	}
	for i, c := range t.Columns() {
		if t.IsKey(i) || isMeta(c.Name) || t.Position(BeforePrefix+c.Name) >= 0 {
			continue
		}
		rest, ok := strings.CutPrefix(c.Name, BeforePrefix)
		if !ok || t.Position(rest) < 0 {
			return false
		}
	}
	return true
}
