package schema

import (
	"maps"
	"slices"
	"strings"

	"github.com/stillpoint-db/stillpoint/model"
)

// columns reads the object of columns and their types.
func (r *reader) columns(table model.TableName, v value) []model.Column {
	if v.kind != isObject {
		r.bad(v.at, "%s: %q is an object of columns and their types, not %s", table, keyColumns, v.kind)
		return nil
	}
	if len(v.members) == 0 {
		r.bad(v.at, "%s has no column", table)
	}
	var columns []model.Column
	for _, m := range r.unique(v.members, "column") {
		if m.name == "" {
			r.bad(m.at, "%s: a column has an empty name", table)
			continue
		}
		if m.kind != isString {
			r.bad(m.value.at, "%s: the type of column %q is a string, not %s", table, m.name, m.kind)
			continue
		}
		if typ, ok := r.dataType(table, m); ok {
			columns = append(columns, model.Column{Name: m.name, Type: typ})
		}
	}
	return columns
}

func (r *reader) dataType(table model.TableName, m member) (model.DataType, bool) {
	words := strings.Fields(m.text)
	switch {
	case len(words) == 2 && strings.EqualFold(words[1], "ENCRYPTED"):
		r.fail(model.ErrRefused, m.value.at, "%s: column %q is to be encrypted, which is not supported", table, m.name)
		return 0, false
	case len(words) != 1:
		r.bad(m.value.at, "%s: column %q: %q is not a column type", table, m.name, m.text)
		return 0, false
	}
	typ, err := model.ParseDataType(words[0])
	if err != nil {
		r.bad(m.value.at, "%s: column %q: %v%s", table, m.name, err, suggest(words[0], func(yield func(string) bool) {
			for t := model.Boolean; t <= model.TimestampTZ; t++ {
				if !yield(t.String()) {
					return
				}
			}
		}))
		return 0, false
	}
	return typ, true
}

// boolean reads true or false, in quotes or not; with an error it answers what
// the key means when it is left out.
func (r *reader) boolean(table model.TableName, m member) bool {
	if m.kind == isBool || m.kind == isString {
		switch strings.ToLower(m.text) {
		case "true":
			return true
		case "false":
			return false
		}
	}
	r.bad(m.value.at, "%s: %q is true or false", table, m.name)
	return m.name == keyTransaction
}

// option keeps what is not part of a definition, unless it looks like a
// misspelt part of one.
func (r *reader) option(t *Table, table model.TableName, m member) {
	if m.kind == isObject || m.kind == isArray {
		r.bad(m.at, "%s: %q is not a key of a table%s", table, m.name, suggest(m.name, slices.Values(tableKeys)))
		return
	}
	if !slices.Contains(otherOptions, m.name) {
		if near := suggest(m.name, slices.Values(tableKeys)); near != "" {
			r.bad(m.at, "%s: %q is not a key of a table%s", table, m.name, near)
			return
		}
		r.notice(m.at, "%s: the option %q is not known and has no effect", table, m.name)
	}
	if t.Options == nil {
		t.Options = map[string]string{}
	}
	t.Options[m.name] = m.text
}

// optionNames returns the names of a table's options in order.
func (t Table) optionNames() []string { return slices.Sorted(maps.Keys(t.Options)) }
