package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/stillpoint-db/stillpoint/config"
	"github.com/stillpoint-db/stillpoint/internal/marker"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/schema"
	"github.com/stillpoint-db/stillpoint/storage/multi"
)

func schemaCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "schema",
		Short: "Create, delete and show tables",
		Long: `Create, delete and show tables, by the schema files of ScalarDB: one JSON object
whose keys are namespace.table.

  {
    "bank.accounts": {
      "transaction": true,
      "partition-key": ["id"],
      "clustering-key": ["day DESC"],
      "columns": {"id": "BIGINT", "day": "DATE", "balance": "BIGINT"},
      "secondary-index": ["balance"]
    }
  }`,
	}
	c.AddCommand(schemaCreateCommand(a), schemaDeleteCommand(a), schemaShowCommand(a))
	return c
}

// schemaOptions are the flags of create and delete.
type schemaOptions struct {
	file        string
	coordinator bool
	dryRun      bool
	yes         bool
}

// flags defines them. The file has three spellings, as in other tools.
func (o *schemaOptions) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVarP(&o.file, "schema", "f", "", "the schema `FILE`; also --schema-file")
	f.StringVar(&o.file, "schema-file", "", "the schema FILE")
	_ = f.MarkHidden("schema-file")
	f.BoolVar(&o.coordinator, "coordinator", false, "the Coordinator's table too")
	f.BoolVar(&o.dryRun, "dry-run", false, "show what would be done, and do nothing")
}

// load reads the schema file; with --coordinator there need be none.
func (o *schemaOptions) load() (*schema.Schema, error) {
	if o.file == "" {
		if o.coordinator {
			return &schema.Schema{}, nil
		}
		return nil, usagef("--schema FILE is missing; without one, --coordinator is for the Coordinator's table alone")
	}
	s, err := schema.Load(o.file)
	return s, misnamed(err)
}

func (o *schemaOptions) options(cfg *config.Config) schema.Options {
	return schema.Options{Coordinator: o.coordinator, CoordinatorNamespace: cfg.Transaction.CoordinatorNamespace,
		EventualIndexReads: cfg.Transaction.EventualIndexReads}
}

// schemaResult is the result of create and delete.
type schemaResult struct {
	Changed int           `json:"changed"` // steps that changed something, or would
	DryRun  bool          `json:"dry_run,omitempty"`
	Steps   []schema.Step `json:"steps"`
	Notices []string      `json:"notices,omitempty"`
}

func (a *app) emitPlan(plan *schema.Plan, dryRun bool) {
	r := schemaResult{Changed: plan.Changes(), DryRun: dryRun, Steps: plan.Steps, Notices: plan.Notices}
	if r.Steps == nil {
		r.Steps = []schema.Step{}
	}
	a.emit(r, func(w io.Writer) {
		for _, s := range plan.Steps {
			fmt.Fprintln(w, stepText(s, dryRun))
			if dryRun {
				for _, stmt := range s.Statements {
					fmt.Fprintln(w, "    "+strings.ReplaceAll(stmt, "\n", "\n    ")+";")
				}
			}
		}
		switch {
		case plan.Changes() == 0:
			fmt.Fprintln(w, "nothing to do")
		case dryRun:
			fmt.Fprintln(w, "dry run: nothing was changed")
		}
	})
}

// stepText tells what a step has done or would do.
func stepText(s schema.Step, would bool) string {
	in := fmt.Sprintf(" in storage %q", s.Storage)
	note := ""
	if s.Note != "" {
		note = ": " + s.Note
	}
	done := func(past, future string) string {
		if would {
			return "would " + future
		}
		return past
	}
	switch s.Action {
	case schema.CreateNamespace:
		return done("created", "create") + " namespace " + s.ID + in
	case schema.CreateTable:
		return done("created", "create") + " table " + s.ID + in
	case schema.DropTable:
		return done("dropped", "drop") + " table " + s.ID + in
	case schema.DropNamespace:
		return done("dropped", "drop") + " namespace " + s.ID + in
	case schema.TableExists:
		return "table " + s.ID + " is there already" + in
	case schema.TableMissing:
		return "table " + s.ID + " is not there" + in
	}
	return done("kept", "keep") + " namespace " + s.ID + in + note
}

// runPlan shows the plan, or applies it and shows what was done.
func (a *app) runPlan(ctx context.Context, plan *schema.Plan, o *schemaOptions) error {
	for _, n := range plan.Notices {
		a.logger.Warn(n)
	}
	if !o.dryRun {
		var done []schema.Step
		if err := plan.Apply(ctx, func(s schema.Step) { done = append(done, s) }); err != nil {
			a.emitPlan(&schema.Plan{Steps: done, Notices: plan.Notices}, false)
			return err
		}
	}
	a.emitPlan(plan, o.dryRun)
	return nil
}

func schemaCreateCommand(a *app) *cobra.Command {
	var o schemaOptions
	c := &cobra.Command{
		Use:   "create",
		Short: "Create the namespaces and tables of a schema that are missing",
		Long: `Create the namespaces and tables of a schema that are missing. Names and types of
all tables are checked before the first is created. A table that is there already
is left alone, and the command fails if it is not as the schema says; so a second
run changes nothing.

` + exitHelp(0, 1, 5, 64),
		Example: `  stillpoint schema create --config prod.properties --schema schema.json --coordinator
  stillpoint schema create --config prod.properties --schema schema.json --dry-run`,
		Args: noArgs,
		RunE: a.do(func(ctx context.Context, _ []string) error {
			s, err := o.load()
			if err != nil {
				return err
			}
			return a.founding(ctx, o.dryRun, func(cfg *config.Config, set *multi.Set) error {
				if err := marker.Refuse(ctx, "create tables in storage", set.Storages()); err != nil {
					return err
				}
				plan, err := schema.PlanCreate(ctx, set, s, o.options(cfg))
				if err != nil {
					return err
				}
				return a.runPlan(ctx, plan, &o)
			})
		}),
	}
	o.flags(c)
	return c
}

func schemaDeleteCommand(a *app) *cobra.Command {
	var o schemaOptions
	c := &cobra.Command{
		Use:   "delete",
		Short: "Drop the tables of a schema, and all that is in them",
		Long: `Drop the tables of a schema with all that is in them, and the namespaces that are
empty then. What the schema does not list is never dropped. Without --yes, the
command shows what it would do and is refused.

` + exitHelp(0, 1, 5, 64),
		Example: `  stillpoint schema delete --config test.properties --schema schema.json --dry-run
  stillpoint schema delete --config test.properties --schema schema.json --coordinator --yes`,
		Args: noArgs,
		RunE: a.do(func(ctx context.Context, _ []string) error {
			s, err := o.load()
			if err != nil {
				return err
			}
			return a.connected(ctx, func(cfg *config.Config, set *multi.Set) error {
				plan, err := schema.PlanDelete(ctx, set, s, o.options(cfg))
				if err != nil {
					return err
				}
				if plan.Changes() > 0 && !o.dryRun && !o.yes {
					a.emitPlan(plan, true)
					return &model.Error{Class: model.ErrRefused, Op: "delete tables",
						Detail: "it destroys data", Hint: "--yes does it"}
				}
				return a.runPlan(ctx, plan, &o)
			})
		}),
	}
	o.flags(c)
	c.Flags().BoolVar(&o.yes, "yes", false, "do it")
	return c
}

// shownTable is a table in the result of show.
type shownTable struct {
	ID         string       `json:"id"`
	Storage    string       `json:"storage"`
	Definition schema.Table `json:"definition"` // as in a schema file
}

func schemaShowCommand(a *app) *cobra.Command {
	var long bool
	c := &cobra.Command{
		Use:   "show [NAMESPACE | NAMESPACE.TABLE]...",
		Short: "Show the tables that are there, as a schema file",
		Long: `Show the tables that are there, as a schema file from which schema create makes
the same tables: all, or those that are named. With --list, one line a table.

` + exitHelp(0, 1, 64),
		Example: `  stillpoint schema show --config prod.properties > schema.json
  stillpoint schema show --config prod.properties --list bank`,
		RunE: a.do(func(ctx context.Context, args []string) error {
			return a.connected(ctx, func(cfg *config.Config, set *multi.Set) error {
				return a.show(ctx, cfg, set, args, long)
			})
		}),
	}
	c.Flags().BoolVar(&long, "list", false, "one line a table")
	return c
}

func (a *app) show(ctx context.Context, cfg *config.Config, set *multi.Set, args []string, list bool) error {
	found := map[string]bool{}
	s, err := schema.Read(ctx, set, cfg.Transaction.CoordinatorNamespace, func(name model.TableName) bool {
		found[name.Namespace], found[name.String()] = true, true
		return len(args) == 0 || slices.Contains(args, name.Namespace) || slices.Contains(args, name.String())
	})
	if err != nil {
		return err
	}
	for _, arg := range args {
		if !found[arg] {
			var names []string
			for name := range found {
				names = append(names, name)
			}
			slices.Sort(names)
			return model.Errorf(model.ErrNotFound, "there is no table or namespace %s%s", arg, didYouMean(arg, names))
		}
	}
	file, err := s.Format()
	if err != nil {
		return err
	}
	tables := make([]shownTable, 0, len(s.Tables))
	for _, t := range s.Tables {
		name := t.Definition.Name()
		tables = append(tables, shownTable{ID: name.String(), Storage: set.Route(name).Name(), Definition: t})
	}
	a.emit(map[string]any{"tables": tables}, func(w io.Writer) {
		if !list {
			_, _ = w.Write(file)
			return
		}
		tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(tw, "table\tstorage\ttransactional\tkey\tcolumns")
		for _, t := range s.Tables {
			fmt.Fprintln(tw, strings.Join(tableLine(t, set), "\t"))
		}
		_ = tw.Flush()
	})
	return nil
}

func tableLine(t schema.Table, set *multi.Set) []string {
	transactional := "yes"
	if t.NoTransactions {
		transactional = "no"
	}
	spec := t.Definition.Spec()
	key := strings.Join(spec.PartitionKey, ", ")
	for _, c := range spec.ClusteringKey {
		key += ", " + c.Name
		if c.Order == model.Desc {
			key += " DESC"
		}
	}
	return []string{spec.Name.String(), set.Route(spec.Name).Name(), transactional, key, fmt.Sprint(len(spec.Columns))}
}
