package schema

import (
	"context"
	"errors"
	"fmt"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/multi"
)

// Action is what a step does.
type Action string

// The actions. The last three change nothing, and say why.
const (
	CreateNamespace Action = "create-namespace"
	CreateTable     Action = "create-table"
	DropTable       Action = "drop-table"
	DropNamespace   Action = "drop-namespace"

	TableExists   Action = "table-exists"
	TableMissing  Action = "table-missing"
	KeepNamespace Action = "keep-namespace"
)

// Step is one step of a plan.
type Step struct {
	ID         string   `json:"id"` // the table, as namespace.table, or the namespace
	Action     Action   `json:"action"`
	Storage    string   `json:"storage"`
	Statements []string `json:"statements,omitempty"` // what the database is told, for people
	Note       string   `json:"note,omitempty"`

	run func(context.Context) error // nil where nothing is to be done
}

// Changes tells whether the step changes the database.
func (s Step) Changes() bool { return s.run != nil }

// Plan is a list of steps, made before anything is changed.
type Plan struct {
	Steps   []Step
	Notices []string
}

// Changes counts the steps that change something.
func (p *Plan) Changes() int {
	n := 0
	for _, s := range p.Steps {
		if s.Changes() {
			n++
		}
	}
	return n
}

// Apply runs the steps in order and calls done, if it is not nil, after each. If
// one fails, those before it stay done, and a new plan goes on from there.
func (p *Plan) Apply(ctx context.Context, done func(Step)) error {
	for _, s := range p.Steps {
		if s.run != nil {
			if err := s.run(ctx); err != nil {
				return fmt.Errorf("%s %s in storage %q: %w", s.Action, s.ID, s.Storage, err)
			}
		}
		if done != nil {
			done(s)
		}
	}
	return nil
}

// target is one table of a plan.
type target struct {
	name        model.TableName
	stored      *model.Table
	table       Table // zero for the Coordinator's
	coordinator bool
}

// lookup reads a table's definition; nil if it is not there.
func lookup(ctx context.Context, admin storage.Admin, name model.TableName) (*model.Table, error) {
	t, err := admin.Table(ctx, name)
	if errors.Is(err, model.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the definition of %s: %w", name, err)
	}
	return t, nil
}

// check makes sure that each table of a schema is there once.
func (s *Schema) check() error {
	seen := map[model.TableName]bool{}
	for _, t := range s.Tables {
		if t.Definition == nil {
			return model.Errorf(model.ErrBadArgument, "the schema has a table without a definition")
		}
		if seen[t.Definition.Name()] {
			return model.Errorf(model.ErrBadArgument, "the schema has table %s twice", t.Definition.Name())
		}
		seen[t.Definition.Name()] = true
	}
	return nil
}

func (s *Schema) targets(opts Options) ([]target, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	var targets []target
	var errs []error
	for _, t := range s.Tables {
		stored, err := t.stored(opts)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		targets = append(targets, target{name: stored.Name(), stored: stored, table: t})
	}
	return targets, errors.Join(errs...)
}

// namespaces returns the namespaces of tables, in the order of the tables.
func namespaces(targets []target) []string {
	var names []string
	seen := map[string]bool{}
	for _, t := range targets {
		if ns := t.name.Namespace; !seen[ns] {
			seen[ns] = true
			names = append(names, ns)
		}
	}
	return names
}

func route(set *multi.Set, name model.TableName) string { return set.Route(name).Name() }
