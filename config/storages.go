package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/multi"
)

const (
	storagePrefix    = multiKey + "storages."
	ownStoragePrefix = stillpoint + "storages."
)

// storages builds the list of storages and the routing.
func (l *loader) storages() {
	kind := l.given[scalar+"storage"]
	switch {
	case kind.value == "":
		l.errs = append(l.errs, &model.Error{Class: model.ErrBadArgument, Op: l.name, Detail: scalar + "storage is not set",
			Hint: "Set it to jdbc with a JDBC URL in scalar.db.contact_points, or to multi-storage"})
	case kind.value == "multi-storage":
		l.several()
	default:
		l.one(SingleStorage, "", kind)
	}
}

// one adds a storage. prefix is "" for the only one, else its name and a dot;
// its keys fall back to those without it.
func (l *loader) one(name, prefix string, kind entry) {
	get := func(key string) entry {
		if e, ok := l.given[storagePrefix+prefix+key]; ok && prefix != "" {
			return e
		}
		return l.given[scalar+key]
	}
	cfg := storage.Config{
		Name: name, User: get("username").value, Password: storage.Secret(get("password").value),
		Properties: map[string]string{},
	}
	points := get("contact_points")
	urls := list(points.value)
	if len(urls) > 0 {
		cfg.URL = urls[0]
	}
	switch kind.value {
	case "jdbc":
		if len(urls) == 0 {
			l.fail(kind, "storage %q has no JDBC URL: set %s", name, keyOf(prefix, "contact_points"))
			return
		}
		if len(urls) > 1 {
			l.fail(points, `%s holds %d values and one is used; a comma that belongs to the URL is written \\, in the file`, points.key, len(urls))
			return
		}
		var err error
		if cfg.Driver, err = DriverOf(cfg.URL); err != nil {
			l.fail(points, "%s: %v", points.key, err)
			return
		}
	case "memory":
		cfg.Driver = "memory"
		if cfg.URL == "" {
			cfg.URL = name
		}
	default:
		l.fail(kind, "%s: %s", kind.key, refusedStorage(kind.value))
		return
	}
	l.properties(&cfg, prefix)
	l.cfg.Storages = append(l.cfg.Storages, cfg)
}

// properties gives the storage what its driver may want to read: all that holds
// for every storage, and on top of it its own.
func (l *loader) properties(cfg *storage.Config, prefix string) {
	add := func(key, value string) {
		if k, known := l.keys[key]; value != "" && !(known && k.connection) {
			cfg.Properties[key] = value
		}
	}
	for key, e := range l.given {
		if !strings.HasPrefix(key, multiKey) && !strings.HasPrefix(key, ownStoragePrefix) && !strings.HasPrefix(key, cc) {
			add(key, e.value)
		}
	}
	if prefix == "" {
		return
	}
	for key, e := range l.given {
		if rest, ok := strings.CutPrefix(key, storagePrefix+prefix); ok {
			add(scalar+rest, e.value)
		}
		if rest, ok := strings.CutPrefix(key, ownStoragePrefix+prefix); ok {
			add(stillpoint+rest, e.value)
		}
	}
}

func keyOf(prefix, key string) string {
	if prefix == "" {
		return scalar + key
	}
	return storagePrefix + prefix + key
}

// several adds the storages of a multi-storage, and its routing.
func (l *loader) several() {
	names := l.given[multiKey+"storages"]
	for _, name := range list(names.value) {
		if slices.Contains(l.names, name) {
			l.fail(names, "%s names %q twice", names.key, name)
			continue
		}
		l.names = append(l.names, name)
	}
	if len(l.names) == 0 {
		l.errs = append(l.errs, model.Errorf(model.ErrBadArgument, "%s: scalar.db.storage is multi-storage and %sstorages names none", l.name, multiKey))
		return
	}
	for _, name := range l.names {
		key := storagePrefix + name + ".storage"
		kind, ok := l.given[key]
		if !ok || kind.value == "" || kind.value == "multi-storage" {
			l.fail(names, "storage %q has no kind: set %s=jdbc", name, key)
			continue
		}
		l.one(name, name+".", kind)
	}
	l.routing()
}

func (l *loader) routing() {
	r := multi.Routing{Namespaces: map[string]string{}, Tables: map[model.TableName]string{}}
	e := l.given[multiKey+"default_storage"]
	if r.Default = e.value; r.Default == "" {
		l.errs = append(l.errs, model.Errorf(model.ErrBadArgument, "%s: %sdefault_storage is not set; it is one of %s", l.name, multiKey, strings.Join(l.names, ", ")))
	} else if !l.isStorage(r.Default) {
		l.fail(e, "%s: %s", e.key, l.noStorage(r.Default))
	}
	l.mapping("namespace_mapping", "namespace:storage", func(from, to string) error {
		if _, dup := r.Namespaces[from]; dup {
			return fmt.Errorf("namespace %s is mapped twice", from)
		}
		r.Namespaces[from] = to
		return nil
	})
	l.mapping("table_mapping", "namespace.table:storage", func(from, to string) error {
		table, err := model.ParseTableName(from)
		if _, dup := r.Tables[table]; dup && err == nil {
			err = fmt.Errorf("table %s is mapped twice", from)
		}
		r.Tables[table] = to
		return err
	})
	l.cfg.Routing = r
}

func (l *loader) mapping(key, form string, add func(from, to string) error) {
	e := l.given[multiKey+key]
	for _, item := range list(e.value) {
		from, to, ok := strings.Cut(item, ":")
		from, to = strings.TrimSpace(from), strings.TrimSpace(to)
		switch {
		case !ok || from == "" || to == "":
			l.fail(e, "%s: %q is not of the form %s", e.key, item, form)
		case !l.isStorage(to):
			l.fail(e, "%s: %s", e.key, l.noStorage(to))
		default:
			if err := add(from, to); err != nil {
				l.fail(e, "%s: %v", e.key, err)
			}
		}
	}
}

func (l *loader) isStorage(name string) bool {
	for _, n := range l.names {
		if n == name {
			return true
		}
	}
	return false
}

func (l *loader) noStorage(name string) string {
	msg := fmt.Sprintf("there is no storage %q; %sstorages names %s", name, multiKey, strings.Join(l.names, ", "))
	if near := model.Nearest(name, func(yield func(string) bool) {
		for _, n := range l.names {
			if !yield(n) {
				return
			}
		}
	}); near != "" {
		msg += fmt.Sprintf("; did you mean %q?", near)
	}
	return msg
}

type storageKey uint8

const (
	notOfStorage storageKey = iota // not under …storages.
	ofStorage                      // of a storage that is named
	badStorage                     // of one that is not
)

// split takes a key of one storage apart.
func (l *loader) split(key string) (name, rest string, kind storageKey) {
	tail, ok := strings.CutPrefix(key, storagePrefix)
	if !ok {
		tail, ok = strings.CutPrefix(key, ownStoragePrefix)
	}
	if !ok {
		return "", "", notOfStorage
	}
	for _, n := range l.names {
		if r, ok := strings.CutPrefix(tail, n+"."); ok && len(n) > len(name) {
			name, rest = n, r
		}
	}
	if name == "" {
		return "", "", badStorage
	}
	return name, rest, ofStorage
}
