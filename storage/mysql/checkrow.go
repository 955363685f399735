package mysql

import (
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

var _ storage.RowChecker = (*Store)(nil)

// CheckRow implements storage.RowChecker.
func (s *Store) CheckRow(t *model.Table, row *model.Row) error {
	return s.dialect.CheckRow(t, row)
}
