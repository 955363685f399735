package postgres

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/stillpoint-db/stillpoint/model"
)

// keyConstraint tells whether a unique index that an insert violated is over the
// primary key. Imported tables may have others, and a row that violates one of
// them is not there under its key. The names that ScalarDB and PostgreSQL give
// need no asking. It asks in the session of the insert: there may be no other.
func (d *db) keyConstraint(s *session, t *model.Table, index string) bool {
	if strings.HasSuffix(index, "_pkey") || strings.HasPrefix(index, "index_clustering_order_") || strings.HasSuffix(index, "_clustering_order_idx") {
		return true
	}
	type id struct {
		table model.TableName
		index string
	}
	if v, ok := d.foreign.Load(id{t.Name(), index}); ok {
		return v.(bool)
	}
	if s.dead {
		return true
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	rows, err := d.query(ctx, s, `SELECT a.attname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_index i ON i.indexrelid = c.oid
		JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey) WHERE n.nspname = $1 AND c.relname = $2`, t.Name().Namespace, index)
	if err != nil {
		return true
	}
	var have, want []string
	for _, r := range rows {
		have = append(have, r[0])
	}
	for _, c := range t.Columns()[:t.KeyLen()] {
		want = append(want, c.Name)
	}
	slices.Sort(have)
	slices.Sort(want)
	same := slices.Equal(have, want)
	d.foreign.Store(id{t.Name(), index}, same)
	return same
}
