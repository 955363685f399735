package check

import (
	"encoding/binary"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

// factKind tells what names a transaction. Facts of one transaction are sorted
// by kind, so the order of the constants is the order in which the comparison
// sees them: the decision first, undecided records before committed ones.
type factKind byte

const (
	factOwn       factKind = iota // a row of the Coordinator's table under the id
	factListed                    // a group's row that lists the id as its member
	factUndecided                 // a record in state PREPARED or DELETED
	factCommitted                 // a committed record
	factBefore                    // the before-image of an undecided record
)

// fact is one thing that names a transaction.
type fact struct {
	kind factKind

	// factOwn, factListed
	state       record.State
	at          int64 // tx_created_at
	hasWriteSet bool

	// the others
	table       int
	key         model.Key
	preparedAt  int64
	committedAt int64
	rest        []byte // factUndecided: what the queries need of the record
}

func (f *fact) append(b []byte) []byte {
	b = append(b, byte(f.kind))
	if f.kind <= factListed {
		b = append(b, byte(f.state), 0)
		if f.hasWriteSet {
			b[len(b)-1] = 1
		}
		return binary.AppendVarint(b, f.at)
	}
	b = binary.AppendUvarint(b, uint64(f.table))
	b = appendKey(b, f.key)
	b = binary.AppendVarint(b, f.preparedAt)
	b = binary.AppendVarint(b, f.committedAt)
	if f.kind == factUndecided {
		b = append(append(b, byte(f.state)), f.rest...)
	}
	return b
}

// decodeFact reads a fact; rest shares memory with b.
func decodeFact(b []byte, tables []*target) (fact, error) {
	d := decoder{b: b}
	f := fact{kind: factKind(d.byte())}
	if f.kind <= factListed {
		f.state, f.hasWriteSet = record.State(d.byte()), d.byte() == 1
		f.at = d.varint()
		return f, d.err()
	}
	f.table = int(d.uvarint())
	if d.bad || f.table >= len(tables) {
		return f, errFact
	}
	f.key = d.key(tables[f.table].Table.Table)
	f.preparedAt, f.committedAt = d.varint(), d.varint()
	if f.kind == factUndecided {
		f.state = record.State(d.byte())
		f.rest = d.b
	}
	return f, d.err()
}
