package txn

import (
	"context"
	"errors"
	"time"

	"github.com/stillpoint-db/stillpoint/internal/failpoint"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// prepare announces the writes of several groups, at once, and waits for all of
// them even if one fails: a write that is on its way when records are taken back
// would stay. It returns the first group's error, in their order.
func (tx *Tx) prepare(ctx context.Context, groups []*group, now int64) error {
	if len(groups) == 0 {
		return nil
	}
	start := tx.clock(tx.m.opts.Hooks.Prepare)
	tx.m.parallel(len(groups), func(i int) {
		g := groups[i]
		failpoint.Here("txn.prepare.before")
		g.err = tx.m.mutate(ctx, storage.Batch{Mutations: g.batch(func(e *entry) storage.Mutation { return e.prepare(tx.id, now) })})
		g.outcome = storage.OutcomeOf(g.err)
		failpoint.Here("txn.prepare.after")
	})
	var err error
	records := 0
	for _, g := range groups {
		records += len(g.entries)
		if g.err != nil && err == nil {
			err = tx.notWritten("commit", g.entries, g.err)
		}
	}
	tx.hook(tx.m.opts.Hooks.Prepare, start, records, err)
	return err
}

// mutate sends a batch, and sends it again a few times while it is certainly not
// applied because of other sessions: its guards still say what they did, and it
// is cheaper than running the transaction again.
func (m *Manager) mutate(ctx context.Context, batch storage.Batch) error {
	for i := 0; ; i++ {
		err := m.store.Mutate(ctx, batch)
		if storage.OutcomeOf(err) != storage.NotApplied || !errors.Is(err, model.ErrConflict) || i == quickAttempts {
			return err
		}
		if m.opts.Sleep(ctx, time.Millisecond<<i) != nil {
			return err
		}
	}
}

// quickAttempts is how often a batch that met a deadlock is sent again.
const quickAttempts = 2
