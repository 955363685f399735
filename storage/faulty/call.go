package faulty

import (
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// Method is the kind of a call.
type Method uint8

// The methods that can fail on purpose. Those not named here pass through.
const (
	Any Method = iota // in a rule: every one of the others
	Get
	Scan
	Mutate
	Fence
	OpenSnapshot
)

// String names the method.
func (m Method) String() string {
	return [...]string{"any", "get", "scan", "mutate", "fence", "open snapshot"}[m]
}

// Call is one call of a storage, as a rule sees it.
type Call struct {
	Method Method
	Seq    int // the number of the call on this storage, from 1
	Gets   []storage.Get
	Scan   storage.Scan
	Batch  storage.Batch
	Tables []model.TableName // of a fence or a snapshot
}

// Touches tells whether the call reads, writes or locks a table.
func (c Call) Touches(table model.TableName) bool {
	for _, g := range c.Gets {
		if g.Table.Name() == table {
			return true
		}
	}
	for _, m := range c.Batch.Mutations {
		if m.Table.Name() == table {
			return true
		}
	}
	for _, t := range c.Tables {
		if t == table {
			return true
		}
	}
	return c.Method == Scan && c.Scan.Table.Name() == table
}
