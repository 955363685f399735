package plan

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/stillpoint-db/stillpoint/backup/catalog"
	"github.com/stillpoint-db/stillpoint/storage"
)

// noTables is the code of the finding that a database is empty.
const noTables = "no-tables"

// mostGone is how many tables are named that are not there any more.
const mostGone = 5

// checkGone warns of tables that the last backup holds and this one will not: a
// database may have been lost, or another be configured in its place. What
// cannot be read is not for a warning.
func (p *Plan) checkGone(ctx context.Context, opts Options) {
	if opts.Repository == nil {
		return
	}
	last, err := catalog.Open(ctx, opts.Repository, catalog.Latest)
	if err != nil {
		return
	}
	known := slices.Clone(p.Excluded)
	for _, d := range p.Databases {
		for _, t := range d.Tables {
			known = append(known, t.ID)
		}
	}
	var gone []string
	for i := range last.Manifest.Tables {
		if name := last.Manifest.Tables[i].Name().String(); !slices.Contains(known, name) {
			gone = append(gone, name)
		}
	}
	if len(gone) == 0 {
		return
	}
	text := strings.Join(gone[:min(len(gone), mostGone)], ", ")
	if more := len(gone) - mostGone; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	if !opts.AcceptLost {
		p.checkLost(last)
	}
	p.find("", storage.Warning, "tables-gone", last.ID(), fmt.Sprintf("backup %s holds tables that are in no database now: %s", last.ID(), text), "if they were not dropped on purpose, keep that backup")
}

// checkLost refuses a database that holds nothing at all and held tables when the
// last backup was taken: it is more likely lost than emptied on purpose, and a
// backup without it would be the latest.
func (p *Plan) checkLost(last *catalog.Backup) {
	for _, f := range slices.Clone(p.Findings) {
		if f.Code != noTables {
			continue
		}
		n := 0
		for i := range last.Manifest.Tables {
			if last.Manifest.Tables[i].Storage == f.Storage {
				n++
			}
		}
		if n > 0 {
			p.find(f.Storage, storage.Blocker, "storage-lost", f.Storage, fmt.Sprintf("storage %q holds no table, and backup %s holds %d of it", f.Storage, last.ID(), n),
				"restore it; or, if its tables were dropped or moved on purpose: --accept-lost")
		}
	}
}
