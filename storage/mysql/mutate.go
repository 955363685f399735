package mysql

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/internal/sqldb"
)

// maxPlaceholders is the most that the protocol has in one prepared statement.
const maxPlaceholders = 65535

// repeatWithin is how soon after its beginning a batch that was lost before it was
// sent is sent once more. Later its caller decides: this process may have been
// frozen, and the database be another one by now.
var repeatWithin = time.Second

// Mutate implements storage.Storage.
func (s *Store) Mutate(ctx context.Context, batch storage.Batch) error {
	if err := s.dialect.CheckBatch(&batch); err != nil {
		return err
	}
	if len(batch.Mutations) == 0 {
		return model.Errorf(model.ErrBadArgument, "a batch has no mutations")
	}
	if err := s.checkSizes(batch.Mutations); err != nil {
		return err
	}
	if !batch.Deadline.IsZero() {
		if !time.Now().Before(batch.Deadline) {
			return storage.UnavailableError(s.cfg.Name, context.DeadlineExceeded)
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, batch.Deadline)
		defer cancel()
	}
	for try := 0; ; try++ {
		if err := ctx.Err(); err != nil {
			return storage.UnavailableError(s.cfg.Name, err)
		}
		ses, err := s.lend(ctx)
		if err != nil {
			return err
		}
		begun := time.Now()
		sent, err := s.mutate(ctx, ses, batch.Mutations)
		lost := ses.broken
		s.giveBack(ctx, ses)
		if err == nil {
			return nil
		}
		if sent || !lost || ctx.Err() != nil || try == 2 || time.Since(begun) >= repeatWithin || class(err) != model.ErrUnavailable {
			return s.writeError(err, sent)
		}
		s.pool.dropIdle()
	}
}

// checkSizes refuses values larger than the server takes, of which it would say
// so only when it is too late to know what became of the batch.
func (s *Store) checkSizes(ms []storage.Mutation) error {
	for i := range ms {
		for _, a := range ms[i].Set {
			if n := len(a.Value.Str()); n >= s.target.config.MaxAllowedPacket {
				return &model.Error{Class: model.ErrBadArgument, Op: "write to", Subject: ms[i].Table.Name().String() + "." + a.Column,
					Detail: fmt.Sprintf("the value has %d bytes; the server takes less than %d", n, s.target.config.MaxAllowedPacket),
					Hint:   "Raise max_allowed_packet of the server."}
			}
		}
	}
	return nil
}

// mutate applies a batch in one session. sent tells of an error whether the
// server may have begun; *storage.ConditionError and other errors of package
// model are final.
func (s *Store) mutate(ctx context.Context, ses *session, ms []storage.Mutation) (sent bool, err error) {
	if len(ms) == 1 {
		return s.mutateOne(ctx, ses, &ms[0])
	}
	placeholders := 0
	for i := range ms {
		placeholders += ms[i].Table.KeyLen() + len(ms[i].Set) + len(ms[i].Guard.Conditions)
	}
	if s.server.compound && len(ms) <= maxPreparedBatch && placeholders <= maxPlaceholders {
		return s.mutateCompound(ctx, ses, ms)
	}
	text, finish := s.appendText, s.afterText
	if s.server.compound {
		text, finish = s.appendCompoundText, s.afterCompound
	}
	if b := text(nil, ms); len(b) < s.target.config.MaxAllowedPacket {
		err = ses.execText(ctx, string(b))
		return finish(ctx, ses, ms, err)
	}
	return s.mutateStepwise(ctx, ses, ms)
}

// stepIdle is how long, in seconds, the server keeps the locks of a batch that takes
// several trips, should its client stop between two of them.
const stepIdle = 10

// mutateStepwise takes a trip for each mutation. It is for batches that are
// larger than the server takes in one piece; a client that stops in the middle
// of one holds locks until the server ends its session.
func (s *Store) mutateStepwise(ctx context.Context, ses *session, ms []storage.Mutation) (sent bool, err error) {
	if err := ses.execText(ctx, fmt.Sprintf("SET SESSION wait_timeout=%d; START TRANSACTION", stepIdle)); err != nil {
		ses.broken = true
		return false, err
	}
	defer func() {
		if !ses.broken && ses.execText(context.WithoutCancel(ctx), fmt.Sprintf("SET SESSION wait_timeout=%d", sessionIdle)) != nil {
			ses.broken = true
		}
	}()
	for i := range ms {
		if _, err = s.mutateOne(ctx, ses, &ms[i]); err != nil {
			if c, ok := errors.AsType[*storage.ConditionError](err); ok {
				c.Index = i
			}
			if ses.broken || ses.execText(context.WithoutCancel(ctx), "ROLLBACK") != nil {
				ses.broken = true // ending the session rolls back
			}
			return errorNumber(err) != 0, err // nothing is committed, whatever became of the answer
		}
	}
	if err := ses.execText(ctx, "COMMIT"); err != nil {
		ses.broken = true
		return true, err
	}
	return true, nil
}

// mutateOne is one statement that commits itself.
func (s *Store) mutateOne(ctx context.Context, ses *session, m *storage.Mutation) (sent bool, err error) {
	st := s.builder.Mutation(m)
	var space [32]model.Value
	values := st.AppendArgs(space[:0], m)
	var n int64
	if st.Query {
		n, err = s.count(ctx, ses, st, values)
		sent = false // a query changes nothing
	} else {
		n, sent, err = ses.exec(ctx, st.SQL, values)
	}
	switch {
	case err == nil && st.Holds(n):
		return true, nil
	case err == nil, st.Insert && errorNumber(err) == errDuplicate:
		return true, &storage.ConditionError{Mutation: *m}
	}
	return sent, err
}

// count runs the query of a check and counts its rows.
func (s *Store) count(ctx context.Context, ses *session, st *sqldb.Statement, values []model.Value) (n int64, err error) {
	rows, err := ses.query(ctx, st.SQL, values)
	if err != nil {
		return 0, err
	}
	var dest [1]driver.Value
	for {
		if err := rows.Next(dest[:]); errors.Is(err, io.EOF) {
			return n, ses.finish(rows, nil)
		} else if err != nil {
			return 0, ses.finish(rows, err)
		}
		n++
	}
}
