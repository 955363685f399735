package schema

import (
	"errors"
	"fmt"
	"strings"

	"github.com/stillpoint-db/stillpoint/internal/textfile"
	"github.com/stillpoint-db/stillpoint/model"
)

// Load reads a schema file. All that is wrong is reported at once, with line and
// column: model.ErrBadArgument; model.ErrRefused for what ScalarDB can do and
// this program cannot; model.ErrNotFound if there is no such file.
func Load(path string) (*Schema, error) {
	data, err := textfile.Read("read the schema", path)
	if err != nil {
		return nil, err
	}
	return Parse(path, data)
}

// Parse is Load of a text in memory; name stands for the file in messages.
func Parse(name string, data []byte) (*Schema, error) {
	r := &reader{name: name, src: string(data), schema: &Schema{}}
	root, err := parseJSON(r.src)
	if syntax, ok := errors.AsType[*syntaxError](err); ok {
		r.bad(syntax.at, "%s", syntax.text)
	} else {
		r.root(root)
	}
	if len(r.errs) > 0 {
		return nil, errors.Join(r.errs...)
	}
	return r.schema, nil
}

// reader makes a Schema of a parsed file.
type reader struct {
	name, src string
	schema    *Schema
	errs      []error
}

// maxErrors is the most mistakes that are told of one file.
const maxErrors = 20

func (r *reader) fail(class error, at int, format string, args ...any) {
	if len(r.errs) == maxErrors {
		r.errs = append(r.errs, model.Errorf(model.ErrBadArgument, "%s: there are more mistakes", r.name))
	}
	if len(r.errs) > maxErrors {
		return
	}
	line, column := position(r.src, at)
	r.errs = append(r.errs, model.Errorf(class, "%s:%d:%d: %s", r.name, line, column, fmt.Sprintf(format, args...)))
}

func (r *reader) bad(at int, format string, args ...any) {
	r.fail(model.ErrBadArgument, at, format, args...)
}

func (r *reader) notice(at int, format string, args ...any) {
	if len(r.schema.Notices) >= maxErrors {
		return
	}
	line, column := position(r.src, at)
	r.schema.Notices = append(r.schema.Notices, fmt.Sprintf("%s:%d:%d: %s", r.name, line, column, fmt.Sprintf(format, args...)))
}

func (r *reader) root(v value) {
	if v.kind != isObject {
		r.bad(v.at, "a schema is an object of tables, not %s", v.kind)
		return
	}
	if len(v.members) == 0 {
		r.bad(v.at, "the schema has no table")
	}
	for _, m := range r.unique(v.members, "table") {
		if len(r.errs) > maxErrors {
			return
		}
		r.table(m)
	}
}

// unique returns the members, and complains about names that come twice.
func (r *reader) unique(members []member, what string) []member {
	seen := make(map[string]int, len(members))
	for _, m := range members {
		if first, dup := seen[m.name]; dup && len(r.errs) <= maxErrors {
			line, _ := position(r.src, first)
			r.bad(m.at, "%s %q is there twice (first on line %d)", what, m.name, line)
		}
		seen[m.name] = m.at
	}
	return members
}

// The keys of a table's definition.
const (
	keyPartition   = "partition-key"
	keyClustering  = "clustering-key"
	keyColumns     = "columns"
	keyIndexes     = "secondary-index"
	keyTransaction = "transaction"
	keyDecoupling  = "transaction-metadata-decoupling"
)

var tableKeys = []string{keyPartition, keyClustering, keyColumns, keyIndexes, keyTransaction, keyDecoupling}

// otherOptions are those of the databases that ScalarDB speaks beside SQL ones.
var otherOptions = []string{"ru", "no-scaling", "no-backup", "compaction-strategy", "replication-strategy", "replication-factor", "network-strategy"}

func (r *reader) table(m member) {
	name, err := model.ParseTableName(m.name)
	if err != nil {
		r.bad(m.at, "%v", err)
		return
	}
	if m.kind != isObject {
		r.bad(m.value.at, "%s: the definition of a table is an object, not %s", name, m.kind)
		return
	}
	before := len(r.errs)
	t := Table{}
	spec := model.TableSpec{Name: name}
	var partition, columns *value
	members := r.unique(m.members, "key")
	for i := range members {
		switch k := &members[i]; k.name {
		case keyColumns:
			columns = &k.value
			spec.Columns = r.columns(name, k.value)
		case keyPartition:
			partition = &k.value
		case keyClustering, keyIndexes:
		case keyTransaction:
			t.NoTransactions = !r.boolean(name, *k)
		case keyDecoupling:
			if r.boolean(name, *k) {
				r.fail(model.ErrRefused, k.at, "%s: tables whose transaction columns are kept apart (%s) are not supported; leave it out", name, keyDecoupling)
			}
		default:
			r.option(&t, name, *k)
		}
	}
	if columns == nil {
		r.bad(m.at, "%s has no %q", name, keyColumns)
	}
	if partition == nil {
		r.bad(m.at, "%s has no %q", name, keyPartition)
	}
	if len(r.errs) > before {
		return
	}
	r.keys(&spec, members)
	if len(r.errs) > before {
		return
	}
	if t.Definition, err = model.NewTable(spec); err != nil {
		r.bad(m.at, "%v", err)
		return
	}
	r.schema.Tables = append(r.schema.Tables, t)
}

// keys reads the lists that name columns, once the columns are known.
func (r *reader) keys(spec *model.TableSpec, members []member) {
	used := map[string]bool{}
	for _, k := range members {
		switch k.name {
		case keyPartition:
			for _, item := range r.names(spec, k) {
				spec.PartitionKey = append(spec.PartitionKey, item.name)
				r.once(spec, used, item)
			}
			if k.kind == isArray && len(k.items) == 0 {
				r.bad(k.value.at, "%s: the %s is empty", spec.Name, keyPartition)
			}
		case keyIndexes:
			for _, item := range r.names(spec, k) {
				spec.Indexes = append(spec.Indexes, item.name)
			}
		}
	}
	for _, k := range members {
		if k.name == keyClustering {
			for _, item := range r.names(spec, k) {
				spec.ClusteringKey = append(spec.ClusteringKey, model.ClusteringColumn{Name: item.name, Order: item.order})
				r.once(spec, used, item)
			}
		}
	}
}

func (r *reader) once(spec *model.TableSpec, used map[string]bool, item columnName) {
	if used[item.name] {
		r.bad(item.at, "%s: column %q is in the key twice", spec.Name, item.name)
	}
	used[item.name] = true
}

type columnName struct {
	name  string
	order model.Order
	at    int
}

// names reads a list of columns that must exist; those of the clustering key may
// have a direction.
func (r *reader) names(spec *model.TableSpec, k member) []columnName {
	if k.kind != isArray {
		r.bad(k.value.at, "%s: %q is a list of columns, not %s", spec.Name, k.name, k.kind)
		return nil
	}
	var out []columnName
	for _, item := range k.items {
		if item.kind != isString {
			r.bad(item.at, "%s: %q holds names of columns, not %s", spec.Name, k.name, item.kind)
			continue
		}
		c := columnName{name: item.text, at: item.at}
		if words := strings.Fields(item.text); k.name == keyClustering && len(words) > 0 {
			c.name = words[0]
			switch {
			case len(words) == 1:
			case len(words) == 2 && strings.EqualFold(words[1], "ASC"):
			case len(words) == 2 && strings.EqualFold(words[1], "DESC"):
				c.order = model.Desc
			default:
				r.bad(item.at, "%s: %q is not a clustering column; write \"column\", \"column ASC\" or \"column DESC\"", spec.Name, item.text)
				continue
			}
		}
		if !hasColumn(spec.Columns, c.name) {
			r.bad(item.at, "%s: %q names column %q, which is not among the columns%s", spec.Name, k.name, c.name, suggestColumn(spec.Columns, c.name))
			continue
		}
		out = append(out, c)
	}
	return out
}

func hasColumn(columns []model.Column, name string) bool {
	for _, c := range columns {
		if c.Name == name {
			return true
		}
	}
	return false
}

func suggestColumn(columns []model.Column, name string) string {
	return suggest(name, func(yield func(string) bool) {
		for _, c := range columns {
			if !yield(c.Name) {
				return
			}
		}
	})
}

func suggest(s string, candidates func(func(string) bool)) string {
	if near := model.Nearest(s, candidates); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return ""
}
