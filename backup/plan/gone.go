package plan

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/stillpoint-db/stillpoint/backup/catalog"
	"github.com/stillpoint-db/stillpoint/storage"
)

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
	p.find("", storage.Warning, "tables-gone", last.ID(), fmt.Sprintf("backup %s holds tables that are in no database now: %s", last.ID(), text), "if they were not dropped on purpose, keep that backup")
}
