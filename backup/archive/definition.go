package archive

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"

	"github.com/stillpoint-db/stillpoint/model"
)

// Definition is a table definition as JSON, in archives and manifests.
type Definition struct {
	Namespace     string       `json:"namespace"`
	Name          string       `json:"name"`
	Columns       []Column     `json:"columns"` // key columns first, then the others in the table's order
	PartitionKey  []string     `json:"partition_key"`
	ClusteringKey []Clustering `json:"clustering_key,omitempty"`
	Indexes       []string     `json:"indexes,omitempty"`
}

// Column is a column of a Definition.
type Column struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// Clustering is a clustering column of a Definition.
type Clustering struct {
	Name  string `json:"name"`
	Order string `json:"order"` // "ASC" or "DESC"
}

// Define makes the Definition of a table.
func Define(t *model.Table) Definition {
	spec := t.Spec()
	d := Definition{
		Namespace: spec.Name.Namespace, Name: spec.Name.Name,
		PartitionKey: spec.PartitionKey, Indexes: spec.Indexes,
	}
	for _, c := range spec.Columns {
		d.Columns = append(d.Columns, Column{c.Name, c.Type.String()})
	}
	for _, c := range spec.ClusteringKey {
		d.ClusteringKey = append(d.ClusteringKey, Clustering{c.Name, c.Order.String()})
	}
	return d
}

// Table makes the table again: model.ErrDamaged if it is not what Define makes.
func (d Definition) Table() (*model.Table, error) {
	spec := model.TableSpec{
		Name:         model.TableName{Namespace: d.Namespace, Name: d.Name},
		PartitionKey: d.PartitionKey, Indexes: d.Indexes,
	}
	for _, c := range d.Columns {
		typ, err := model.ParseDataType(c.Type)
		if err != nil {
			return nil, model.Errorf(model.ErrDamaged, "column %q of %s: %w", c.Name, spec.Name, err)
		}
		spec.Columns = append(spec.Columns, model.Column{Name: c.Name, Type: typ})
	}
	for _, c := range d.ClusteringKey {
		order := model.Asc
		switch c.Order {
		case "ASC":
		case "DESC":
			order = model.Desc
		default:
			return nil, model.Errorf(model.ErrDamaged, "clustering column %q of %s has order %q", c.Name, spec.Name, c.Order)
		}
		spec.ClusteringKey = append(spec.ClusteringKey, model.ClusteringColumn{Name: c.Name, Order: order})
	}
	t, err := model.NewTable(spec)
	if err != nil {
		return nil, model.Errorf(model.ErrDamaged, "definition of %s: %w", spec.Name, err)
	}
	if !slices.Equal(t.Columns(), spec.Columns) {
		return nil, model.Errorf(model.ErrDamaged, "definition of %s does not begin with its key columns", spec.Name)
	}
	return t, nil
}

// Hash returns a hexadecimal SHA-256 that is equal for equal definitions. The
// order of columns that are not in the key counts.
func (d Definition) Hash() string {
	b, err := json.Marshal(d)
	if err != nil { // strings and slices of them: cannot fail
		panic(err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
