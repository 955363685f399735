package sqldb

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode/utf16"

	"github.com/stillpoint-db/stillpoint/model"
)

// CreateTable returns the statement that creates the table itself.
// ifNotExists makes it harmless to repeat.
func (d *Dialect) CreateTable(t *model.Table, ifNotExists bool) string {
	d = d.ddl()
	var b strings.Builder
	b.WriteString("CREATE TABLE ")
	if ifNotExists {
		b.WriteString("IF NOT EXISTS ")
	}
	b.WriteString(d.Table(t.Name()) + "(")
	for i, c := range t.Columns() {
		b.WriteString(d.Ident(c.Name) + " " + d.ColumnType(t, i) + ",")
	}
	b.WriteString(" PRIMARY KEY (")
	anyDesc, _ := orders(t)
	b.WriteString(d.keyColumns(t, d.OrderedKey && anyDesc) + "))")
	return b.String()
}

// Index is a statement that creates an index.
type Index struct{ Name, SQL string }

// Indexes returns the indexes of a table beside its primary key, in a fixed
// order.
func (d *Dialect) Indexes(t *model.Table) []Index {
	d = d.ddl()
	var out []Index
	n := t.Name()
	if _, mixed := orders(t); mixed && d.OrderIndex {
		name := indexName("index_clustering_order_", n.Namespace+"_"+n.Name)
		out = append(out, Index{name, "CREATE UNIQUE INDEX " + d.Ident(name) + " ON " + d.Table(n) + " (" + d.keyColumns(t, true) + ")"})
	}
	for i, c := range t.Columns() {
		if t.Indexed(i) {
			name := IndexName(n, c.Name)
			out = append(out, Index{name, "CREATE INDEX " + d.Ident(name) + " ON " + d.Table(n) + " (" + d.Ident(c.Name) + ")"})
		}
	}
	return out
}

// keyColumns lists the primary key, with directions if asked for.
func (d *Dialect) keyColumns(t *model.Table, directed bool) string {
	var parts []string
	for i := range t.KeyLen() {
		s := d.Ident(t.Columns()[i].Name)
		if directed {
			o := model.Asc
			if c := i - t.PartitionLen(); c >= 0 {
				o = t.ClusteringOrder(c)
			}
			s += " " + o.String()
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, ",")
}

// orders tells whether any clustering column descends, and whether the
// directions differ among them.
func orders(t *model.Table) (anyDesc, mixed bool) {
	anyAsc := false
	for i := range t.ClusteringLen() {
		if t.ClusteringOrder(i) == model.Desc {
			anyDesc = true
		} else {
			anyAsc = true
		}
	}
	return anyDesc, anyDesc && anyAsc
}

// IndexName is the name of the secondary index on a column.
func IndexName(n model.TableName, column string) string {
	return indexName("index_", n.Namespace+"_"+n.Name+"_"+column)
}

// indexName shortens names over 63 UTF-16 units to the prefix and 32
// hexadecimal digits of the SHA-256 of the long name.
func indexName(prefix, rest string) string {
	long := prefix + rest
	if len(utf16.Encode([]rune(long))) <= 63 {
		return long
	}
	sum := sha256.Sum256([]byte(long))
	return prefix + hex.EncodeToString(sum[:])[:32]
}
