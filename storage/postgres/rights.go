package postgres

import (
	"context"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// rights tries, in a transaction that is taken back, what the operation will do.
func (in *inspector) rights(ctx context.Context) error {
	if !in.opts.Backup && !in.opts.Restore {
		return nil
	}
	for _, t := range in.found {
		if in.opts.Backup {
			if err := in.try(ctx, t, "SELECT", "SELECT count(*) FROM (SELECT * FROM %t LIMIT 0) AS s"); err != nil {
				return err
			}
			if err := in.try(ctx, t, "UPDATE", "LOCK TABLE %t IN SHARE MODE NOWAIT"); err != nil {
				return err
			}
		}
		if in.opts.Restore {
			if err := in.try(ctx, t, "INSERT", "INSERT INTO %t SELECT * FROM %t WHERE false"); err != nil {
				return err
			}
			if err := in.mayTruncate(ctx, t); err != nil {
				return err
			}
		}
	}
	if in.opts.Restore && len(in.found) < len(in.tables) {
		rows, err := in.query(ctx, "SELECT has_database_privilege(current_database(), 'CREATE'), quote_ident(current_database())")
		if err != nil {
			return err
		}
		if rows[0][0] != "t" {
			in.find("missing-right", storage.Warning, in.db.endpoint, "user "+in.db.user+" may not create schemas in this database",
				"GRANT CREATE ON DATABASE "+rows[0][1]+" TO "+in.db.single.Dialect().Ident(in.db.user)+";")
		}
	}
	return nil
}

// mayTruncate asks for the right to empty a table. It is the one that is not
// tried: TRUNCATE keeps even readers waiting until it is taken back.
func (in *inspector) mayTruncate(ctx context.Context, t model.TableName) error {
	rows, err := in.query(ctx, `SELECT has_table_privilege(c.oid, 'TRUNCATE') FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2`, t.Namespace, t.Name)
	if err != nil {
		return err
	}
	if len(rows) > 0 && rows[0][0] != "t" {
		in.find("missing-right", storage.Blocker, t.String(), "user "+in.db.user+" lacks TRUNCATE", in.db.grant("TRUNCATE", []model.TableName{t}))
	}
	return nil
}

// try runs a statement on a table, %t, and takes it back. A missing right is a
// finding; a lock that somebody holds is none, because rights are checked first.
func (in *inspector) try(ctx context.Context, t model.TableName, right, sql string) error {
	dialect := in.db.single.Dialect()
	sql = strings.ReplaceAll(sql, "%t", dialect.Table(t))
	_, err := in.s.pg.Exec(ctx, "BEGIN; SET LOCAL lock_timeout = 50; "+sql).ReadAll()
	if e := in.db.run(ctx, in.s, "ROLLBACK"); e != nil {
		return e
	}
	if err == nil {
		return nil
	}
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	switch {
	case !ok:
		return in.db.notSent(err)
	case pgErr.Code == codeNoRight && strings.Contains(pgErr.Routine, "aclcheck_error") && strings.Contains(pgErr.Message, "schema"):
		in.find("missing-right", storage.Blocker, t.String(), pgErr.Message, "GRANT USAGE ON SCHEMA "+dialect.Ident(t.Namespace)+" TO "+dialect.Ident(in.db.user)+";")
	case pgErr.Code == codeNoRight:
		in.find("missing-right", storage.Blocker, t.String(), "user "+in.db.user+" lacks "+right+": "+pgErr.Message, in.db.grant(right, []model.TableName{t}))
	case pgErr.Code == codeLockTimeout || pgErr.Code == codeReadOnly:
	default:
		return in.db.serverError(pgErr)
	}
	return nil
}
