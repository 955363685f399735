package sqldb

import (
	"strconv"
	"strings"

	"github.com/stillpoint-db/stillpoint/model"
)

// MetadataNamespace is where ScalarDB keeps its metadata table, unless property
// scalar.db.jdbc.table_metadata.schema says otherwise.
const MetadataNamespace = "scalardb"

// Metadata makes the statements over the metadata table in one namespace.
type Metadata struct {
	D         *Dialect
	Namespace string
}

// Name is the metadata table's name.
func (m Metadata) Name() model.TableName {
	return model.TableName{Namespace: m.Namespace, Name: "metadata"}
}

// Create returns the statement that creates the table if it is not there. The
// order of its columns matters: ScalarDB inserts by position.
func (m Metadata) Create() string {
	d := m.D.ddl()
	q, t := d.Ident, d.MetadataTypes
	return "CREATE TABLE IF NOT EXISTS " + d.Table(m.Name()) + "(" +
		q("full_table_name") + " " + t[0] + "," + q("column_name") + " " + t[0] + "," +
		q("data_type") + " " + t[1] + " NOT NULL," + q("key_type") + " " + t[1] + "," + q("clustering_order") + " " + t[2] + "," +
		q("indexed") + " " + t[3] + " NOT NULL," + q("ordinal_position") + " " + t[4] + " NOT NULL," +
		" PRIMARY KEY (" + q("full_table_name") + ", " + q("column_name") + "))"
}

// Insert returns the one statement that records a table, and its arguments.
func (m Metadata) Insert(t *model.Table) (sql string, args []string) {
	w := writer{d: m.D}
	w.str("INSERT INTO ").str(m.D.Table(m.Name())).str(" VALUES ")
	for i, c := range t.Columns() {
		if i > 0 {
			w.str(",")
		}
		keyType, order := "NULL", "NULL"
		switch {
		case i < t.PartitionLen():
			keyType = "'PARTITION'"
		case t.IsKey(i):
			keyType, order = "'CLUSTERING'", "'"+t.ClusteringOrder(i-t.PartitionLen()).String()+"'"
		}
		indexed := m.D.False
		if t.Indexed(i) {
			indexed = m.D.True
		}
		w.str("(").arg().str(",").arg().str(",'" + c.Type.String() + "'," + keyType + "," + order + "," + indexed + "," + strconv.Itoa(i+1) + ")")
		args = append(args, t.Name().String(), c.Name)
	}
	return string(w.b), args
}

// Select returns the query for one table's record: column_name, data_type,
// key_type, clustering_order, 'T' or 'F' for indexed. Argument: the full name.
func (m Metadata) Select() string {
	return "SELECT column_name,data_type,key_type,clustering_order,CASE WHEN indexed THEN 'T' ELSE 'F' END FROM " +
		m.D.Table(m.Name()) + " WHERE full_table_name=" + m.placeholder() + " ORDER BY ordinal_position"
}

// Virtual returns a query that has a row if a name is that of a view which joins a
// table with the one of its transaction columns. Argument: the full name.
func (m Metadata) Virtual() string {
	return "SELECT 1 FROM " + m.D.Table(model.TableName{Namespace: m.Namespace, Name: "virtual_tables"}) + " WHERE full_table_name=" + m.placeholder()
}

// Delete returns the statement that forgets a table. Argument: the full name.
func (m Metadata) Delete() string {
	return "DELETE FROM " + m.D.Table(m.Name()) + " WHERE full_table_name=" + m.placeholder()
}

// Names returns the query for all full names.
func (m Metadata) Names() string {
	return "SELECT DISTINCT full_table_name FROM " + m.D.Table(m.Name()) + " ORDER BY full_table_name"
}

// Any returns a query that has a row if any table is recorded.
func (m Metadata) Any() string { return "SELECT 1 FROM " + m.D.Table(m.Name()) + " LIMIT 1" }

// Drop returns the statement that drops the table.
func (m Metadata) Drop() string { return "DROP TABLE " + m.D.Table(m.Name()) }

func (m Metadata) placeholder() string { return string(m.D.appendPlaceholder(nil, 1)) }

// Decode makes a table of the rows of Select: model.ErrNotFound if there are
// none, model.ErrDamaged if they make no sense.
func (m Metadata) Decode(name model.TableName, rows [][]string) (*model.Table, error) {
	if len(rows) == 0 {
		return nil, NoTable(name)
	}
	spec := model.TableSpec{Name: name}
	for _, r := range rows {
		typ, err := model.ParseDataType(r[1])
		if err != nil {
			return nil, model.Errorf(model.ErrDamaged, "metadata of table %s, column %q: %w", name, r[0], err)
		}
		spec.Columns = append(spec.Columns, model.Column{Name: r[0], Type: typ})
		switch r[2] {
		case "":
		case "PARTITION":
			spec.PartitionKey = append(spec.PartitionKey, r[0])
		case "CLUSTERING":
			o := model.Asc
			if strings.EqualFold(r[3], "DESC") {
				o = model.Desc
			}
			spec.ClusteringKey = append(spec.ClusteringKey, model.ClusteringColumn{Name: r[0], Order: o})
		default:
			return nil, model.Errorf(model.ErrDamaged, "metadata of table %s, column %q: key type %q is unknown", name, r[0], r[2])
		}
		if r[4] == "T" {
			spec.Indexes = append(spec.Indexes, r[0])
		}
	}
	t, err := model.NewTable(spec)
	if err != nil {
		return nil, model.Errorf(model.ErrDamaged, "metadata of table %s: %w", name, err)
	}
	return t, nil
}

// NoTable is the error for a table that is not recorded.
func NoTable(name model.TableName) error {
	return &model.Error{Class: model.ErrNotFound, Op: "table", Subject: name.String(), Detail: "there is no such table"}
}
