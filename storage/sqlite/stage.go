package sqlite

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/sqlite/internal/capi"
)

// rowRange is a part of a table: the rows from one rowid to another.
type rowRange struct {
	whole       bool
	first, last int64
}

// rowidName is a name of the rowid that no column of the table hides; "" if
// there is none.
func rowidName(t *model.Table) string {
	for _, name := range []string{"rowid", "_rowid_", "oid"} {
		if !slices.ContainsFunc(t.Columns(), func(c model.Column) bool { return strings.EqualFold(c.Name, name) }) {
			return name
		}
	}
	return ""
}

// rowidSpan finds the first and last rowid of a table: an upper bound of its
// rows, and quick. n is 0 if it is empty, -1 if it has no rowid.
func rowidSpan(c *capi.Conn, d interface{ Table(model.TableName) string }, t *model.Table) (first, last, n int64, err error) {
	id := rowidName(t)
	if id == "" {
		return 0, 0, -1, nil
	}
	rows, err := c.Strings("SELECT (SELECT min(" + id + ") FROM " + d.Table(t.Name()) + "),(SELECT max(" + id + ") FROM " + d.Table(t.Name()) + ")")
	if err != nil {
		if capi.IsMissing(err) || capi.IsMissingColumn(err) { // no such table, or WITHOUT ROWID: the reader will tell
			return 0, 0, -1, nil
		}
		return 0, 0, 0, err
	}
	if len(rows) != 1 || rows[0][0] == "" {
		return 0, 0, 0, nil
	}
	if first, err = strconv.ParseInt(rows[0][0], 10, 64); err != nil {
		return 0, 0, -1, nil // a table whose rowid is something else
	}
	if last, err = strconv.ParseInt(rows[0][1], 10, 64); err != nil {
		return 0, 0, -1, nil
	}
	if n = last - first + 1; n <= 0 { // more than fits
		n = -1
	}
	return first, last, n, nil
}

// Split implements storage.Snapshot.
func (sn *snapshot) Split(ctx context.Context, t *model.Table, n int) ([]storage.Part, error) {
	c, err := sn.stage.get(ctx)
	if err != nil {
		return nil, sn.s.readError(err)
	}
	defer sn.stage.put(c)
	first, last, rows, err := rowidSpan(c, sn.s.dialect, t)
	if err != nil {
		return nil, sn.s.readError(err)
	}
	if rows < 0 || rows < 2*int64(max(1, n)) || n <= 1 {
		return []storage.Part{{Where: rowRange{whole: true}, Rows: rows, Bytes: -1}}, nil
	}
	parts := make([]storage.Part, n)
	step := rows / int64(n)
	for i := range parts {
		r := rowRange{first: first + int64(i)*step, last: first + int64(i+1)*step - 1}
		if i == n-1 {
			r.last = last
		}
		parts[i] = storage.Part{Where: r, Rows: r.last - r.first + 1, Bytes: -1}
	}
	return parts, nil
}

// Read implements storage.Snapshot.
func (sn *snapshot) Read(ctx context.Context, t *model.Table, part storage.Part, yield func(*model.Row) error) error {
	r, ok := part.Where.(rowRange)
	if !ok {
		return model.Errorf(model.ErrBadArgument, "the part is not one of this snapshot")
	}
	c, err := sn.stage.get(ctx)
	if err != nil {
		return sn.s.readError(err)
	}
	defer sn.stage.put(c)
	defer interruptible(ctx, c)()
	sql := "SELECT " + sn.texts.Columns(t) + " FROM " + sn.s.dialect.Table(t.Name())
	var args []model.Value
	if !r.whole {
		id := rowidName(t)
		sql += " WHERE " + id + ">=? AND " + id + "<=? ORDER BY " + id
		args = []model.Value{model.BigIntValue(r.first), model.BigIntValue(r.last)}
	}
	st, err := c.Prepare(sql)
	if err != nil {
		return sn.s.readError(err)
	}
	defer st.Reset()
	if err := bind(st, args); err != nil {
		return sn.s.readError(err)
	}
	row := &model.Row{Table: t, Values: make([]model.Value, len(t.Columns()))}
	for {
		found, err := st.Step()
		switch {
		case err != nil && ctx.Err() != nil:
			return storage.UnavailableError(sn.s.name, ctx.Err())
		case err != nil:
			return sn.s.readError(err)
		case !found:
			return nil
		}
		if err := readRow(st, t, row.Values); err != nil {
			return err
		}
		if err := yield(row); err != nil {
			return err
		}
	}
}
