package sqlite

import (
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

var _ storage.RowChecker = (*Storage)(nil)

// CheckRow implements storage.RowChecker.
func (s *Storage) CheckRow(t *model.Table, row *model.Row) error {
	return s.dialect.CheckRow(t, row)
}
