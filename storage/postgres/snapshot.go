package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

const (
	// noLimits lifts the limits that an operator may have set for ordinary
	// sessions from one that works for long. It is a query of its own, because
	// it would pin the snapshot of a transaction.
	noLimits = "SELECT set_config(name, '0', false) FROM pg_settings WHERE name IN ('statement_timeout', 'transaction_timeout', 'idle_in_transaction_session_timeout', 'idle_session_timeout')"
	// beginSnapshot opens a transaction whose snapshot is not taken yet: LOCK
	// TABLE, which follows, takes none, the first query does. Row security must
	// fail it rather than hide rows.
	beginSnapshot = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL lock_timeout = '2s'; SET LOCAL row_security = off"
)

// PrepareSnapshot implements storage.Snapshotter. Every session locks the tables
// in ACCESS SHARE mode before the snapshot exists: PostgreSQL shows a snapshot an
// empty table where TRUNCATE or a rewrite came between snapshot and lock. The
// workers lock too, at once, so that none of them ever waits behind a DDL
// statement that waits for another of them.
func (d *db) PrepareSnapshot(ctx context.Context, opts storage.SnapshotOptions) (storage.Snapshot, error) {
	p, err := d.prepareSnapshot(ctx, opts, true)
	if err != nil {
		return nil, err // and not a nil *snapshot, which is not a nil Snapshot
	}
	return p, nil
}

// prepareSnapshot can leave the locks out, for the test of what they are for.
func (d *db) prepareSnapshot(ctx context.Context, opts storage.SnapshotOptions, lock bool) (_ *snapshot, err error) {
	tables := slices.Clone(opts.Tables)
	slices.SortFunc(tables, model.TableName.Compare)
	tables = slices.Compact(tables)
	p := &snapshot{db: d, tables: tables, workers: make(chan *session, max(1, opts.Readers))}
	defer func() {
		if err != nil {
			_ = p.Close()
		}
	}()
	begin := beginSnapshot
	if lock && len(tables) > 0 {
		begin += "; LOCK TABLE " + d.tableList(tables) + " IN ACCESS SHARE MODE"
	}
	for i := range cap(p.workers) + 1 {
		s, err := d.pool.connect(ctx)
		if err != nil {
			return nil, d.notSent(err)
		}
		p.all = append(p.all, s)
		if err := d.run(ctx, s, noLimits); err != nil {
			return nil, err
		}
		if _, err := s.pg.Exec(ctx, begin).ReadAll(); err != nil {
			return nil, d.snapshotError(ctx, tables, err)
		}
		if i == 0 {
			p.leader = s
		}
	}
	if p.noted, err = d.definitions(ctx, tables); err != nil {
		return nil, err
	}
	if p.watch, err = d.startWatch(ctx, p.all); err != nil {
		return nil, err
	}
	return p, nil
}

func (d *db) snapshotError(ctx context.Context, tables []model.TableName, err error) error {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	switch {
	case !ok:
		return d.notSent(err)
	case pgErr.Code == codeLockTimeout || pgErr.Code == codeDeadlock:
		busy := &storage.FenceBusyError{Storage: d.name, Err: err}
		busy.Table, busy.Holders = d.holders(ctx, tables, "'AccessExclusiveLock'")
		return busy
	case pgErr.Code == codeNoRight:
		return &model.Error{Class: model.ErrRefused, Op: "read storage", Subject: fmt.Sprintf("%q", d.name), Err: err, Hint: d.grant("SELECT", tables)}
	}
	return d.serverError(pgErr)
}

// definitions describes each table as the catalogue has it now: identity, files
// and columns, of its partitions too.
func (d *db) definitions(ctx context.Context, tables []model.TableName) (map[model.TableName]string, error) {
	s, err := d.pool.acquire(ctx)
	if err != nil {
		return nil, d.notSent(err)
	}
	defer d.pool.release(s)
	rows, err := d.query(ctx, s, `WITH RECURSIVE part(root, oid) AS (
			SELECT c.oid, c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
				WHERE (n.nspname, c.relname) IN (SELECT * FROM unnest($1::text[], $2::text[]))
			UNION SELECT part.root, i.inhrelid FROM pg_inherits i JOIN part ON i.inhparent = part.oid)
		SELECT n.nspname, r.relname, string_agg(p.oid || ' ' || c.relkind::text || ' ' || coalesce(pg_relation_filenode(p.oid), 0) || ' ' ||
			(SELECT coalesce(string_agg(a.attname || ' ' || a.atttypid || ' ' || a.atttypmod || ' ' || a.attnum, ',' ORDER BY a.attnum), '')
				FROM pg_attribute a WHERE a.attrelid = p.oid AND a.attnum > 0 AND NOT a.attisdropped), E'\n' ORDER BY p.oid)
		FROM part p JOIN pg_class c ON c.oid = p.oid JOIN pg_class r ON r.oid = p.root JOIN pg_namespace n ON n.oid = r.relnamespace
		GROUP BY 1, 2`, namespaceArray(tables), nameArray(tables))
	if err != nil {
		return nil, err
	}
	out := make(map[model.TableName]string, len(rows))
	for _, r := range rows {
		out[model.TableName{Namespace: r[0], Name: r[1]}] = r[2]
	}
	return out, nil
}

// snapshot is one exported snapshot that a leader holds and workers share.
type snapshot struct {
	db      *db
	tables  []model.TableName
	noted   map[model.TableName]string
	all     []*session
	leader  *session
	id      string        // of the exported snapshot
	workers chan *session // those that nobody reads with now
	watch   *watch
	closing sync.Once
}

// Open implements storage.Snapshot: one round trip.
func (p *snapshot) Open(ctx context.Context) error {
	rows, err := p.db.query(ctx, p.leader, "SELECT pg_export_snapshot()")
	if err != nil {
		return p.because(err)
	}
	p.id = rows[0][0]
	return nil
}

// Detach implements storage.Snapshot: the workers take the leader's snapshot
// over, which they can as long as its transaction lasts.
func (p *snapshot) Detach(ctx context.Context) error {
	for _, s := range p.all[1:] {
		if err := p.db.run(ctx, s, "SET TRANSACTION SNAPSHOT '"+p.id+"'"); err != nil {
			return p.because(err)
		}
		p.workers <- s
	}
	return nil
}

// ask runs a query in the snapshot. Before Open it would pin the snapshot at a
// moment that nobody has chosen, and is refused.
func (p *snapshot) ask(ctx context.Context, sql string, args ...string) ([][]string, error) {
	if p.id == "" {
		return nil, model.Errorf(model.ErrBadArgument, "the snapshot of storage %q is not open yet", p.db.name)
	}
	rows, err := executor{db: p.db, tx: p.leader}.Query(ctx, sql, args...)
	return rows, p.because(err)
}

// because puts the reason why a snapshot ended in the place of the error that
// its end has caused.
func (p *snapshot) because(err error) error {
	if err == nil {
		return nil
	}
	if why := p.watch.gaveWay(); why != nil {
		return why
	}
	return err
}

// Table implements storage.Snapshot. COPY does not say what types it sends, so
// they are compared with the definition as the snapshot sees them.
func (p *snapshot) Table(ctx context.Context, name model.TableName) (*model.Table, error) {
	in := *p.db.admin
	in.Ex = asker{executor{db: p.db, tx: p.leader}, p}
	return in.Table(ctx, name)
}

// asker runs the queries of an Admin in the snapshot.
type asker struct {
	executor
	snapshot *snapshot
}

// Query implements sqldb.Executor.
func (a asker) Query(ctx context.Context, sql string, args ...string) ([][]string, error) {
	return a.snapshot.ask(ctx, sql, args...)
}

// Verify implements storage.Snapshot. With the locks held nothing can have
// happened; it is checked all the same, and that the locks were held.
func (p *snapshot) Verify(ctx context.Context) error {
	torn := func(format string, args ...any) error {
		return &model.Error{Class: model.ErrInconsistent, Op: "snapshot of storage", Subject: fmt.Sprintf("%q", p.db.name),
			Detail: fmt.Sprintf(format, args...), Hint: "Take it again while nobody changes the schema."}
	}
	if err := p.db.run(ctx, p.leader, "SELECT 1"); err != nil || p.leader.pg.TxStatus() != 'T' {
		if why := p.watch.gaveWay(); why != nil {
			return why
		}
		return torn("the session that kept the tables as they were has ended")
	}
	now, err := p.db.definitions(ctx, p.tables)
	if err != nil {
		return err
	}
	for _, t := range p.tables {
		if now[t] != p.noted[t] {
			return torn("table %s was truncated, rewritten, redefined or dropped meanwhile", t)
		}
	}
	return nil
}

// Close implements storage.Snapshot.
func (p *snapshot) Close() error {
	p.closing.Do(func() {
		if p.watch != nil {
			p.watch.close()
		}
		for _, s := range p.all {
			s.close()
		}
	})
	return nil
}
