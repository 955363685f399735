package multi

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// Admin routes schema operations as data is routed.
func (s *Set) Admin() storage.Admin {
	if len(s.storages) == 1 {
		return s.storages[0].Admin()
	}
	return admin{s}
}

type admin struct{ set *Set }

// homes returns the storages that may hold tables of a namespace: its own
// first, then those of its tables with a route of their own.
func (a admin) homes(namespace string) []storage.Storage {
	homes := []storage.Storage{a.set.RouteNamespace(namespace)}
	for _, st := range a.set.storages {
		if slices.Contains(homes, st) {
			continue
		}
		for table, to := range a.set.byTable {
			if table.Namespace == namespace && to == st {
				homes = append(homes, st)
				break
			}
		}
	}
	return homes
}

func (a admin) of(table model.TableName) storage.Admin { return a.set.Route(table).Admin() }

func (a admin) CheckTable(ctx context.Context, t *model.Table, with ...model.TableName) error {
	home := a.set.Route(t.Name())
	with = slices.DeleteFunc(slices.Clone(with), func(other model.TableName) bool { return a.set.Route(other) != home })
	return home.Admin().CheckTable(ctx, t, with...)
}

func (a admin) Statements(t *model.Table) []string { return a.of(t.Name()).Statements(t) }

func (a admin) CreateTable(ctx context.Context, t *model.Table) error {
	return a.of(t.Name()).CreateTable(ctx, t)
}

func (a admin) DropTable(ctx context.Context, name model.TableName) error {
	return a.of(name).DropTable(ctx, name)
}

func (a admin) TruncateTable(ctx context.Context, name model.TableName) error {
	return a.of(name).TruncateTable(ctx, name)
}

func (a admin) Table(ctx context.Context, name model.TableName) (*model.Table, error) {
	return a.of(name).Table(ctx, name)
}

// CreateNamespace makes the namespace wherever a table of it may live.
func (a admin) CreateNamespace(ctx context.Context, namespace string) error {
	for _, st := range a.homes(namespace) {
		if err := st.Admin().CreateNamespace(ctx, namespace); err != nil {
			return inStorage(st, err)
		}
	}
	return nil
}

// DropNamespace drops the namespace wherever a table of it may live.
func (a admin) DropNamespace(ctx context.Context, namespace string) error {
	for _, st := range a.homes(namespace) {
		if err := st.Admin().DropNamespace(ctx, namespace); err != nil {
			return inStorage(st, err)
		}
	}
	return nil
}

// Namespaces lists all namespaces of the default storage, and of the others
// those that are mapped to them.
func (a admin) Namespaces(ctx context.Context) ([]string, error) {
	seen := map[string]bool{}
	for _, st := range a.set.storages {
		names, err := st.Admin().Namespaces(ctx)
		if err != nil {
			return nil, inStorage(st, err)
		}
		for _, ns := range names {
			if st == a.set.fallback || slices.Contains(a.homes(ns), st) {
				seen[ns] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(seen)), nil
}

// Tables lists the tables of a namespace that are reached by their names: a
// table that lies in a storage to which it is not mapped is not listed.
func (a admin) Tables(ctx context.Context, namespace string) ([]model.TableName, error) {
	var tables []model.TableName
	for _, st := range a.homes(namespace) {
		names, err := st.Admin().Tables(ctx, namespace)
		if err != nil {
			return nil, inStorage(st, err)
		}
		for _, name := range names {
			if a.set.Route(name) == st {
				tables = append(tables, name)
			}
		}
	}
	slices.SortFunc(tables, model.TableName.Compare)
	return tables, nil
}

// inStorage names the storage in an error that does not carry a way out of its
// own, and leaves its class alone.
func inStorage(st storage.Storage, err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("storage %q: %w", st.Name(), err)
}
