// Package multi routes tables to several named storages, so that the rest of
// the program sees one. A configuration with a single storage is a Set of one.
//
// A Set has none of the optional powers (fences, snapshots, loads): those belong
// to one database each, and whoever needs them goes through Storages and Route.
package multi

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// Routing says which storage holds which table: the table's own entry wins,
// then that of its namespace, then Default.
type Routing struct {
	Default    string                     // name of a storage; "" with a single storage means that one
	Namespaces map[string]string          // namespace to storage
	Tables     map[model.TableName]string // table to storage
}

// Set is several storages behind one storage.Storage. It is safe for concurrent
// use and never changes.
type Set struct {
	storages []storage.Storage // in the order given
	fallback storage.Storage
	byName   map[string]storage.Storage
	byNS     map[string]storage.Storage
	byTable  map[model.TableName]storage.Storage
}

var _ storage.Storage = (*Set)(nil)

// New makes a Set: model.ErrBadArgument if there is no storage, two have one
// name, or the routing names one that is not there. The Set owns the storages
// from then on: Close closes them.
func New(storages []storage.Storage, routing Routing) (*Set, error) {
	if len(storages) == 0 {
		return nil, model.Errorf(model.ErrBadArgument, "a set of storages needs at least one")
	}
	s := &Set{
		storages: slices.Clone(storages),
		byName:   make(map[string]storage.Storage, len(storages)),
		byNS:     make(map[string]storage.Storage, len(routing.Namespaces)),
		byTable:  make(map[model.TableName]storage.Storage, len(routing.Tables)),
	}
	for _, st := range storages {
		if _, dup := s.byName[st.Name()]; dup {
			return nil, model.Errorf(model.ErrBadArgument, "two storages are named %q", st.Name())
		}
		s.byName[st.Name()] = st
	}
	find := func(name, what string) (storage.Storage, error) {
		if st, ok := s.byName[name]; ok {
			return st, nil
		}
		return nil, model.Errorf(model.ErrBadArgument, "%s is mapped to storage %q, which is not configured", what, name)
	}
	var err error
	switch {
	case routing.Default != "":
		if s.fallback, err = find(routing.Default, "everything else"); err != nil {
			return nil, err
		}
	case len(storages) == 1:
		s.fallback = storages[0]
	default:
		return nil, model.Errorf(model.ErrBadArgument, "several storages need a default one")
	}
	for ns, name := range routing.Namespaces {
		if s.byNS[ns], err = find(name, "namespace "+ns); err != nil {
			return nil, err
		}
	}
	for table, name := range routing.Tables {
		if s.byTable[table], err = find(name, "table "+table.String()); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Single makes a Set of one storage, which holds every table.
func Single(st storage.Storage) *Set {
	return &Set{storages: []storage.Storage{st}, fallback: st, byName: map[string]storage.Storage{st.Name(): st}}
}

// Storages returns the storages in the order of the configuration. The caller
// must not change the slice.
func (s *Set) Storages() []storage.Storage { return s.storages }

// Storage finds a storage by its name: model.ErrNotFound, with a suggestion, if
// there is none.
func (s *Set) Storage(name string) (storage.Storage, error) {
	if st, ok := s.byName[name]; ok {
		return st, nil
	}
	msg := ""
	if near := model.Nearest(name, func(yield func(string) bool) {
		for _, st := range s.storages {
			if !yield(st.Name()) {
				return
			}
		}
	}); near != "" {
		msg = fmt.Sprintf("; did you mean %q?", near)
	}
	return nil, model.Errorf(model.ErrNotFound, "there is no storage %q%s", name, msg)
}

// Route returns the storage that holds a table, whether or not the table exists.
func (s *Set) Route(table model.TableName) storage.Storage {
	if st, ok := s.byTable[table]; ok {
		return st
	}
	return s.RouteNamespace(table.Namespace)
}

// RouteNamespace returns the storage that holds the tables of a namespace which
// have no route of their own.
func (s *Set) RouteNamespace(namespace string) storage.Storage {
	if st, ok := s.byNS[namespace]; ok {
		return st
	}
	return s.fallback
}

// Name is the name of the only storage, or "multi".
func (s *Set) Name() string {
	if len(s.storages) == 1 {
		return s.storages[0].Name()
	}
	return "multi"
}

// Close closes all storages at once and reports every failure.
func (s *Set) Close() error {
	errs := make([]error, len(s.storages))
	var wg sync.WaitGroup
	for i, st := range s.storages {
		wg.Go(func() {
			if err := st.Close(); err != nil {
				errs[i] = fmt.Errorf("close storage %q: %w", st.Name(), err)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
