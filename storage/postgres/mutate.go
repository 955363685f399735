package postgres

import (
	"context"
	"time"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/internal/sqldb"
)

// repeatWithin is how soon after its beginning a batch whose connection the server
// has ended is sent once more. Later its caller decides: this process may have been
// frozen, and the database be another one by now.
var repeatWithin = time.Second

// Mutate implements storage.Storage: one flight, one implicit transaction.
func (d *db) Mutate(ctx context.Context, b storage.Batch) error {
	if len(b.Mutations) == 0 {
		return model.Errorf(model.ErrBadArgument, "an empty batch")
	}
	if err := d.batch.Dialect().CheckBatch(&b); err != nil {
		return err
	}
	for try := 0; ; try++ {
		s, err := d.pool.acquire(ctx)
		if err != nil {
			return d.notSent(err)
		}
		begun := time.Now()
		if !b.Deadline.IsZero() && !time.Now().Before(b.Deadline) { // waiting for a connection takes time too
			d.pool.release(s)
			return storage.UnavailableError(d.name, context.DeadlineExceeded)
		}
		again, err := d.mutateOn(ctx, s, &b)
		d.pool.release(s)
		if !again || try > 0 || ctx.Err() != nil || time.Since(begun) >= repeatWithin {
			return err
		}
	}
}

// mutateOn applies a batch on one connection. It tells whether the batch may be
// tried again on a fresh one, since certainly nothing has happened.
func (d *db) mutateOn(ctx context.Context, s *session, b *storage.Batch) (again bool, err error) {
	ms := b.Mutations
	s.begin()
	var only *sqldb.Statement
	if len(ms) == 1 {
		only = d.single.Mutation(&ms[0])
		s.args = only.AppendArgs(s.args[:0], &ms[0])
		s.add(only.SQL, s.args)
	} else {
		for i := range ms {
			st := d.batch.Mutation(&ms[i])
			s.args = st.AppendArgs(s.args[:0], &ms[i])
			s.add(st.SQL, s.args)
		}
	}
	clear(s.args[:cap(s.args)]) // values may be large
	s.count.rows = 0
	if ferr := s.fly(ctx, b.Deadline, &s.count); ferr != nil {
		again = ferr.stale()
		// A server that has become a replica is to be looked for anew.
		s.dead = s.dead || again || ferr.server != nil && ferr.server.Code == codeReadOnly
		return again, d.mutateError(s, b, ferr)
	}
	if only != nil && !only.Holds(s.count.rows) {
		return false, &storage.ConditionError{Mutation: ms[0]}
	}
	return false, nil
}

// countReader takes the number of rows that the last statement touched.
type countReader struct{ rows int64 }

func (r *countReader) row(int, [][]byte) error { return nil }

// done reads the number at the end of a tag such as "INSERT 0 1" or "SELECT 1".
func (r *countReader) done(_ int, tag []byte) {
	r.rows = 0
	unit := int64(1)
	for i := len(tag) - 1; i >= 0 && tag[i] >= '0' && tag[i] <= '9'; i-- {
		r.rows += int64(tag[i]-'0') * unit
		unit *= 10
	}
}
