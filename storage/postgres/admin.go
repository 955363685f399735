package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/internal/sqldb"
)

// Admin implements storage.Storage.
func (d *db) Admin() storage.Admin { return admin{d.admin, d} }

// admin runs each change of the schema as one transaction, so that a table is
// never half there.
type admin struct {
	*sqldb.Admin
	db *db
}

// CreateNamespace implements storage.Admin.
func (a admin) CreateNamespace(ctx context.Context, ns string) error {
	return a.db.ddl(ctx, func(in *sqldb.Admin) error { return in.CreateNamespace(ctx, ns) })
}

// DropNamespace implements storage.Admin.
func (a admin) DropNamespace(ctx context.Context, ns string) error {
	return a.db.ddl(ctx, func(in *sqldb.Admin) error { return in.DropNamespace(ctx, ns) })
}

// CreateTable implements storage.Admin.
func (a admin) CreateTable(ctx context.Context, t *model.Table) error {
	return a.db.ddl(ctx, func(in *sqldb.Admin) error { return in.CreateTable(ctx, t) })
}

// DropTable implements storage.Admin.
func (a admin) DropTable(ctx context.Context, name model.TableName) error {
	return a.db.ddl(ctx, func(in *sqldb.Admin) error { return in.DropTable(ctx, name) })
}

// ddl runs f in one transaction.
func (d *db) ddl(ctx context.Context, f func(*sqldb.Admin) error) error {
	s, err := d.pool.acquire(ctx)
	if err != nil {
		return d.notSent(err)
	}
	defer d.pool.release(s)
	// Admins of several processes take turns, because CREATE … IF NOT EXISTS
	// of two at once can fail. The number is arbitrary and ours alone.
	if err := d.run(ctx, s, "BEGIN ISOLATION LEVEL READ COMMITTED; SELECT pg_advisory_xact_lock(7307214581)"); err != nil {
		s.dead = true
		return err
	}
	in := *d.admin
	in.Ex = executor{db: d, tx: s}
	if err := f(&in); err != nil {
		if d.run(context.WithoutCancel(ctx), s, "ROLLBACK") != nil {
			s.dead = true
		}
		return err
	}
	if err := d.run(ctx, s, "COMMIT"); err != nil {
		s.dead = true
		return err
	}
	return nil
}

// run executes statements without parameters.
func (d *db) run(ctx context.Context, s *session, sql string) error {
	if _, err := s.pg.Exec(ctx, sql).ReadAll(); err != nil {
		return d.textError(err)
	}
	return nil
}

// textError classifies an error of statements outside of flights.
func (d *db) textError(err error) error {
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		return d.serverError(pgErr)
	}
	return d.notSent(err)
}

// executor runs the statements of an Admin: each on its own, or in the open
// transaction of a session, where one that fails does not spoil the rest.
type executor struct {
	db *db
	tx *session
}

func (e executor) session(ctx context.Context) (*session, func(), error) {
	if e.tx != nil {
		return e.tx, func() {}, nil
	}
	s, err := e.db.pool.acquire(ctx)
	if err != nil {
		return nil, nil, e.db.notSent(err)
	}
	return s, func() {
		s.dead = s.dead || s.pg.IsClosed()
		e.db.pool.release(s)
	}, nil
}

// Exec implements sqldb.Executor.
func (e executor) Exec(ctx context.Context, sql string, args ...string) error {
	_, err := e.Query(ctx, sql, args...)
	return err
}

// Query implements sqldb.Executor.
func (e executor) Query(ctx context.Context, sql string, args ...string) ([][]string, error) {
	s, done, err := e.session(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	if e.tx != nil {
		if err := e.db.run(ctx, s, "SAVEPOINT s"); err != nil {
			return nil, err
		}
	}
	rows, err := e.db.query(ctx, s, sql, args...)
	if e.tx != nil && !s.pg.IsClosed() {
		end := "RELEASE SAVEPOINT s"
		if err != nil {
			end = "ROLLBACK TO SAVEPOINT s; " + end
		}
		if e.db.run(context.WithoutCancel(ctx), s, end) != nil {
			s.dead = true
		}
	}
	return rows, err
}

// query runs one statement with text parameters and returns its rows as text,
// NULL as "".
func (d *db) query(ctx context.Context, s *session, sql string, args ...string) ([][]string, error) {
	params := make([][]byte, len(args))
	for i, a := range args {
		params[i] = []byte(a)
	}
	result := s.pg.ExecParams(ctx, sql, params, nil, nil, nil).Read()
	if result.Err != nil {
		s.dead = s.dead || s.pg.IsClosed()
		return nil, d.textError(result.Err)
	}
	rows := make([][]string, len(result.Rows))
	for i, r := range result.Rows {
		rows[i] = make([]string, len(r))
		for j, v := range r {
			rows[i][j] = string(v)
		}
	}
	return rows, nil
}

// IsDuplicate implements sqldb.Executor.
func (e executor) IsDuplicate(err error) bool {
	return hasCode(err, codeUnique, "42P06", "42P07", "42710")
}

// IsMissing implements sqldb.Executor.
func (e executor) IsMissing(err error) bool { return hasCode(err, codeNoTable, codeNoSchema) }

func hasCode(err error, codes ...string) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return false
	}
	for _, c := range codes {
		if pgErr.Code == c {
			return true
		}
	}
	return false
}
