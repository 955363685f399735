package restore

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/stillpoint-db/stillpoint/backup/catalog"
	"github.com/stillpoint-db/stillpoint/backup/manifest"
	"github.com/stillpoint-db/stillpoint/model"
)

// FromCatalog makes a Backup of one that the catalog has opened.
func FromCatalog(b *catalog.Backup) (Backup, error) {
	c := &catalogBackup{b: b, files: map[model.TableName]*manifest.Table{}}
	for i := range b.Manifest.Tables {
		t := &b.Manifest.Tables[i]
		def, err := t.Definition.Table()
		if err != nil {
			return nil, fmt.Errorf("backup %s: %w", b.ID(), err)
		}
		if c.files[def.Name()] != nil {
			return nil, model.Errorf(model.ErrRefused, "backup %s holds table %s twice, from two storages: it cannot be restored as one set", b.ID(), def.Name())
		}
		c.files[def.Name()] = t
		c.tables = append(c.tables, BackupTable{Storage: t.Storage, Table: def, Rows: t.Rows, Bytes: t.Raw,
			Coordinator: t.Kind == manifest.CoordinatorOf, Transactional: t.Kind == manifest.Transactional})
	}
	return c, nil
}

type catalogBackup struct {
	b      *catalog.Backup
	tables []BackupTable
	files  map[model.TableName]*manifest.Table
}

// ID implements Backup.
func (c *catalogBackup) ID() string { return c.b.ID() }

// Moment implements Backup.
func (c *catalogBackup) Moment() time.Time { return c.b.Manifest.Moment }

// Tables implements Backup.
func (c *catalogBackup) Tables() []BackupTable { return c.tables }

// Rows implements Backup.
func (c *catalogBackup) Rows(ctx context.Context, t BackupTable) iter.Seq2[*model.Row, error] {
	return c.b.Rows(ctx, c.files[t.Table.Name()])
}
