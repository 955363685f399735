package txn

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stillpoint-db/stillpoint/internal/mutant"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

// attempts is how often the Coordinator's table is asked or written before it
// is given up.
const attempts = 5

// pause is how long to wait after attempt i, counted from 0.
func pause(i int) time.Duration { return 50 * time.Millisecond << i }

// coordinator reads and writes the Coordinator's table: the one row whose
// presence decides a transaction.
type coordinator struct {
	store storage.Storage
	table *model.Table
	caps  storage.Capabilities
	now   func() time.Time
	sleep func(context.Context, time.Duration) error
}

func key(id string) model.Key { return model.Key{Partition: []model.Value{model.TextValue(id)}} }

// row makes the write of a decision: only if there is none yet.
func (c *coordinator) row(id string, state record.State, at int64) storage.Mutation {
	guard := storage.Guard{Kind: storage.NotExists}
	if mutant.On("txn.coordinator-guard") {
		guard.Kind = storage.Always
	}
	return storage.Mutation{Kind: storage.Put, Table: c.table, Key: key(id), Guard: guard, Set: []storage.Assignment{
		{Column: record.TxState, Value: model.IntValue(int32(state))},
		{Column: record.CreatedAt, Value: model.BigIntValue(at)},
	}}
}

// read tells the fate of one transaction as far as it is decided.
func (c *coordinator) read(ctx context.Context, id string) (record.Decision, error) {
	ds, err := c.readAll(ctx, []string{id})
	if err != nil {
		return record.Decision{}, err
	}
	return ds[0], nil
}

// readAll tells the fates of several transactions, in one call to the storage.
// A member of a group commit is decided by its group's row or by its own, so
// both are read.
func (c *coordinator) readAll(ctx context.Context, ids []string) ([]record.Decision, error) {
	gets := make([]storage.Get, 0, len(ids))
	for _, id := range ids {
		if parent, _, grouped := record.SplitID(id); grouped && !mutant.On("txn.plain-group-ids") {
			gets = append(gets, storage.Get{Table: c.table, Key: key(parent)})
		}
		gets = append(gets, storage.Get{Table: c.table, Key: key(id)})
	}
	rows, err := c.get(ctx, gets)
	if err != nil {
		return nil, err
	}
	out := make([]record.Decision, len(ids))
	for i, id := range ids {
		var parent, own *record.Coordinator
		if _, _, grouped := record.SplitID(id); grouped && !mutant.On("txn.plain-group-ids") {
			if parent, err = parse(rows[0]); err != nil {
				return nil, err
			}
			rows = rows[1:]
		}
		if own, err = parse(rows[0]); err != nil {
			return nil, err
		}
		rows = rows[1:]
		out[i] = record.Decide(id, parent, own)
	}
	return out, nil
}

// parse reads a row, refusing what no manager could have written.
func parse(row *model.Row) (*record.Coordinator, error) {
	if mutant.On("txn.trust-coordinator") && row != nil {
		return &record.Coordinator{ID: row.Get(record.TxID).Str(), State: record.State(row.Get(record.TxState).Int64()), At: row.Get(record.CreatedAt).Int64()}, nil
	}
	return record.ParseCoordinator(row)
}

// get reads rows, trying again while the database cannot be asked.
func (c *coordinator) get(ctx context.Context, gets []storage.Get) ([]*model.Row, error) {
	for i := 0; ; i++ {
		rows, err := c.store.Get(ctx, gets)
		if err == nil {
			return rows, nil
		}
		if i+1 == attempts || !errors.Is(err, model.ErrUnavailable) || c.sleep(ctx, pause(i)) != nil {
			return nil, fmt.Errorf("read the Coordinator's table %s: %w", c.table.Name(), err)
		}
	}
}

// putAborted decides that a transaction is aborted, unless it is decided
// already, and tells what holds now. A decision that vanished between the
// attempt and the look at it (other managers remove rows of finished
// transactions) is none. An error leaves it open.
func (c *coordinator) putAborted(ctx context.Context, id string) (record.Decision, error) {
	at := c.now().UnixMilli()
	for i := 0; ; i++ {
		err := c.store.Mutate(ctx, storage.Batch{Mutations: []storage.Mutation{c.row(id, record.Aborted, at)}})
		switch storage.OutcomeOf(err) {
		case storage.Applied:
			return record.Decision{State: record.Aborted, At: at}, nil
		case storage.ConditionFailed:
			return c.read(ctx, id)
		case storage.Refused:
			return record.Decision{}, fmt.Errorf("abort transaction %s: %w", id, err)
		}
		if i+1 == attempts || c.sleep(ctx, pause(i)) != nil {
			return record.Decision{}, fmt.Errorf("abort transaction %s: %w", id, err)
		}
	}
}

// abort decides that somebody else's transaction is aborted, unless it is
// decided already, and tells what holds now. For a member of a group commit the
// group's row is blocked first, so that it cannot be written with the member in
// it later; it decides nothing by itself.
func (c *coordinator) abort(ctx context.Context, id string) (record.Decision, error) {
	parent, _, grouped := record.SplitID(id)
	if grouped && !mutant.On("txn.plain-group-ids") && !mutant.On("txn.one-step-abort") {
		if _, err := c.putAborted(ctx, parent); err != nil {
			return record.Decision{}, err
		}
		if d, err := c.read(ctx, id); err != nil || d.State != 0 {
			return d, err
		}
	}
	return c.putAborted(ctx, id)
}
