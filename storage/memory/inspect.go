package memory

import (
	"context"
	"strconv"

	"github.com/stillpoint-db/stillpoint/storage"
)

// Inspect implements storage.Inspector.
func (s *Storage) Inspect(ctx context.Context, opts storage.InspectOptions) (storage.Inspection, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return storage.Inspection{}, err
	}
	defer leave()
	in := storage.Inspection{
		Engine:   "memory",
		Version:  "1",
		Endpoint: s.db.endpoint(),
		Identity: "memory:" + strconv.FormatInt(s.db.id, 10),
		Bytes:    -1,
	}
	s.db.mu.RLock()
	defer s.db.mu.RUnlock()
	for _, name := range opts.Tables {
		if t := s.db.tables[name]; t != nil {
			in.Tables = append(in.Tables, storage.TableInfo{Name: name, Rows: int64(len(t.rows)), Bytes: -1})
		} else if opts.Backup {
			in.Findings = append(in.Findings, storage.Finding{Code: "table-missing", Severity: storage.Blocker,
				Subject: name.String(), Text: "the table does not exist"})
		}
	}
	return in, nil
}

// Sessions implements storage.Inspector: all sessions are this process's own.
func (s *Storage) Sessions(context.Context) ([]storage.Session, error) { return nil, nil }

// TerminateSessions implements storage.Inspector.
func (s *Storage) TerminateSessions(context.Context) (int, error) { return 0, nil }
