package sqlite

import (
	"context"
	"time"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/sqlite/internal/capi"
)

// answerGrace is how long a caller whose context has ended still waits for the
// answer to a batch that is being applied, rather than call it unknown.
const answerGrace = time.Second

// Mutate implements storage.Storage. A batch that waits for its turn when ctx
// ends is certainly not applied; one that is being applied is waited for,
// for a second at most.
func (s *Storage) Mutate(ctx context.Context, batch storage.Batch) error {
	if len(batch.Mutations) == 0 {
		return model.Errorf(model.ErrBadArgument, "a batch needs a mutation")
	}
	if err := s.dialect.CheckBatch(&batch); err != nil {
		return err
	}
	r := newRequest()
	r.batch = batch.Mutations
	r.until = batch.Deadline
	return s.submit(ctx, r)
}

// do runs work on the writer's connection, in a transaction of its own.
func (s *Storage) do(ctx context.Context, work func(*capi.Conn) error) error {
	r := newRequest()
	r.work = work
	return s.submit(ctx, r)
}

// submit hands a request to the writer and waits for its answer.
func (s *Storage) submit(ctx context.Context, r *request) error {
	if err := s.begin(ctx); err != nil {
		return err
	}
	defer s.end()
	if busy := time.Now().Add(s.set.busy); r.until.IsZero() || busy.Before(r.until) {
		r.until = busy
	}
	select {
	case s.writer.queue <- r:
		s.writer.stats.asked.Add(1)
	case <-ctx.Done():
		return storage.UnavailableError(s.name, ctx.Err())
	}
	select {
	case err := <-r.done:
		r.recycle()
		return err
	case <-ctx.Done():
	}
	if r.abandon() {
		return storage.UnavailableError(s.name, ctx.Err())
	}
	timer := time.NewTimer(answerGrace)
	defer timer.Stop()
	select {
	case err := <-r.done:
		r.recycle()
		return err
	case <-timer.C:
		return storage.UnknownError(s.name, ctx.Err())
	}
}

// apply runs the mutations of one batch within the transaction that is open on
// c: nil, a *storage.ConditionError, or an error of SQLite.
func (s *Storage) apply(c *capi.Conn, ms []storage.Mutation, args *[]model.Value) error {
	for i := range ms {
		m := &ms[i]
		text := s.texts.Mutation(m)
		st, err := c.Prepare(text.SQL)
		if err != nil {
			return err
		}
		*args = text.AppendArgs((*args)[:0], m)
		rows, err := run(c, st, *args, text.Query)
		if err != nil {
			return err
		}
		if !text.Holds(rows) {
			return &storage.ConditionError{Index: i, Mutation: *m}
		}
	}
	return nil
}

// run runs one statement and counts the rows that it touched or, if query,
// whether it found one.
func run(c *capi.Conn, st *capi.Stmt, args []model.Value, query bool) (int64, error) {
	defer st.Reset()
	if err := bind(st, args); err != nil {
		return 0, err
	}
	found, err := st.Step()
	switch {
	case err != nil:
		return 0, err
	case !query:
		return c.Changes(), nil
	case found:
		return 1, nil
	}
	return 0, nil
}
