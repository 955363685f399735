package restore

import (
	"context"
	"iter"
	"time"

	"github.com/stillpoint-db/stillpoint/model"
)

// Backup is what a restore reads. Rows may be called from several goroutines at
// once.
type Backup interface {
	// ID is the backup's id.
	ID() string
	// Moment is the moment of the cut.
	Moment() time.Time
	// Tables lists every table that the backup holds, in order.
	Tables() []BackupTable
	// Rows streams a table, and checks what it reads against what was written:
	// model.ErrDamaged, naming the place, if it differs. A row is valid until
	// the next one is asked for. The sequence ends after an error.
	Rows(ctx context.Context, t BackupTable) iter.Seq2[*model.Row, error]
}

// BackupTable is a table in a backup.
type BackupTable struct {
	Storage string       // the name that its storage had
	Table   *model.Table // as stored, with the columns of transactions
	Rows    int64
	Bytes   int64 // of the rows, before compression
	// Coordinator: it is the Coordinator's table. Transactional: its records
	// are a transaction manager's. If neither, its rows are restored as they are.
	Coordinator, Transactional bool
}
