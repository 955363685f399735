package record

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stillpoint-db/stillpoint/model"
)

// The Coordinator's table: its name within its namespace, and its columns beyond
// TxID and TxState.
const (
	CoordinatorTableName        = "state"
	DefaultCoordinatorNamespace = "coordinator"

	ChildIDs  = "tx_child_ids"  // TEXT, optional: members of a group commit, joined by commas
	CreatedAt = "tx_created_at" // BIGINT: when the row was composed: the commit time, milliseconds since 1970
	WriteSet  = "tx_write_set"  // BLOB, optional: the keys written; see ParseWriteSet
)

// CoordinatorName names the Coordinator's table of a namespace ("" = the default
// one).
func CoordinatorName(namespace string) model.TableName {
	if namespace == "" {
		namespace = DefaultCoordinatorNamespace
	}
	return model.TableName{Namespace: namespace, Name: CoordinatorTableName}
}

// CoordinatorTable defines the Coordinator's table of a namespace ("" = the
// default one), without the optional columns.
func CoordinatorTable(namespace string) *model.Table {
	t, err := model.NewTable(model.TableSpec{
		Name: CoordinatorName(namespace),
		Columns: []model.Column{
			{Name: TxID, Type: model.Text}, {Name: TxState, Type: model.Int}, {Name: CreatedAt, Type: model.BigInt},
		},
		PartitionKey: []string{TxID},
	})
	if err != nil {
		panic("record: " + err.Error()) // the definition is constant
	}
	return t
}

// CheckCoordinatorTable tells whether a stored table can serve as the
// Coordinator's: model.ErrRefused, with what is wrong, if not. The optional
// columns may be there.
func CheckCoordinatorTable(t *model.Table) error {
	bad := func(what string) error {
		return model.Errorf(model.ErrRefused, "%s cannot serve as the Coordinator's table: %s", t.Name(), what)
	}
	if t.KeyLen() != 1 || t.Columns()[0] != (model.Column{Name: TxID, Type: model.Text}) {
		return bad("its key is not " + TxID + " TEXT alone")
	}
	for _, c := range []struct {
		model.Column
		optional bool
	}{{model.Column{Name: TxState, Type: model.Int}, false}, {model.Column{Name: CreatedAt, Type: model.BigInt}, false},
		{model.Column{Name: ChildIDs, Type: model.Text}, true}, {model.Column{Name: WriteSet, Type: model.Blob}, true}} {
		i := t.Position(c.Name)
		if i < 0 && !c.optional {
			return bad("it has no column " + c.Name)
		}
		if i >= 0 && t.Columns()[i].Type != c.Type {
			return bad("its column " + c.Name + " is not " + c.Type.String())
		}
	}
	return nil
}

// Coordinator is a row of the Coordinator's table.
type Coordinator struct {
	ID       string   // of the transaction, or of a group of them
	Children []string // of a group: the members that this row decides
	State    State    // Committed or Aborted
	At       int64    // tx_created_at, milliseconds since 1970
	// WriteSet is the raw content of tx_write_set, "" if there is none; it has
	// been parsed once without error.
	WriteSet string
}

// ParseCoordinator reads a row of the Coordinator's table; nil gives nil. A row
// that no manager could have written is model.ErrInconsistent: nothing may be
// decided by it.
func ParseCoordinator(row *model.Row) (*Coordinator, error) {
	if row == nil {
		return nil, nil
	}
	c := &Coordinator{ID: row.Get(TxID).Str(), State: State(row.Get(TxState).Int64()), At: row.Get(CreatedAt).Int64()}
	bad := func(format string, args ...any) (*Coordinator, error) {
		return nil, &model.Error{Class: model.ErrInconsistent, Op: "read row", Subject: fmt.Sprintf("%q of %s", c.ID, row.Table.Name()), TxID: c.ID,
			Err: fmt.Errorf(format, args...), Hint: "Records of this transaction stay in doubt until the row is repaired"}
	}
	if c.State != Committed && c.State != Aborted {
		return bad("tx_state is %s, not 3 (COMMITTED) or 4 (ABORTED)", row.Get(TxState))
	}
	if c.At <= 0 {
		return bad("tx_created_at is %s", row.Get(CreatedAt))
	}
	if s := row.Get(ChildIDs).Str(); s != "" {
		c.Children = strings.Split(s, ",")
	}
	if v := row.Get(WriteSet); v.IsSet() && !v.IsNull() {
		c.WriteSet = v.Str()
		if _, err := ParseWriteSet(c.WriteSet); err != nil {
			return bad("tx_write_set cannot be read: %w", err)
		}
	}
	return c, nil
}

// Decision returns what the row says of the transactions that it decides.
func (c *Coordinator) Decision() Decision {
	if c == nil {
		return Decision{}
	}
	return Decision{State: c.State, At: c.At}
}

// Decide tells a transaction's fate from the rows of the Coordinator's table:
// own is the row under its own id, parent the row of its group if the id has the
// shape of a group commit's (SplitID); nil where there is no row. A group's row
// decides only the members that it lists.
func Decide(id string, parent, own *Coordinator) Decision {
	if _, child, grouped := SplitID(id); grouped && parent != nil && slices.Contains(parent.Children, child) {
		return parent.Decision()
	}
	return own.Decision()
}
