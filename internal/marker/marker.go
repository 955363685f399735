// Package marker knows the mark that a restore leaves in every database that it
// writes to, from before its first change until after its last: a table with one
// row. A database that has it is half restored, whoever looks at it and wherever
// the restore's journal is.
package marker

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// TableName is the table's name.
var TableName = model.TableName{Namespace: "stillpoint_restore", Name: "unfinished"}

// Marker is its row.
type Marker struct {
	Restore string // id of the restore, as in its journal
	Backup  string // id of the backup
	Begun   string // when, in UTC (RFC 3339)
	Host    string // where
}

// New makes the marker of a restore that begins now.
func New(restore, backup, host string, now time.Time) Marker {
	return Marker{Restore: restore, Backup: backup, Begun: now.UTC().Format(time.RFC3339), Host: host}
}

// Table is the table's definition.
func Table() *model.Table {
	t, err := model.NewTable(model.TableSpec{Name: TableName, PartitionKey: []string{"restore_id"}, Columns: []model.Column{
		{Name: "restore_id", Type: model.Text}, {Name: "backup_id", Type: model.Text}, {Name: "begun", Type: model.Text}, {Name: "host", Type: model.Text}}})
	if err != nil {
		panic("marker: " + err.Error()) // the definition is constant
	}
	return t
}

// Row is the marker's row, in the order of the table's columns.
func (m Marker) Row() *model.Row {
	return &model.Row{Table: Table(), Values: []model.Value{
		model.TextValue(m.Restore), model.TextValue(m.Backup), model.TextValue(m.Begun), model.TextValue(m.Host)}}
}

// Parse reads a row of the table.
func Parse(row *model.Row) Marker {
	return Marker{Restore: row.Get("restore_id").Str(), Backup: row.Get("backup_id").Str(), Begun: row.Get("begun").Str(), Host: row.Get("host").Str()}
}

// Refuse fails with model.ErrRefused if any of the storages bears the mark:
// nothing may be built on half of a restore.
func Refuse(ctx context.Context, op string, storages []storage.Storage) error {
	for _, st := range storages {
		t, err := st.Admin().Table(ctx, TableName)
		if errors.Is(err, model.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		page, err := st.Scan(ctx, storage.Scan{Table: t, Kind: storage.ScanTable, Limit: 1})
		if err != nil {
			return err
		}
		var m Marker
		if len(page.Rows) > 0 {
			m = Parse(page.Rows[0])
		}
		return &model.Error{Class: model.ErrRefused, Op: op, Subject: strconv.Quote(st.Name()),
			Detail: "it is half restored: a restore of backup " + m.Backup + ", begun " + m.Begun + " on " + m.Host + ", has not finished",
			Hint:   "Run the same stillpoint restore run again; it goes on where it was"}
	}
	return nil
}
