package mysql

import (
	"context"
	"iter"
	"strings"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// Bounds of one transaction of Load, which is one statement.
const (
	loadRows  = 1000
	loadBytes = 1 << 20 // of values; the text is at most about twice as long
)

// Load implements storage.Loader: inserts of many rows each.
func (s *Store) Load(ctx context.Context, table *model.Table, rows iter.Seq2[*model.Row, error]) (int64, error) {
	ses, err := s.openAlone(ctx, readCommitted)
	if err != nil {
		return 0, err
	}
	defer ses.close()
	// Nobody else writes to the table, and a load that stops is done again.
	l := loader{store: s, ses: ses, table: table, head: s.insertHead(table)}
	for row, err := range rows {
		if err != nil {
			return l.done, err
		}
		if err := l.add(ctx, row); err != nil {
			return l.done, err
		}
	}
	return l.done, l.flush(ctx)
}

type loader struct {
	store *Store
	ses   *session
	table *model.Table
	head  string
	text  []byte
	rows  int64 // in text
	done  int64
}

func (s *Store) insertHead(table *model.Table) string {
	names := make([]string, len(table.Columns()))
	for i, c := range table.Columns() {
		names[i] = s.dialect.Ident(c.Name)
	}
	return "INSERT INTO " + s.dialect.Table(table.Name()) + " (" + strings.Join(names, ",") + ") VALUES "
}

func (l *loader) add(ctx context.Context, row *model.Row) error {
	if err := l.store.dialect.CheckGet(&storage.Get{Table: l.table, Key: row.Key()}); err != nil {
		return err
	}
	size := 0
	for _, v := range row.Values {
		size += len(v.Str())
	}
	if l.rows > 0 && len(l.text)+2*size > loadBytes {
		if err := l.flush(ctx); err != nil {
			return err
		}
	}
	if 2*size > loadBytes {
		return l.addLarge(ctx, row)
	}
	if l.rows == 0 {
		l.text = append(l.text[:0], l.head...)
	} else {
		l.text = append(l.text, ',')
	}
	l.text = append(l.text, '(')
	for i, v := range row.Values {
		if i > 0 {
			l.text = append(l.text, ',')
		}
		l.text = appendLiteral(l.text, v)
	}
	l.text = append(l.text, ')')
	if l.rows++; l.rows >= loadRows || len(l.text) >= loadBytes {
		return l.flush(ctx)
	}
	return nil
}

// addLarge inserts a row whose text could be larger than the server takes.
func (l *loader) addLarge(ctx context.Context, row *model.Row) error {
	m := storage.Mutation{Kind: storage.Put, Table: l.table, Key: row.Key(), Guard: storage.Guard{Kind: storage.NotExists}}
	for i, c := range l.table.Columns()[l.table.KeyLen():] {
		m.Set = append(m.Set, storage.Assignment{Column: c.Name, Value: row.Values[l.table.KeyLen()+i]})
	}
	if err := l.store.checkSizes([]storage.Mutation{m}); err != nil {
		return err
	}
	st := l.store.builder.Mutation(&m)
	if _, _, err := l.ses.exec(ctx, st.SQL, st.AppendArgs(nil, &m)); err != nil {
		return l.store.wrap("load "+l.table.Name().String()+" into", err)
	}
	l.done++
	return nil
}

func (l *loader) flush(ctx context.Context) error {
	if l.rows == 0 {
		return nil
	}
	if err := l.ses.execText(ctx, string(l.text)); err != nil {
		return l.store.wrap("load "+l.table.Name().String()+" into", err)
	}
	l.done += l.rows
	l.rows = 0
	return nil
}
