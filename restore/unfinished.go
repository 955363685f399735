package restore

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/stillpoint-db/stillpoint/backup/repo"
)

// Unfinished tells which restores of a backup have a journal beside it that has
// begun to change databases and is not finished, in words; none if all is done.
// A journal that cannot be read counts.
func Unfinished(ctx context.Context, b repo.Backup) ([]string, error) {
	names, err := b.Notes(ctx)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, name := range names {
		if !strings.HasPrefix(name, journalPrefix) {
			continue
		}
		data, err := b.Note(ctx, name)
		if err != nil {
			return nil, err
		}
		j, err := decodeJournal(data)
		bad, isBad := errors.AsType[*JournalError](err)
		switch {
		case isBad:
			found = append(found, name+", whose journal "+bad.Reason)
		case err != nil:
			found = append(found, fmt.Sprintf("%s (%v)", name, err))
		case !j.Finished && j.marked():
			found = append(found, fmt.Sprintf("of %s into %s", j.Plan.Made.Format("2006-01-02 15:04:05Z07:00"), j.Plan.where()))
		}
	}
	return found, nil
}

// marked tells whether a database may have been changed.
func (j *journal) marked() bool {
	for _, s := range j.Plan.Steps {
		if s.Kind == Mark && j.Outcomes[s.ID] != nil {
			return true
		}
	}
	return false
}

// where names the databases of a plan.
func (p *Plan) where() string {
	var all []string
	for _, pl := range p.Places {
		all = append(all, fmt.Sprintf("%q (%s)", pl.Storage, pl.Endpoint))
	}
	return strings.Join(all, ", ")
}
