package memory

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/stillpoint-db/stillpoint/model"
)

// admin implements storage.Admin. Schema changes do not wait for a fence.
type admin struct{ s *Storage }

// CheckTable implements storage.Admin. Any definition will do whose name can be
// written as namespace.table.
func (a admin) CheckTable(_ context.Context, t *model.Table, _ ...model.TableName) error {
	_, err := model.ParseTableName(t.Name().String())
	return err
}

// Statements implements storage.Admin.
func (a admin) Statements(t *model.Table) []string {
	cols := make([]string, len(t.Columns()))
	for i, c := range t.Columns() {
		cols[i] = c.Name + " " + c.Type.String()
	}
	return []string{fmt.Sprintf("CREATE TABLE %s (%s)", t.Name(), strings.Join(cols, ", "))}
}

// change runs f with the database locked.
func (a admin) change(ctx context.Context, f func(db *Database) error) error {
	leave, err := a.s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	a.s.db.mu.Lock()
	defer a.s.db.mu.Unlock()
	return f(a.s.db)
}

// CreateNamespace implements storage.Admin.
func (a admin) CreateNamespace(ctx context.Context, namespace string) error {
	if namespace == "" || strings.Contains(namespace, ".") {
		return model.Errorf(model.ErrBadArgument, "%q is not the name of a namespace", namespace)
	}
	return a.change(ctx, func(db *Database) error {
		db.namespaces[namespace] = true
		return nil
	})
}

// DropNamespace implements storage.Admin.
func (a admin) DropNamespace(ctx context.Context, namespace string) error {
	return a.change(ctx, func(db *Database) error {
		for name := range db.tables {
			if name.Namespace == namespace {
				return model.Errorf(model.ErrRefused, "namespace %s still holds table %s", namespace, name.Name)
			}
		}
		delete(db.namespaces, namespace)
		return nil
	})
}

// CreateTable implements storage.Admin.
func (a admin) CreateTable(ctx context.Context, t *model.Table) error {
	if err := a.CheckTable(ctx, t); err != nil {
		return err
	}
	return a.change(ctx, func(db *Database) error {
		switch name := t.Name(); {
		case !db.namespaces[name.Namespace]:
			return model.Errorf(model.ErrNotFound, "there is no namespace %s", name.Namespace)
		case db.tables[name] != nil:
			return model.Errorf(model.ErrExists, "table %s is there already", name)
		default:
			db.tables[name] = &table{def: t, rows: map[string]*model.Row{}}
			return nil
		}
	})
}

// DropTable implements storage.Admin.
func (a admin) DropTable(ctx context.Context, name model.TableName) error {
	return a.change(ctx, func(db *Database) error {
		_, err := db.find(name)
		delete(db.tables, name)
		return err
	})
}

// TruncateTable implements storage.Admin.
func (a admin) TruncateTable(ctx context.Context, name model.TableName) error {
	return a.change(ctx, func(db *Database) error {
		t, err := db.find(name)
		if err == nil {
			t.rows = map[string]*model.Row{}
		}
		return err
	})
}

// Table implements storage.Admin.
func (a admin) Table(ctx context.Context, name model.TableName) (def *model.Table, err error) {
	err = a.change(ctx, func(db *Database) error {
		t, err := db.find(name)
		if err == nil {
			def = t.def
		}
		return err
	})
	return def, err
}

// Namespaces implements storage.Admin.
func (a admin) Namespaces(ctx context.Context) (names []string, err error) {
	err = a.change(ctx, func(db *Database) error {
		for name := range db.tables {
			if !slices.Contains(names, name.Namespace) {
				names = append(names, name.Namespace)
			}
		}
		return nil
	})
	slices.Sort(names)
	return names, err
}

// Tables implements storage.Admin.
func (a admin) Tables(ctx context.Context, namespace string) (names []model.TableName, err error) {
	err = a.change(ctx, func(db *Database) error {
		for name := range db.tables {
			if name.Namespace == namespace {
				names = append(names, name)
			}
		}
		return nil
	})
	slices.SortFunc(names, model.TableName.Compare)
	return names, err
}
