// Package schema reads ScalarDB's schema files and makes databases follow them.
//
// In the common case:
//
//	s, err := schema.Load("schema.json")
//	plan, err := schema.PlanCreate(ctx, set, s, schema.Options{Coordinator: true})
//	err = plan.Apply(ctx, nil)
//
// A plan is made without changing anything, and fails if any table of the schema
// would be refused; running it a second time changes nothing. A Schema may as
// well be built in code.
package schema

import (
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

// Schema is a list of tables.
type Schema struct {
	Tables []Table // in the order of the file
	// Notices are what should be said about a file that could be read.
	Notices []string
}

// Table is one table of a schema, as its users see it.
type Table struct {
	Definition *model.Table
	// NoTransactions makes a plain table, without the columns of transactions.
	NoTransactions bool
	// Options are the file's other settings of the table, as text. They
	// concern databases that this program does not speak.
	Options map[string]string
}

// Options say what belongs to a plan beside the tables of the schema.
type Options struct {
	// Coordinator includes the Coordinator's table.
	Coordinator bool
	// CoordinatorNamespace is its namespace; "" = the default one.
	CoordinatorNamespace string
	// EventualIndexReads makes tables whose before-images are not indexed, for
	// managers that are configured so.
	EventualIndexReads bool
}

// stored returns the table as it lies in the database.
func (t Table) stored(opts Options) (*model.Table, error) {
	if t.NoTransactions {
		return t.Definition, nil
	}
	physical, err := record.Physical(t.Definition)
	if err != nil || !opts.EventualIndexReads {
		return physical, err
	}
	spec := physical.Spec()
	spec.Indexes = t.Definition.Spec().Indexes
	return model.NewTable(spec)
}
