package postgres

import (
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

var _ storage.RowChecker = (*db)(nil)

// CheckRow implements storage.RowChecker.
func (d *db) CheckRow(t *model.Table, row *model.Row) error {
	return d.single.Dialect().CheckRow(t, row)
}
