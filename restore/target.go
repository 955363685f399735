package restore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/stillpoint-db/stillpoint/internal/marker"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// Target is where a backup goes.
type Target struct {
	// Storages are the databases that may be restored to.
	Storages []storage.Storage
	// Into maps names of storages in the backup to names among Storages. A
	// name that is not in it goes to the storage of the same name, or to the
	// only one if both sides have one.
	Into map[string]string
	// Route tells the name of the storage in which clients of the target's
	// configuration look for a table; nil if nobody knows.
	Route func(model.TableName) string
	// Coordinator is the Coordinator's table by the target's configuration;
	// the zero name if nobody knows.
	Coordinator model.TableName
	// Label names the configuration for people.
	Label string
}

// names lists the storages' names.
func (t Target) names() []string {
	names := make([]string, len(t.Storages))
	for i, s := range t.Storages {
		names[i] = s.Name()
	}
	return names
}

// place finds the storage that a storage of the backup goes to.
func (t Target) place(from string, only bool) (storage.Storage, error) {
	to, mapped := t.Into[from]
	if !mapped {
		to = from
	}
	if i := slices.IndexFunc(t.Storages, func(s storage.Storage) bool { return s.Name() == to }); i >= 0 {
		return t.Storages[i], nil
	}
	if !mapped && only && len(t.Storages) == 1 {
		return t.Storages[0], nil
	}
	return nil, &model.Error{Class: model.ErrBadArgument, Detail: fmt.Sprintf("the backup has a storage %q, and %s has no storage %q (it has %q)", from, t.Label, to, t.names()),
		Hint: fmt.Sprintf("Say where it goes with --into %s=NAME. Nothing was changed", from)}
}

// powers are a target storage with the powers that a restore needs.
type powers struct {
	storage.Storage
	loader    storage.Loader
	inspector storage.Inspector
}

func powersOf(s storage.Storage) (powers, error) {
	p := powers{Storage: s}
	var ok bool
	if p.loader, ok = s.(storage.Loader); !ok {
		return p, model.Errorf(model.ErrRefused, "storage %q cannot be loaded into", s.Name())
	}
	if p.inspector, ok = s.(storage.Inspector); !ok {
		return p, model.Errorf(model.ErrRefused, "storage %q cannot be inspected", s.Name())
	}
	return p, nil
}

// The sessions of a client that is just logging off are seen for a moment.
const (
	sessionLooks = 3
	sessionPause = 150 * time.Millisecond
)

// connected lists who stays connected.
func (p powers) connected(ctx context.Context) ([]storage.Session, error) {
	for look := 1; ; look++ {
		sessions, err := p.inspector.Sessions(ctx)
		if err != nil || len(sessions) == 0 || look == sessionLooks {
			return sessions, err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(sessionPause):
		}
	}
}

// marks reads the marks of a target; none if it has no such table.
func (p powers) marks(ctx context.Context) ([]marker.Marker, error) {
	def, err := p.Admin().Table(ctx, marker.TableName)
	if errors.Is(err, model.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	page, err := p.Scan(ctx, storage.Scan{Table: def, Kind: storage.ScanTable})
	if err != nil {
		return nil, err
	}
	var ms []marker.Marker
	for _, row := range page.Rows {
		ms = append(ms, marker.Parse(row))
	}
	return ms, nil
}

// readable fails if the table in the database is not what its definition says.
func (p powers) readable(ctx context.Context, t *model.Table) error {
	_, err := p.Scan(ctx, storage.Scan{Table: t, Kind: storage.ScanTable, Limit: 1})
	return err
}

// countLimit is how far rows that are in the way are counted.
const countLimit = 1_000_000

// count counts the rows of a table, up to countLimit.
func (p powers) count(ctx context.Context, t *model.Table) (int64, error) {
	scan := storage.Scan{Table: t, Kind: storage.ScanTable}
	var n int64
	for {
		page, err := p.Scan(ctx, scan)
		if err != nil {
			return n, err
		}
		n += int64(len(page.Rows))
		if page.Next == "" || n >= countLimit {
			return n, nil
		}
		scan.Token = page.Next
	}
}

// Marked returns the backup whose restore into one of the storages has begun and
// not finished; "" if there is none.
func Marked(ctx context.Context, storages []storage.Storage) (backup string, err error) {
	for _, s := range storages {
		marks, err := powers{Storage: s}.marks(ctx)
		if err != nil {
			return "", err
		}
		for _, m := range marks {
			backup = m.Backup
		}
	}
	return backup, nil
}
