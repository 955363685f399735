package schema

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage/multi"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

// Read makes the Schema of what is in the databases, in the order of names: all
// tables, or those that keep accepts. Transactional tables are shown as their
// users see them; the Coordinator's table is left out.
func Read(ctx context.Context, set *multi.Set, coordinatorNamespace string, keep func(model.TableName) bool) (*Schema, error) {
	s := &Schema{}
	names, err := set.Admin().Namespaces(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the namespaces: %w", err)
	}
	for _, ns := range names {
		tables, err := set.Admin().Tables(ctx, ns)
		if err != nil {
			return nil, fmt.Errorf("list the tables of %s: %w", ns, err)
		}
		for _, name := range tables {
			if name == record.CoordinatorName(coordinatorNamespace) || keep != nil && !keep(name) {
				continue
			}
			have, err := lookup(ctx, set.Admin(), name)
			if err != nil {
				return nil, err
			}
			if have == nil { // dropped since it was listed
				continue
			}
			t := Table{Definition: have, NoTransactions: !record.IsTransactional(have)}
			if !t.NoTransactions {
				layout, err := record.NewLayout(have)
				if err != nil {
					return nil, err
				}
				t.Definition = layout.User
			}
			s.Tables = append(s.Tables, t)
		}
	}
	return s, nil
}

// Format writes the schema as a schema file, from which Parse makes an equal one.
func (s *Schema) Format() ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("{")
	for i, t := range s.Tables {
		if i > 0 {
			b.WriteString(",")
		}
		body, err := t.MarshalJSON()
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "%s:%s", quoted(t.Definition.Name().String()), body)
	}
	b.WriteString("}")
	var out bytes.Buffer
	if err := json.Indent(&out, b.Bytes(), "", "  "); err != nil {
		return nil, err
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// MarshalJSON renders the definition as schema files have it, without the name.
func (t Table) MarshalJSON() ([]byte, error) {
	spec := t.Definition.Spec()
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"transaction":%t,"partition-key":%s`, !t.NoTransactions, list(spec.PartitionKey))
	if len(spec.ClusteringKey) > 0 {
		var keys []string
		for _, c := range spec.ClusteringKey {
			keys = append(keys, c.Name+" "+c.Order.String())
		}
		fmt.Fprintf(&b, `,"clustering-key":%s`, list(keys))
	}
	b.WriteString(`,"columns":{`)
	for i, c := range spec.Columns {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%s:%s", quoted(c.Name), quoted(c.Type.String()))
	}
	b.WriteByte('}')
	if len(spec.Indexes) > 0 {
		fmt.Fprintf(&b, `,"secondary-index":%s`, list(spec.Indexes))
	}
	for _, name := range t.optionNames() {
		fmt.Fprintf(&b, ",%s:%s", quoted(name), quoted(t.Options[name]))
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

func list(items []string) string {
	texts := make([]string, len(items))
	for i, s := range items {
		texts[i] = quoted(s)
	}
	return "[" + strings.Join(texts, ",") + "]"
}

func quoted(s string) string {
	text, _ := json.Marshal(s) // a string cannot fail
	return string(text)
}
