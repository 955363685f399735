package sqldb

import (
	"context"
	"slices"
	"strings"

	"github.com/stillpoint-db/stillpoint/model"
)

// DriftHint is the way out where a table is not as its definition says.
const DriftHint = "Somebody has changed the table and not its definition: change it back, or restore the table from a backup"

// agree compares a definition with the columns that the table has in the
// database: model.ErrDamaged if one is not there or holds something else.
// Columns that the definition does not know are nobody's here. A table that is
// not there at all, or that this user may not see, passes: whoever reads it is
// told.
func (a *Admin) agree(ctx context.Context, t *model.Table) error {
	columns, err := a.Ex.Query(ctx, a.D.Catalog.Columns, t.Name().Namespace, a.D.Physical(t.Name()))
	if err != nil || len(columns) == 0 {
		return err
	}
	for _, c := range t.Columns() {
		i := slices.IndexFunc(columns, func(r []string) bool { return strings.EqualFold(r[0], c.Name) })
		wrong := ""
		switch {
		case i < 0:
			wrong = "it has no column " + c.Name
		case a.D.Reads != nil && !a.D.Reads(c.Type, columns[i][1]):
			wrong = "its column " + c.Name + " is of type " + columns[i][1] + ", which is read as no " + c.Type.String()
		default:
			continue
		}
		return &model.Error{Class: model.ErrDamaged, Op: "table", Subject: t.Name().String(),
			Detail: wrong + "; its definition in " + a.Meta.Name().String() + " says otherwise",
			Hint:   DriftHint}
	}
	return nil
}

// readsPostgreSQL lists the types whose binary forms are understood. Domains
// count as the types that they are made of.
func readsPostgreSQL(want model.DataType, physical string) bool {
	return slices.Contains(postgreSQLTypes[want], physical)
}

var postgreSQLTypes = [model.TimestampTZ + 1][]string{
	model.Boolean:     {"bool"},
	model.Int:         {"int4", "int2", "int8"},
	model.BigInt:      {"int8", "int4", "int2"},
	model.Float:       {"float4", "float8"},
	model.Double:      {"float8", "float4"},
	model.Text:        {"text", "varchar", "bpchar", "name", "citext", "json", "xml"},
	model.Blob:        {"bytea"},
	model.Date:        {"date"},
	model.Time:        {"time"},
	model.Timestamp:   {"timestamp"},
	model.TimestampTZ: {"timestamptz"},
}

// madeByMySQL compares a type of CREATE TABLE with data_type of the catalogue. DDL
// is not transactional there, so that tables are left by runs that failed.
func madeByMySQL(made, physical string) bool {
	made, _, _ = strings.Cut(strings.ToLower(made), "(")
	switch made {
	case "boolean":
		made = "tinyint"
	case "real":
		return physical == "double" || physical == "float" // by sql_mode
	}
	return made == physical
}
