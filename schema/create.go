package schema

import (
	"context"
	"errors"
	"fmt"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage/multi"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

// PlanCreate plans to create what is missing of a schema. It changes nothing and
// fails before the first change if any table would be refused: class
// model.ErrBadArgument for what the database cannot hold (names too long, types
// that it lacks), model.ErrRefused for a table that is there with another
// definition. All such tables are reported at once.
func PlanCreate(ctx context.Context, set *multi.Set, s *Schema, opts Options) (*Plan, error) {
	targets, err := s.targets(opts)
	if err != nil {
		return nil, err
	}
	coordinator := record.CoordinatorName(opts.CoordinatorNamespace)
	if opts.Coordinator {
		targets = append(targets, target{name: coordinator, stored: record.CoordinatorTable(opts.CoordinatorNamespace), coordinator: true})
	}
	plan := &Plan{Notices: s.Notices}
	admin := set.Admin()
	var tables []Step
	var missing []target
	var names []model.TableName // of missing
	var errs []error
	for _, t := range targets {
		step := Step{ID: t.name.String(), Storage: route(set, t.name)}
		have, err := lookup(ctx, admin, t.name)
		switch {
		case err != nil:
			errs = append(errs, err)
			continue
		case have != nil:
			if err := t.sameAs(have); err != nil {
				errs = append(errs, &model.Error{Class: model.ErrRefused, Op: "create", Subject: t.name.String(), Err: err,
					Detail: fmt.Sprintf("it is in storage %q with another definition", step.Storage),
					Hint:   "Nothing was changed. Make the schema say what is there, or move the table out of the way"})
			}
			step.Action = TableExists
		case !t.coordinator && !t.table.NoTransactions && t.name.Namespace == coordinator.Namespace:
			errs = append(errs, model.Errorf(model.ErrBadArgument, "table %s cannot be transactional: namespace %q belongs to the Coordinator, and no transaction may touch it", t.name, t.name.Namespace))
			continue
		default:
			if err := admin.CheckTable(ctx, t.stored, names...); err != nil {
				errs = append(errs, err)
				continue
			}
			missing, names = append(missing, t), append(names, t.name)
			step.Action, step.Statements = CreateTable, admin.Statements(t.stored)
			step.run = func(ctx context.Context) error { return create(ctx, set, t) }
		}
		tables = append(tables, step)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	for _, ns := range namespaces(missing) {
		plan.Steps = append(plan.Steps, Step{ID: ns, Action: CreateNamespace, Storage: set.RouteNamespace(ns).Name(),
			run: func(ctx context.Context) error { return admin.CreateNamespace(ctx, ns) }})
	}
	plan.Steps = append(plan.Steps, tables...)
	return plan, plan.noteCoordinator(ctx, set, s, opts, coordinator)
}

// noteCoordinator says so if transactions could not run on the tables for want
// of the Coordinator's.
func (p *Plan) noteCoordinator(ctx context.Context, set *multi.Set, s *Schema, opts Options, name model.TableName) error {
	if opts.Coordinator {
		return nil
	}
	for _, t := range s.Tables {
		if t.NoTransactions {
			continue
		}
		have, err := lookup(ctx, set.Admin(), name)
		if err == nil && have == nil {
			p.Notices = append(p.Notices, fmt.Sprintf("transactions need the Coordinator's table %s, which is not there: create it with --coordinator", name))
		}
		return err
	}
	return nil
}

// create creates a table; that somebody else has just made the same one is as
// good.
func create(ctx context.Context, set *multi.Set, t target) error {
	err := set.Admin().CreateTable(ctx, t.stored)
	if !errors.Is(err, model.ErrExists) {
		return err
	}
	have, lerr := lookup(ctx, set.Admin(), t.name)
	if lerr == nil && have != nil && t.sameAs(have) == nil {
		return nil
	}
	return err
}

// sameAs says what differs between the table of the schema and the one that is
// there. What users do not see may differ: tables of older versions lack the
// index of before-images.
func (t target) sameAs(have *model.Table) error {
	if t.coordinator {
		return record.CheckCoordinatorTable(have)
	}
	switch transactional := record.IsTransactional(have); {
	case transactional && t.table.NoTransactions:
		return errors.New("there it is a transactional table")
	case !transactional && !t.table.NoTransactions:
		return errors.New("there it is not a transactional table")
	case transactional:
		layout, err := record.NewLayout(have)
		if err != nil {
			return err
		}
		have = layout.User
	}
	return difference(t.table.Definition, have)
}

// difference names the first difference between the tables that are wanted and
// there; nil if there is none.
func difference(want, have *model.Table) error {
	if want.Equal(have) {
		return nil
	}
	w, h := want.Spec(), have.Spec()
	if a, b := fmt.Sprint(w.PartitionKey), fmt.Sprint(h.PartitionKey); a != b {
		return fmt.Errorf("the partition key is %s there and %s in the schema", b, a)
	}
	if a, b := fmt.Sprint(w.ClusteringKey), fmt.Sprint(h.ClusteringKey); a != b {
		return fmt.Errorf("the clustering key is %s there and %s in the schema", b, a)
	}
	for _, c := range w.Columns {
		i := have.Position(c.Name)
		switch {
		case i < 0:
			return fmt.Errorf("column %q is not there", c.Name)
		case have.Columns()[i].Type != c.Type:
			return fmt.Errorf("column %q is %s there and %s in the schema", c.Name, have.Columns()[i].Type, c.Type)
		case have.Indexed(i) != want.Indexed(want.Position(c.Name)):
			return fmt.Errorf("the index on column %q is in only one of the two", c.Name)
		}
	}
	for _, c := range h.Columns {
		if want.Position(c.Name) < 0 {
			return fmt.Errorf("column %q is there and not in the schema", c.Name)
		}
	}
	return errors.New("the definitions differ")
}
