package restore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stillpoint-db/stillpoint/internal/failpoint"
	"github.com/stillpoint-db/stillpoint/internal/marker"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// mark puts the mark of this restore, and of no other, into a target.
func (x *executor) mark(ctx context.Context, s Step) (*stepOutcome, error) {
	failpoint.Here("restore.mark")
	t := x.byName[s.Storage]
	if !x.marking.Load() { // the first one
		if err := x.stillEmpty(ctx); err != nil {
			return nil, err
		}
	}
	x.marking.Store(true)
	if err := makeMarkNamespace(ctx, t.Admin()); err != nil {
		return nil, err
	}
	if err := t.Admin().CreateTable(ctx, marker.Table()); err != nil && !errors.Is(err, model.ErrExists) {
		return nil, err
	}
	failpoint.Here("restore.mark.table-made")
	if err := t.Admin().TruncateTable(ctx, marker.TableName); err != nil {
		return nil, err
	}
	row := marker.New(x.plan.ID, x.plan.Backup, host(), time.Now()).Row()
	if err := t.Mutate(ctx, storage.Batch{Mutations: []storage.Mutation{put(row, storage.Guard{})}}); err != nil {
		return nil, err
	}
	failpoint.Here("restore.mark.done")
	return &stepOutcome{}, nil
}

// stillEmpty refuses what the plan would have refused: rows in the way, which came
// while the plan was being read and accepted, and the backup verified.
func (x *executor) stillEmpty(ctx context.Context) error {
	if x.opts.Replace {
		return nil
	}
	for _, bt := range x.opts.Backup.Tables() {
		t, name := x.places[bt.Storage], bt.Table.Name()
		have, err := t.Admin().Table(ctx, name)
		if err == nil {
			var page storage.Page
			if page, err = t.Scan(ctx, storage.Scan{Table: have, Kind: storage.ScanTable, Limit: 1}); err == nil && len(page.Rows) > 0 {
				return &model.Error{Class: model.ErrRefused, Detail: fmt.Sprintf("refusing to restore over data: %s in %q was empty when the plan was made, and holds rows now", name, t.Name()),
					Hint: "--replace drops it, --into MAP restores elsewhere"}
			}
		}
		if err != nil && transient(ctx, err) {
			return err
		}
	}
	return nil
}

// makeMarkNamespace makes the namespace of the mark, whatever the server's
// defaults: tables of a backup are nobody's business there.
func makeMarkNamespace(ctx context.Context, a storage.Admin) error {
	if exact, ok := a.(storage.ExactNamespaces); ok {
		return exact.CreateExactNamespace(ctx, marker.TableName.Namespace)
	}
	return a.CreateNamespace(ctx, marker.TableName.Namespace)
}

// unmark removes the mark, the last trace of a restore.
func (x *executor) unmark(ctx context.Context, s Step) (*stepOutcome, error) {
	failpoint.Here("restore.unmark")
	t := x.byName[s.Storage]
	if err := dropIfThere(ctx, t, marker.TableName); err != nil {
		return nil, err
	}
	failpoint.Here("restore.unmark.table-dropped")
	// Somebody's table in the namespace of the mark keeps it, and no more.
	if err := t.Admin().DropNamespace(ctx, marker.TableName.Namespace); err != nil && !errors.Is(err, model.ErrRefused) {
		return nil, err
	}
	failpoint.Here("restore.unmark.done")
	return &stepOutcome{}, nil
}

// withdrawCoordinator drops the Coordinator's table: the first step that
// destroys.
func (x *executor) withdrawCoordinator(ctx context.Context, s Step) (*stepOutcome, error) {
	failpoint.Here("restore.withdraw-coordinator")
	if err := x.alone(ctx); err != nil {
		return nil, err
	}
	if err := dropIfThere(ctx, x.byName[s.Storage], x.tables[s.Table].Table.Name()); err != nil {
		return nil, err
	}
	failpoint.Here("restore.withdraw-coordinator.done")
	return &stepOutcome{}, nil
}

// clear empties or drops a table.
func (x *executor) clear(ctx context.Context, s Step) (*stepOutcome, error) {
	failpoint.Here("restore.clear")
	if err := x.alone(ctx); err != nil {
		return nil, err
	}
	t, name := x.byName[s.Storage], x.tables[s.Table].Table.Name()
	if s.Drop {
		if err := dropIfThere(ctx, t, name); err != nil {
			return nil, err
		}
	} else if err := t.Admin().TruncateTable(ctx, name); err != nil {
		return nil, err
	}
	failpoint.Here("restore.clear.done")
	return &stepOutcome{}, nil
}

func dropIfThere(ctx context.Context, t powers, name model.TableName) error {
	if err := t.Admin().DropTable(ctx, name); err != nil && !errors.Is(err, model.ErrNotFound) {
		return err
	}
	return nil
}

// create makes a table that is not there.
func (x *executor) create(ctx context.Context, s Step) (*stepOutcome, error) {
	failpoint.Here("restore.create")
	if err := makeTable(ctx, x.byName[s.Storage], x.tables[s.Table].Table); err != nil {
		return nil, err
	}
	failpoint.Here("restore.create.done")
	return &stepOutcome{}, nil
}

func makeTable(ctx context.Context, t powers, def *model.Table) error {
	if err := t.Admin().CreateNamespace(ctx, def.Name().Namespace); err != nil {
		return err
	}
	failpoint.Here("restore.namespace-made")
	err := t.Admin().CreateTable(ctx, def)
	if !errors.Is(err, model.ErrExists) {
		return err
	}
	have, err := t.Admin().Table(ctx, def.Name())
	if err != nil {
		return err
	}
	if !have.Equal(def) {
		return model.Errorf(model.ErrRefused, "%s in %q has appeared meanwhile, defined otherwise than in the backup: %s", def.Name(), t.Name(), difference(def, have))
	}
	return nil
}

// put makes a mutation that writes all columns of a row.
func put(row *model.Row, guard storage.Guard) storage.Mutation {
	m := storage.Mutation{Kind: storage.Put, Table: row.Table, Key: row.Key(), Guard: guard}
	for i, c := range row.Table.Columns() {
		if !row.Table.IsKey(i) && row.Values[i].IsSet() {
			m.Set = append(m.Set, storage.Assignment{Column: c.Name, Value: row.Values[i]})
		}
	}
	return m
}

// endSessions ends the sessions of others, or refuses if there are any.
func (x *executor) endSessions(ctx context.Context, s Step) (*stepOutcome, error) {
	failpoint.Here("restore.end-sessions")
	ended, err := x.aloneOn(ctx, x.byName[s.Storage])
	if err != nil {
		return nil, err
	}
	failpoint.Here("restore.end-sessions.done")
	return &stepOutcome{Ended: ended}, nil
}

// alone makes sure that nobody else is connected to any target.
func (x *executor) alone(ctx context.Context) error {
	for _, t := range x.byName {
		if _, err := x.aloneOn(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

// endTries is how often sessions that come back are ended.
const endTries = 5

func (x *executor) aloneOn(ctx context.Context, t powers) (ended int, err error) {
	for range endTries {
		sessions, err := t.connected(ctx)
		if err != nil || len(sessions) == 0 {
			return ended, err
		}
		if !x.opts.TerminateSessions {
			var cs []Connected
			for _, s := range sessions {
				cs = append(cs, Connected{t.Name(), s})
			}
			return ended, &model.Error{Class: model.ErrRefused, Detail: describeSessions(cs), Hint: "Stop those applications, or end their sessions with --terminate-sessions"}
		}
		n, err := t.inspector.TerminateSessions(ctx)
		if err != nil {
			return ended, fmt.Errorf("end the sessions of %q: %w", t.Name(), err)
		}
		ended += n
	}
	sessions, err := t.inspector.Sessions(ctx)
	if err != nil || len(sessions) == 0 {
		return ended, err
	}
	return ended, &model.Error{Class: model.ErrRefused, Detail: fmt.Sprintf("%d sessions of %q come back as soon as they are ended, the first of %s %s", len(sessions), t.Name(), sessions[0].User, sessions[0].Client),
		Hint: "Stop those applications, or lock their user out"}
}
