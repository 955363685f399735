// Package settle turns the records of a copy into records that are all
// committed: what recovery does lazily on live databases, done at once and
// without waiting for anybody.
//
// A record that was prepared when the copy was made is decided by the
// Coordinator's rows of the same copy, and by nothing else. A row that says
// COMMITTED makes it the version that was prepared; ABORTED, or no row at all,
// makes it the version before. "No row" is final here, without an expiry time to
// wait for: the copy is a cut, a transaction that had no row in it had not
// committed at the cut, and whatever it did later is not in the copy.
//
// The live Coordinator knows about transactions that committed after the cut.
// Asking it would apply the half of them that the copy happened to catch as
// prepared, and not the other half.
package settle

import (
	"context"
	"fmt"
	"iter"
	"maps"

	"github.com/stillpoint-db/stillpoint/internal/mutant"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

// Action says what became of a record.
type Action uint8

// The actions.
const (
	Kept           Action = iota // was committed
	RolledForward                // prepared, now the version that was prepared
	RemovedForward               // its deletion was prepared, now gone
	RolledBack                   // prepared, now the version before
	RemovedBack                  // its insertion was prepared, now gone
)

// String names the action.
func (a Action) String() string {
	return [...]string{"kept", "rolled forward", "deletion completed", "rolled back", "insertion undone"}[a]
}

// Rows streams the rows of a Coordinator's table. A row is valid until the next
// one is asked for.
type Rows func(ctx context.Context) iter.Seq2[*model.Row, error]

// Coordinators are the two tables that could decide.
type Coordinators struct {
	// Copy is the Coordinator's table in the copy itself: the one that decides.
	Copy Rows
	// Live is the Coordinator's table of the databases as they are now. It is
	// never asked; tests hand it in to show what would happen. May be nil.
	Live Rows
}

// Decisions are the fates of the transactions whose records are in doubt. Used
// in this order: Meet for every record, Learn once, then Settle for every
// record. It holds one entry (some 200 bytes) for each transaction in doubt,
// however many records and Coordinator rows there are.
//
// Meet and Learn are for one goroutine; Settle may be called from many.
type Decisions struct {
	wanted  map[string]*fate
	parents map[string][]string // group id to full ids wanted
}

type fate struct {
	own, parent *record.Coordinator
	decision    record.Decision
}

// New returns empty Decisions.
func New() *Decisions {
	return &Decisions{wanted: map[string]*fate{}, parents: map[string][]string{}}
}

// Meet notes whose decision a record needs, if any, and tells whether it is in
// doubt. A record in a state that no manager writes is model.ErrInconsistent:
// there is no telling what it should become.
func (d *Decisions) Meet(l *record.Layout, row *model.Row) (inDoubt bool, err error) {
	if l.IsCommitted(row) {
		return false, nil
	}
	s, id := l.State(row), l.WriterID(row)
	if s != record.Prepared && s != record.Deleted || id == "" {
		return true, &model.Error{Class: model.ErrInconsistent, Op: "settle", Subject: l.Physical.Name().String() + " " + row.Key().String(), TxID: id,
			Detail: fmt.Sprintf("the record is in state %d of transaction %q, which nobody writes", s, id)}
	}
	d.Want(id)
	return true, nil
}

// Want notes that the decision of a transaction is needed.
func (d *Decisions) Want(id string) {
	if _, ok := d.wanted[id]; ok {
		return
	}
	d.wanted[id] = &fate{}
	if parent, _, grouped := record.SplitID(id); grouped {
		d.parents[parent] = append(d.parents[parent], id)
	}
}

// Learn reads the Coordinator's rows once and takes from them what is wanted.
// model.ErrInconsistent if a row that is wanted cannot be right; nothing may be
// settled then.
func (d *Decisions) Learn(ctx context.Context, c Coordinators) error {
	rows := c.Copy
	if mutant.On("restore.live-coordinator") && c.Live != nil {
		rows = c.Live
	}
	if len(d.wanted) == 0 {
		return nil
	}
	for row, err := range rows(ctx) {
		if err != nil {
			return err
		}
		if err := d.learn(row); err != nil {
			return err
		}
	}
	for id, f := range d.wanted {
		f.decision = record.Decide(id, f.parent, f.own)
		f.own, f.parent = nil, nil
	}
	return nil
}

func (d *Decisions) learn(row *model.Row) error {
	id := row.Get(record.TxID).Str()
	own, group := d.wanted[id], d.parents[id]
	if own == nil && group == nil {
		return nil
	}
	c, err := record.ParseCoordinator(row)
	if err != nil {
		return err
	}
	c.WriteSet = "" // not needed, and may be large
	if own != nil {
		own.own = c
	}
	for _, full := range group {
		d.wanted[full].parent = c
	}
	return nil
}

// Of returns the decision of a transaction that was wanted; the zero Decision
// for any other.
func (d *Decisions) Of(id string) record.Decision {
	if f := d.wanted[id]; f != nil {
		return f.decision
	}
	return record.Decision{}
}

// All yields each transaction that was wanted, in no order.
func (d *Decisions) All() iter.Seq2[string, record.Decision] {
	return func(yield func(string, record.Decision) bool) {
		for id, f := range maps.All(d.wanted) {
			if !yield(id, f.decision) {
				return
			}
		}
	}
}

// Len is the number of transactions wanted.
func (d *Decisions) Len() int { return len(d.wanted) }

// Settle returns the committed row that remains of a record, nil if none does,
// and what was done. A committed record is returned as it is.
func (d *Decisions) Settle(l *record.Layout, row *model.Row) (*model.Row, Action) {
	if l.IsCommitted(row) {
		return row, Kept
	}
	dec := d.Of(l.WriterID(row))
	if mutant.On("restore.prepared-is-committed") {
		dec = record.Decision{State: record.Committed, At: l.PreparedAt(row)}
	}
	out := l.Settle(row, dec)
	switch {
	case dec.State == record.Committed && out != nil:
		return out, RolledForward
	case dec.State == record.Committed:
		return nil, RemovedForward
	case out != nil:
		return out, RolledBack
	}
	return nil, RemovedBack
}
