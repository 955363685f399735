package sqldb

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/stillpoint-db/stillpoint/model"
)

// Dialect describes, as data, how an engine differs from the others. It does
// not change once a Builder or an Admin uses it.
type Dialect struct {
	Engine   string
	Quote    byte // around identifiers; doubled inside
	DDLQuote byte // the same in CREATE TABLE and CREATE INDEX, if not Quote
	Numbered bool // placeholders are $1, $2, … instead of ?

	// JoinNames: there are no namespaces; the table of ns.t is "ns$t".
	JoinNames bool
	// FoldTables: table names that differ in the case of ASCII letters alone
	// are one name. FoldColumns: so are those of columns.
	FoldTables, FoldColumns bool
	// NameBytes and NameChars limit each name; 0 = no limit.
	NameBytes, NameChars int
	// NarrowNames: names hold no character beyond U+FFFF and end in no blank.
	NarrowNames bool
	// MetadataChars limits ns.table and column names in the metadata table.
	MetadataChars int

	// Types are the column types. KeyTypes and IndexTypes replace them, where
	// not empty, in the primary key and in indexed columns.
	Types, KeyTypes, IndexTypes [model.TimestampTZ + 1]string
	// KeySize is how many characters or bytes those hold of TEXT and BLOB; 0 = as
	// many as the others, or nearly.
	KeySize int
	// MetadataTypes are those of the metadata table: name columns, data_type
	// and key_type, clustering_order, indexed, ordinal_position.
	MetadataTypes [5]string
	// True and False are the literals of metadata.indexed.
	True, False string

	// OrderedKey: a primary key with a DESC column is written with directions.
	OrderedKey bool
	// OrderIndex: mixed clustering orders get a unique index of their own.
	OrderIndex bool

	// Upsert is how a Put without a guard replaces: OnConflict or OnDuplicate.
	Upsert UpsertStyle
	// InsertSkips: a Put of a row that must not exist is written so that a
	// duplicate inserts nothing, instead of failing.
	InsertSkips bool
	// SequentialSet: assignments of an UPDATE see the ones before them.
	SequentialSet bool
	// ShareLock ends the SELECT of a Check, to keep the row as it is.
	ShareLock string
	// RowValues: (a, b) > (?, ?) uses an index on (a, b).
	RowValues bool
	// NullsHigh: NULL sorts above every value; otherwise below.
	NullsHigh bool

	// NarrowFloats: a FLOAT column holds 64 bits, or 32 where somebody else made
	// it, and is compared as 64 bits: no one number equals what both hold.
	NarrowFloats bool

	// What the engine cannot store and would change or refuse.
	NoNaN, NoInfinity, NoNUL bool

	// Wrap, if not nil, has the last word on the text of a mutation. It is
	// called once for each shape.
	Wrap func(st Statement) string

	// Reads, if not nil, tells whether values of a type of ours are read right
	// from a column that is of a type of the engine.
	Reads func(want model.DataType, physical string) bool

	// Made, if not nil, tells whether the catalogue calls a column that was made
	// with a type of a CREATE TABLE of ours by a type of the engine.
	Made func(made, physical string) bool

	// Truncate begins the statement that removes all rows.
	Truncate string
	// Catalog has the queries that Admin needs.
	Catalog Catalog
}

// UpsertStyle is the syntax of an upsert.
type UpsertStyle uint8

// The styles.
const (
	OnConflict  UpsertStyle = iota // INSERT … ON CONFLICT (…) DO UPDATE SET c=excluded.c
	OnDuplicate                    // INSERT … ON DUPLICATE KEY UPDATE c=VALUES(c)
)

// Ident quotes an identifier.
func (d *Dialect) Ident(name string) string { return string(d.appendIdent(nil, name)) }

func (d *Dialect) appendIdent(b []byte, name string) []byte {
	b = append(b, d.Quote)
	for i := range len(name) {
		if name[i] == d.Quote {
			b = append(b, d.Quote)
		}
		b = append(b, name[i])
	}
	return append(b, d.Quote)
}

// ddl is the dialect as it quotes where something is created.
func (d *Dialect) ddl() *Dialect {
	if d.DDLQuote == 0 {
		return d
	}
	quoting := *d
	quoting.Quote = d.DDLQuote
	return &quoting
}

// Table is the quoted full name of a table.
func (d *Dialect) Table(n model.TableName) string {
	if d.JoinNames {
		return d.Ident(d.Physical(n))
	}
	return d.Ident(n.Namespace) + "." + d.Ident(n.Name)
}

// Physical is the name of a table inside its schema, not quoted.
func (d *Dialect) Physical(n model.TableName) string {
	if d.JoinNames {
		return n.Namespace + "$" + n.Name
	}
	return n.Name
}

func (d *Dialect) appendPlaceholder(b []byte, n int) []byte {
	if d.Numbered {
		return strconv.AppendInt(append(b, '$'), int64(n), 10)
	}
	return append(b, '?')
}

// ColumnType is the type of column i of a table in its DDL.
func (d *Dialect) ColumnType(t *model.Table, i int) string {
	typ := t.Columns()[i].Type
	if t.IsKey(i) && d.KeyTypes[typ] != "" {
		return d.KeyTypes[typ]
	}
	if t.Indexed(i) && d.IndexTypes[typ] != "" {
		return d.IndexTypes[typ]
	}
	return d.Types[typ]
}

// CheckNamespace refuses a namespace that the engine cannot name:
// model.ErrBadArgument.
func (d *Dialect) CheckNamespace(ns string) error {
	if ns == "" {
		return model.Errorf(model.ErrBadArgument, "a namespace needs a name")
	}
	if strings.Contains(ns, ".") {
		return model.Errorf(model.ErrBadArgument, "namespace %q holds a dot; the metadata table could not tell it from the table name", ns)
	}
	return d.checkName("namespace", ns)
}

// CheckNames refuses a table with names that the engine or the metadata table
// cannot hold: model.ErrBadArgument, naming the limit.
func (d *Dialect) CheckNames(t *model.Table) error {
	n := t.Name()
	if err := d.CheckNamespace(n.Namespace); err != nil {
		return err
	}
	if err := d.checkName("table", n.Name); err != nil {
		return err
	}
	if chars := utf8.RuneCountInString(n.String()); d.MetadataChars > 0 && chars > d.MetadataChars {
		return model.Errorf(model.ErrBadArgument, "table %q: the full name has %d characters; the metadata table holds %d", n, chars, d.MetadataChars)
	}
	for _, c := range t.Columns() {
		if err := d.checkName("column", c.Name); err != nil {
			return model.Errorf(model.ErrBadArgument, "table %q: %w", n, err)
		}
		if chars := utf8.RuneCountInString(c.Name); d.MetadataChars > 0 && chars > d.MetadataChars {
			return model.Errorf(model.ErrBadArgument, "table %q: column %q has %d characters; the metadata table holds %d", n, c.Name, chars, d.MetadataChars)
		}
	}
	if d.FoldColumns {
		seen := make(map[string]string, len(t.Columns()))
		for _, c := range t.Columns() {
			if other, twice := seen[fold(c.Name)]; twice {
				return model.Errorf(model.ErrBadArgument, "table %q: columns %q and %q differ in upper and lower case alone, which %s takes for one name", n, other, c.Name, d.Engine)
			}
			seen[fold(c.Name)] = c.Name
		}
	}
	return nil
}

// fold makes names equal that an engine without regard to case takes for one.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, name)
}

func (d *Dialect) checkName(what, name string) error {
	switch {
	case name == "" || !utf8.ValidString(name) || strings.ContainsRune(name, 0):
		return model.Errorf(model.ErrBadArgument, "%q cannot be the name of a %s", name, what)
	case d.JoinNames && what != "column" && strings.Contains(name, "$"):
		return model.Errorf(model.ErrBadArgument, "%s %q holds a $, which %s tables use between namespace and name", what, name, d.Engine)
	case d.NarrowNames && (strings.HasSuffix(name, " ") || strings.ContainsFunc(name, func(r rune) bool { return r > 0xffff })):
		return model.Errorf(model.ErrBadArgument, "%s %q ends in a blank or holds a character beyond U+FFFF, which %s does not take in names", what, name, d.Engine)
	case d.NameBytes > 0 && len(name) > d.NameBytes:
		return model.Errorf(model.ErrBadArgument, "%s %q has %d bytes; the limit of %s is %d", what, name, len(name), d.Engine, d.NameBytes)
	case d.NameChars > 0 && utf8.RuneCountInString(name) > d.NameChars:
		return model.Errorf(model.ErrBadArgument, "%s %q has %d characters; the limit of %s is %d", what, name, utf8.RuneCountInString(name), d.Engine, d.NameChars)
	}
	return nil
}
