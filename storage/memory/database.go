package memory

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/stillpoint-db/stillpoint/model"
)

// Database is the data that handles share. The zero value is not usable.
type Database struct {
	id    int64
	locks lockTable

	mu         sync.RWMutex // guards all below; held for moments only
	namespaces map[string]bool
	tables     map[model.TableName]*table
}

// table is one table. Its rows never change: a write puts a new row in place.
type table struct {
	def  *model.Table
	rows map[string]*model.Row // by Key.Encode
}

var (
	nextID  atomic.Int64
	namedMu sync.Mutex
	named   = map[string]*Database{}
)

// NewDatabase returns an empty database.
func NewDatabase() *Database {
	return &Database{
		id:         nextID.Add(1),
		locks:      lockTable{tables: map[model.TableName]*tableLock{}},
		namespaces: map[string]bool{},
		tables:     map[model.TableName]*table{},
	}
}

// Named returns the database of this process with that name, making it if need be.
func Named(name string) *Database {
	namedMu.Lock()
	defer namedMu.Unlock()
	db := named[name]
	if db == nil {
		db = NewDatabase()
		named[name] = db
	}
	return db
}

// find returns a table; db.mu is held.
func (db *Database) find(name model.TableName) (*table, error) {
	if t := db.tables[name]; t != nil {
		return t, nil
	}
	return nil, model.Errorf(model.ErrNotFound, "there is no table %s", name)
}

// project shows a stored row as one of the caller's definition of the table.
func project(row *model.Row, as *model.Table) (*model.Row, error) {
	if row.Table == as {
		return row.Clone(), nil
	}
	out := &model.Row{Table: as, Values: make([]model.Value, len(as.Columns()))}
	for i, c := range as.Columns() {
		j := row.Table.Position(c.Name)
		if j < 0 || row.Table.Columns()[j].Type != c.Type {
			return nil, mismatch(row.Table, c)
		}
		out.Values[i] = row.Values[j]
	}
	return out, nil
}

// matches checks that the caller's definition of a table fits the stored one:
// same key, and no column that is not stored.
func matches(stored, given *model.Table) error {
	if stored == given {
		return nil
	}
	if stored.PartitionLen() != given.PartitionLen() || stored.ClusteringLen() != given.ClusteringLen() {
		return model.Errorf(model.ErrBadArgument, "table %s has another primary key than the definition given", stored.Name())
	}
	for i, c := range given.Columns() {
		j := stored.Position(c.Name)
		if j < 0 || stored.Columns()[j].Type != c.Type || i < given.KeyLen() && i != j {
			return mismatch(stored, c)
		}
	}
	return nil
}

func mismatch(stored *model.Table, c model.Column) error {
	return model.Errorf(model.ErrBadArgument, "table %s has no column %s of type %s", stored.Name(), c.Name, c.Type)
}

func (db *Database) endpoint() string { return fmt.Sprintf("memory database %d", db.id) }
