package check

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/stillpoint-db/stillpoint/model"
)

// Source is the data to be checked. Its methods are called from one goroutine.
type Source interface {
	// Label names the source for people: "backup 2026…", "prod.properties".
	Label() string
	// Moment is when the data is of: the time of a backup's fence, or now.
	Moment() time.Time
	// Tables lists the transactional tables, in order, without the
	// Coordinator's.
	Tables(ctx context.Context) ([]Table, error)
	// Skipped lists the tables that are there and not checked: those that are
	// not transactional, and those that are looked for in another storage.
	Skipped() []Table
	// Coordinator returns the Coordinator's table: model.ErrNotFound if there
	// is none.
	Coordinator(ctx context.Context) (Table, error)
	// Rows streams a table. A row is valid until the next one is asked for.
	// The sequence ends after an error.
	Rows(ctx context.Context, t Table) iter.Seq2[*model.Row, error]
}

// Live is a Source that changes while it is read, and in which rows can be read
// again.
type Live interface {
	Source
	// Get reads rows by key, each as it is now; nil where there is none.
	Get(ctx context.Context, t Table, keys []model.Key) ([]*model.Row, error)
}

// Table is a table of a Source.
type Table struct {
	*model.Table
	Storage string // the name of the storage that holds it
}

// Unreadable is a table that is not what its definition says.
type Unreadable struct {
	Table   model.TableName
	Storage string
	Err     error
}

// transient tells whether an error is the moment's rather than the data's.
func transient(ctx context.Context, err error) bool {
	return ctx.Err() != nil || errors.Is(err, model.ErrUnavailable) || errors.Is(err, model.ErrConflict)
}
