package check

import (
	"context"
	"iter"
	"time"

	"github.com/stillpoint-db/stillpoint/backup/catalog"
	"github.com/stillpoint-db/stillpoint/backup/manifest"
	"github.com/stillpoint-db/stillpoint/model"
)

// Backup is the Source of a backup. Reading it verifies its checksums too:
// damage is model.ErrDamaged.
type Backup struct {
	b           *catalog.Backup
	tables      []Table
	skipped     []Table
	coordinator *Table
	files       map[model.TableName]*manifest.Table
}

// NewBackup makes the source of a backup.
func NewBackup(b *catalog.Backup) (*Backup, error) {
	s := &Backup{b: b, files: map[model.TableName]*manifest.Table{}}
	for i := range b.Manifest.Tables {
		m := &b.Manifest.Tables[i]
		def, err := m.Definition.Table()
		if err != nil {
			return nil, err
		}
		t := Table{Table: def, Storage: m.Storage}
		s.files[def.Name()] = m
		switch m.Kind {
		case manifest.Transactional:
			s.tables = append(s.tables, t)
		case manifest.CoordinatorOf:
			s.coordinator = &t
		default:
			s.skipped = append(s.skipped, t)
		}
	}
	return s, nil
}

// Label implements Source.
func (s *Backup) Label() string { return "backup " + s.b.ID() }

// Moment implements Source.
func (s *Backup) Moment() time.Time { return s.b.Manifest.Moment }

// Tables implements Source.
func (s *Backup) Tables(context.Context) ([]Table, error) { return s.tables, nil }

// Skipped implements Source.
func (s *Backup) Skipped() []Table { return s.skipped }

// Coordinator implements Source.
func (s *Backup) Coordinator(context.Context) (Table, error) {
	if s.coordinator == nil {
		return Table{}, model.Errorf(model.ErrNotFound, "backup %s holds no transactional table: there is nothing to check", s.b.ID())
	}
	return *s.coordinator, nil
}

// Rows implements Source.
func (s *Backup) Rows(ctx context.Context, t Table) iter.Seq2[*model.Row, error] {
	return s.b.Rows(ctx, s.files[t.Name()])
}
