package schema

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage/multi"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

// PlanDelete plans to drop the tables of a schema with all that is in them, and
// the namespaces that are empty then. Nothing that the schema does not list is
// dropped: a namespace that holds another table, transactional or not, stays.
// With Options.Coordinator the Coordinator's table goes too, unless transactional
// tables remain, which would lose the outcomes of their transactions:
// model.ErrRefused.
func PlanDelete(ctx context.Context, set *multi.Set, s *Schema, opts Options) (*Plan, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	var targets []target
	for _, t := range s.Tables {
		targets = append(targets, target{name: t.Definition.Name(), table: t})
	}
	if opts.Coordinator {
		name := record.CoordinatorName(opts.CoordinatorNamespace)
		if err := refuseOrphans(ctx, set, targets, name); err != nil {
			return nil, err
		}
		targets = append(targets, target{name: name, coordinator: true})
	}
	plan := &Plan{Notices: s.Notices}
	admin := set.Admin()
	for _, t := range targets {
		step := Step{ID: t.name.String(), Storage: route(set, t.name)}
		have, err := lookup(ctx, admin, t.name)
		switch {
		case err != nil:
			return nil, err
		case have == nil:
			step.Action = TableMissing
		default:
			step.Action = DropTable
			step.run = func(ctx context.Context) error {
				if err := admin.DropTable(ctx, t.name); !errors.Is(err, model.ErrNotFound) {
					return err
				}
				return nil
			}
		}
		plan.Steps = append(plan.Steps, step)
	}
	if err := plan.dropNamespaces(ctx, set, targets); err != nil {
		return nil, err
	}
	return plan, nil
}

// dropNamespaces adds the steps of the namespaces that lose a table.
func (p *Plan) dropNamespaces(ctx context.Context, set *multi.Set, targets []target) error {
	var dropped []target
	for i, t := range targets {
		if p.Steps[i].Changes() {
			dropped = append(dropped, t)
		}
	}
	for _, ns := range namespaces(dropped) {
		step := Step{ID: ns, Action: DropNamespace, Storage: set.RouteNamespace(ns).Name()}
		others, err := remaining(ctx, set, ns, dropped)
		if err != nil {
			return err
		}
		if len(others) > 0 {
			step.Action, step.Note = KeepNamespace, fmt.Sprintf("it holds %s, which the schema does not list", some(others))
		} else {
			step.run = func(ctx context.Context) error {
				// A table may have been made since the plan.
				if others, err := remaining(ctx, set, ns, nil); err != nil || len(others) > 0 {
					return err
				}
				return set.Admin().DropNamespace(ctx, ns)
			}
		}
		p.Steps = append(p.Steps, step)
	}
	return nil
}

// remaining lists the tables of a namespace but for those that go.
func remaining(ctx context.Context, set *multi.Set, namespace string, gone []target) ([]model.TableName, error) {
	tables, err := set.Admin().Tables(ctx, namespace)
	if err != nil {
		return nil, fmt.Errorf("list the tables of %s: %w", namespace, err)
	}
	return slices.DeleteFunc(tables, func(name model.TableName) bool {
		return slices.ContainsFunc(gone, func(t target) bool { return t.name == name })
	}), nil
}

// refuseOrphans fails if transactional tables would remain without their
// Coordinator.
func refuseOrphans(ctx context.Context, set *multi.Set, targets []target, coordinator model.TableName) error {
	names, err := set.Admin().Namespaces(ctx)
	if err != nil {
		return fmt.Errorf("list the namespaces: %w", err)
	}
	var orphans []model.TableName
	for _, ns := range names {
		others, err := remaining(ctx, set, ns, targets)
		if err != nil {
			return err
		}
		for _, name := range others {
			t, err := lookup(ctx, set.Admin(), name)
			if err != nil {
				return err
			}
			if t != nil && name != coordinator && record.IsTransactional(t) {
				orphans = append(orphans, name)
			}
		}
	}
	if len(orphans) == 0 {
		return nil
	}
	return &model.Error{Class: model.ErrRefused, Op: "delete", Subject: coordinator.String(),
		Detail: fmt.Sprintf("%s would remain, and the outcomes of their transactions are in the Coordinator's table", some(orphans)),
		Hint:   "Nothing was changed. List those tables too, or leave out --coordinator"}
}

// some names a few tables, and counts the rest.
func some(names []model.TableName) string {
	const few = 3
	text := ""
	for i, name := range names {
		if i == few {
			return fmt.Sprintf("%s and %d more", text, len(names)-few)
		}
		if i > 0 {
			text += ", "
		}
		text += name.String()
	}
	return text
}
