package create

import (
	"context"
	"errors"
	"fmt"

	"github.com/stillpoint-db/stillpoint/backup/repo"
	"github.com/stillpoint-db/stillpoint/model"
)

// failed says, of a backup that did not come to be, what is true now. The
// second error is that of removing it.
func (b *run) failed(err, removing error) error {
	id := b.draft.ID()
	if removing != nil {
		return &model.Error{Op: "backup " + id, Detail: "not made", Err: errors.Join(err, fmt.Errorf("what was written of it could not be removed: %w", removing)),
			Hint: "It counts as unfinished, and the next backup create removes it"}
	}
	if full, is := errors.AsType[*repo.NoSpaceError](err); is {
		return &model.Error{Class: model.ErrUnavailable, Op: "backup " + id, Detail: fmt.Sprintf("not made: %v%s", full, b.needed()),
			Hint: "What was written of it is removed, and nothing is held. Make room, or give another --repo"}
	}
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("backup %s was interrupted: what was written of it is removed, and nothing is held: %w", id, err)
	}
	return fmt.Errorf("backup %s was not made, and nothing is left of it: %w", id, err)
}

// needed says how much room the backup may need, if that is known.
func (b *run) needed() string {
	var known int64
	for _, d := range b.plan.Databases {
		known += max(0, d.Bytes)
	}
	if known == 0 {
		return ""
	}
	return fmt.Sprintf("; the tables hold about %d MB, which may need as much", (known+999_999)/1_000_000)
}
