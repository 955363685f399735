package mysql

import (
	"context"
	"strconv"
	"strings"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/internal/sqldb"
)

var (
	_ storage.RowChecker = (*Store)(nil)
	_ storage.RowFitter  = (*Store)(nil)
)

// CheckRow implements storage.RowChecker.
func (s *Store) CheckRow(t *model.Table, row *model.Row) error {
	return s.dialect.CheckRow(t, row)
}

// RowFit implements storage.RowFitter: key columns and those with an index are
// short, unless somebody has made them longer.
func (s *Store) RowFit(ctx context.Context, t *model.Table, anew bool) (func(*model.Row) error, error) {
	lengths := s.dialect.NewLengths(t)
	if !anew {
		if err := s.lengths(ctx, t, lengths); err != nil {
			return nil, err
		}
	}
	return func(row *model.Row) error { return s.dialect.CheckRowWithin(t, row, lengths) }, nil
}

// lengths asks for the lengths of the columns that a table has.
func (s *Store) lengths(ctx context.Context, t *model.Table, lengths sqldb.Lengths) error {
	return s.read(ctx, "read the columns of", func(ses *session) error {
		rows, err := ses.strings(ctx, "SELECT COLUMN_NAME, COALESCE(CHARACTER_MAXIMUM_LENGTH,0) FROM information_schema.columns WHERE TABLE_SCHEMA=? AND TABLE_NAME=?",
			t.Name().Namespace, t.Name().Name)
		for _, r := range rows {
			for i, c := range t.Columns() {
				if strings.EqualFold(c.Name, r[0]) {
					lengths[i], _ = strconv.ParseInt(r[1], 10, 64)
				}
			}
		}
		return err
	})
}
