package txn

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"

	"github.com/stillpoint-db/stillpoint/internal/failpoint"
	"github.com/stillpoint-db/stillpoint/storage"
)

// write applies writes of any transactions, each by its own guard, in as few
// calls as there are atomic units. It goes on after an error and returns the
// first one; a write whose guard does not hold has been done by somebody else.
func (b *background) write(ctx context.Context, writes []storage.Mutation) error {
	var first error
	for len(writes) > 0 {
		batch, rest := b.nextBatch(writes)
		writes = rest
		failpoint.Here("txn.settle.before")
		if err := b.writeBatch(ctx, batch); err != nil {
			b.m.opts.Logger.LogAttrs(ctx, slog.LevelWarn, "records of decided transactions are left to be settled by their next reader",
				slog.Int("records", len(batch)), slog.Any("error", err))
			first = cmp.Or(first, err)
		}
		failpoint.Here("txn.settle.after")
	}
	return first
}

// nextBatch takes the writes of the first one's unit, in the order in which all
// writers touch records, no key twice.
func (b *background) nextBatch(writes []storage.Mutation) (batch, rest []storage.Mutation) {
	store := b.m.store
	unit := store.Unit(writes[0].Table.Name(), writes[0].Key)
	limit := settleBatch
	if most := store.Capabilities(writes[0].Table.Name()).MaxMutations; most > 0 {
		limit = min(limit, most)
	}
	for _, w := range writes {
		if store.Unit(w.Table.Name(), w.Key) == unit && len(batch) < limit {
			batch = append(batch, w)
		} else {
			rest = append(rest, w)
		}
	}
	slices.SortStableFunc(batch, compareMutations)
	kept := batch[:0:len(batch)]
	for i, w := range batch {
		if i > 0 && len(kept) > 0 && compareMutations(kept[len(kept)-1], w) == 0 {
			rest = append(rest, w)
			continue
		}
		kept = append(kept, w)
	}
	return kept, rest
}

// compareMutations is the order in which all writers touch records.
func compareMutations(a, b storage.Mutation) int {
	if c := a.Table.Name().Compare(b.Table.Name()); c != 0 {
		return c
	}
	return a.Key.Compare(b.Key)
}

// writeBatch applies one unit's writes, leaving out those that turn out to be
// done.
func (b *background) writeBatch(ctx context.Context, batch []storage.Mutation) error {
	for tries := 0; len(batch) > 0; {
		err := b.m.store.Mutate(ctx, storage.Batch{Mutations: batch})
		switch storage.OutcomeOf(err) {
		case storage.Applied:
			return nil
		case storage.Refused:
			return err
		case storage.ConditionFailed:
			var c *storage.ConditionError
			if !errors.As(err, &c) || c.Index < 0 || c.Index >= len(batch) {
				return err
			}
			batch = slices.Delete(slices.Clone(batch), c.Index, c.Index+1)
			continue
		}
		// Not applied, or unknown: the guards make it safe to try again.
		if tries++; tries == attempts || b.m.opts.Sleep(ctx, pause(tries-1)) != nil {
			return err
		}
	}
	return nil
}
