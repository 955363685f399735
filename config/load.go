package config

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/stillpoint-db/stillpoint/internal/properties"
	"github.com/stillpoint-db/stillpoint/internal/textfile"
	"github.com/stillpoint-db/stillpoint/model"
)

// Load reads a properties file and checks it. All that is wrong is reported at
// once, each with the line it is on: model.ErrBadArgument, or model.ErrNotFound
// if there is no such file.
func Load(path string) (*Config, error) {
	data, err := textfile.Read("read the configuration", path)
	if err != nil {
		return nil, err
	}
	return Parse(path, data)
}

// Parse is Load of a text in memory; name stands for the file in messages.
func Parse(name string, data []byte) (*Config, error) {
	props, err := properties.Parse(data)
	if syntax, ok := errors.AsType[*properties.SyntaxError](err); ok {
		return nil, model.Errorf(model.ErrBadArgument, "%s:%d: %s", name, syntax.Line, syntax.Text)
	} else if err != nil {
		return nil, model.Errorf(model.ErrBadArgument, "%s: %w", name, err)
	}
	entries := make([]entry, len(props))
	for i, p := range props {
		entries[i] = entry{key: p.Key, value: p.Value, where: fmt.Sprintf("%s:%d", name, p.Line), seq: i}
	}
	return build(entries, name, os.LookupEnv)
}

// FromMap is Parse of properties that were read elsewhere.
func FromMap(props map[string]string) (*Config, error) {
	entries := make([]entry, 0, len(props))
	for i, key := range slices.Sorted(maps.Keys(props)) {
		entries = append(entries, entry{key: key, value: props[key], where: "properties", seq: i})
	}
	return build(entries, "properties", os.LookupEnv)
}

// entry is one property before it means anything.
type entry struct {
	key, value string
	where      string // "prod.properties:14"
	seq        int    // its place in the file
}

// loader builds a Config of entries.
type loader struct {
	cfg    *Config
	name   string           // of the file
	keys   map[string]Key   // by name
	given  map[string]entry // what has a value, by key
	others []string         // keys of other products
	errs   []error
	names  []string // of the storages, as configured
}

func build(entries []entry, name string, lookup func(string) (string, bool)) (*Config, error) {
	l := &loader{cfg: Default(), name: name, keys: map[string]Key{}, given: map[string]entry{}}
	for _, k := range Keys() {
		l.keys[k.Name] = k
	}
	for _, e := range entries {
		l.take(e, lookup)
	}
	for _, k := range Keys() {
		if e, ok := l.given[k.Name]; ok {
			l.apply(k, e)
		}
	}
	l.derive()
	l.storages()
	l.classify()
	if len(l.errs) == 0 {
		if err := l.cfg.Validate(); err != nil {
			l.errs = append(l.errs, model.Errorf(model.ErrBadArgument, "%s: %w", name, err))
		}
	}
	if len(l.errs) > 0 {
		return nil, errors.Join(l.errs...)
	}
	return l.cfg, nil
}

// take notes one property: the last of several with one key counts, and an
// empty value is none.
func (l *loader) take(e entry, lookup func(string) (string, bool)) {
	if !strings.HasPrefix(e.key, scalar) && !strings.HasPrefix(e.key, stillpoint) {
		return
	}
	value, err := substitute(strings.TrimFunc(e.value, func(r rune) bool { return r <= ' ' }), lookup)
	if err != nil {
		l.fail(e, "%s: %v", e.key, err)
		return
	}
	for _, name := range unset(e.value, lookup) {
		l.notice(slog.LevelWarn, "%s: %s: the environment variable %s is not set, so ${env:%s} stays as it stands", e.where, e.key, name, name)
	}
	if first, ok := l.given[e.key]; ok {
		l.notice(slog.LevelWarn, "%s: %s was set before (%s); the last value counts", e.where, e.key, first.where)
	}
	e.value = value
	l.given[e.key] = e
}

// apply sets the field of a key, or checks its value.
func (l *loader) apply(k Key, e entry) {
	if e.value == "" {
		return
	}
	var err error
	switch {
	case k.field != nil:
		err = k.field(l.cfg).Set(e.value)
	case k.check != nil:
		err = k.check(e.value)
	}
	if err != nil {
		l.fail(e, "%s: %v", e.key, err)
	}
}

// derive fills what defaults to the value of another key.
func (l *loader) derive() {
	if e, ok := l.given[oldIsolation]; ok && !l.has(cc+"isolation_level") {
		l.apply(Key{field: l.keys[cc+"isolation_level"].field}, e)
	}
	scan := &l.cfg.CrossPartitionScan
	for _, d := range []struct {
		key string
		to  *bool
	}{
		{scalar + "cross_partition_scan.filtering.enabled", &scan.Filtering},
		{scalar + "cross_partition_scan.ordering.enabled", &scan.Ordering},
	} {
		if !l.has(d.key) {
			*d.to = scan.Enabled
		}
	}
}

func (l *loader) has(key string) bool { return l.given[key].value != "" }

func (l *loader) fail(e entry, format string, args ...any) {
	l.errs = append(l.errs, model.Errorf(model.ErrBadArgument, "%s: %s", e.where, fmt.Sprintf(format, args...)))
}

func (l *loader) notice(level slog.Level, format string, args ...any) {
	l.cfg.Notices = append(l.cfg.Notices, Notice{level, fmt.Sprintf(format, args...)})
}
