package sqlite

import (
	"context"
	"iter"
	"strconv"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/sqlite/internal/capi"
)

// Bounds of one transaction of Load.
const (
	loadRows  = 2000
	loadBytes = 8 << 20
)

var _ storage.Loader = (*Storage)(nil)

// Load implements storage.Loader. Rows are collected first and then inserted,
// so that the write lock is never held while the source is waited for.
func (s *Storage) Load(ctx context.Context, t *model.Table, rows iter.Seq2[*model.Row, error]) (int64, error) {
	l := loader{s: s, t: t, sql: s.texts.InsertAll(t)}
	for row, err := range rows {
		if err != nil {
			return l.total, err
		}
		if err := s.dialect.CheckRow(t, row); err != nil {
			return l.total, err
		}
		l.values = append(l.values, row.Values...)
		for _, v := range row.Values {
			l.bytes += len(v.Str())
		}
		if l.rows++; l.rows >= loadRows || l.bytes >= loadBytes {
			if err := l.flush(ctx); err != nil {
				return l.total, err
			}
		}
	}
	return l.total, l.flush(ctx)
}

// loader collects the rows of one transaction.
type loader struct {
	s           *Storage
	t           *model.Table
	sql         string
	values      []model.Value // of all rows, one after the other
	rows, bytes int
	total       int64
}

func (l *loader) flush(ctx context.Context) error {
	if l.rows == 0 {
		return nil
	}
	err := l.s.do(ctx, func(c *capi.Conn) error {
		st, err := c.Prepare(l.sql)
		if err != nil {
			return err
		}
		width := len(l.t.Columns())
		for at := 0; at < len(l.values); at += width {
			values := l.values[at : at+width]
			if _, err := run(c, st, values, false); err != nil {
				if capi.IsDuplicateKey(err) {
					return &model.Error{Class: model.ErrExists, Op: "load", Subject: l.t.Name().String(), Detail: "the row " + model.KeyOf(l.t, values).String() + " is there already"}
				}
				return err
			}
		}
		return nil
	})
	if err != nil {
		if storage.OutcomeOf(err) == storage.Unknown && model.Hint(err) == "" {
			return &model.Error{Class: model.ErrUnavailable, Op: "load into storage", Subject: strconv.Quote(l.s.name), Err: err}
		}
		return err
	}
	l.total += int64(l.rows)
	l.values, l.rows, l.bytes = l.values[:0], 0, 0
	return nil
}
