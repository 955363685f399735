package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/internal/sqldb"
)

// fenceIdle is how long the server lets a fence hold whose owner does nothing,
// frozen or cut off. Alive begins it anew. Tests change it.
var fenceIdle = 3 * time.Second

const (
	defaultFenceWait = 50 * time.Millisecond
	// proofWait is how long the insert of ProveFence is kept waiting.
	proofWait = 20 * time.Millisecond
)

// Fence implements storage.Fencer: LOCK TABLE … IN SHARE MODE in a transaction
// of a session of its own. SHARE waits for every transaction that has written
// one of the tables and keeps all others from writing, and lets them read.
//
// A lock that is being waited for already keeps later writers waiting, hence
// the short bound: no writer is held up for longer than the wait and the hold.
func (d *db) Fence(ctx context.Context, opts storage.FenceOptions) (storage.Fence, error) {
	wait := opts.Wait
	if wait <= 0 {
		wait = defaultFenceWait
	}
	tables := slices.Clone(opts.Tables)
	slices.SortFunc(tables, model.TableName.Compare)
	tables = slices.Compact(tables)
	if len(tables) == 0 {
		return nil, model.Errorf(model.ErrBadArgument, "a fence needs at least one table")
	}
	s, err := d.fenceSession(ctx)
	if err != nil {
		return nil, err
	}
	f := &fence{db: d, s: s}
	ms := max(1, wait.Milliseconds())
	// lock_timeout bounds each table, statement_timeout all together. An
	// autovacuum gives way to whoever waits for deadlock_timeout, which is far
	// longer than ours; superusers may shorten it.
	begin := fmt.Sprintf("BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = %d; SET LOCAL statement_timeout = %d; SET LOCAL idle_in_transaction_session_timeout = %d; "+
		"SELECT set_config('deadlock_timeout', '%d', true) FROM pg_roles WHERE rolname = current_user AND rolsuper", ms, ms, fenceIdle.Milliseconds(), max(1, ms/4))
	// What comes after the lock has all the time it needs on a busy machine.
	lock := "LOCK TABLE " + d.tableList(tables) + " IN SHARE MODE; SET LOCAL statement_timeout = 0"
	for _, sql := range []string{begin, lock} {
		if _, err := s.pg.Exec(ctx, sql).ReadAll(); err != nil {
			_ = f.Release(ctx)
			return nil, d.fenceError(ctx, tables, err)
		}
	}
	return f, nil
}

func (d *db) tableList(tables []model.TableName) string {
	quoted := make([]string, len(tables))
	for i, t := range tables {
		quoted[i] = d.single.Dialect().Table(t)
	}
	return strings.Join(quoted, ", ")
}

func (d *db) fenceError(ctx context.Context, tables []model.TableName, err error) error {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return d.notSent(err)
	}
	switch pgErr.Code {
	case codeLockTimeout, codeCanceled, codeDeadlock:
		busy := &storage.FenceBusyError{Storage: d.name, Err: err}
		busy.Table, busy.Holders = d.holders(ctx, tables, "'RowExclusiveLock','ShareUpdateExclusiveLock','ShareRowExclusiveLock','ExclusiveLock','AccessExclusiveLock'")
		return busy
	case codeNotSupported, codeSyntax: // feature not supported: databases that only speak PostgreSQL's protocol
		return &model.Error{Class: model.ErrRefused, Op: "fence storage", Subject: fmt.Sprintf("%q", d.name), Detail: "the server has no LOCK TABLE … IN SHARE MODE", Err: err}
	case codeNoRight:
		return &model.Error{Class: model.ErrRefused, Op: "fence storage", Subject: fmt.Sprintf("%q", d.name), Err: err,
			Hint: "LOCK TABLE … IN SHARE MODE needs UPDATE, DELETE or TRUNCATE on each table: " + d.grant("UPDATE", tables)}
	}
	return d.serverError(pgErr)
}

func (d *db) grant(right string, tables []model.TableName) string {
	return "GRANT " + right + " ON " + d.tableList(tables) + " TO " + d.single.Dialect().Ident(d.user) + ";"
}

// holders tells who holds locks of some modes on the tables, the longest
// transaction first. Nobody, if it cannot be found out.
func (d *db) holders(ctx context.Context, tables []model.TableName, modes string) (model.TableName, []storage.Session) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	s, err := d.pool.acquire(ctx)
	if err != nil {
		return model.TableName{}, nil
	}
	defer d.pool.release(s)
	rows, err := d.query(ctx, s, `SELECT n.nspname, c.relname, coalesce(l.pid::text, 'prepared transaction ' || p.gid), coalesce(a.usename, p.owner), a.application_name,
			a.client_addr, a.state, left(a.query, 200), coalesce((extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, p.prepared)) * 1000)::bigint, 0)
		FROM pg_locks l JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace
			LEFT JOIN pg_stat_activity a ON a.pid = l.pid LEFT JOIN pg_prepared_xacts p ON '-1/' || p.transaction = l.virtualtransaction
		WHERE l.locktype = 'relation' AND l.granted AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
			AND l.mode IN (`+modes+`) AND l.pid IS DISTINCT FROM pg_backend_pid() AND (n.nspname, c.relname) IN (SELECT * FROM unnest($1::text[], $2::text[]))
		ORDER BY coalesce(a.xact_start, p.prepared) LIMIT 8`, namespaceArray(tables), nameArray(tables))
	if err != nil || len(rows) == 0 {
		return model.TableName{}, nil
	}
	var out []storage.Session
	for _, r := range rows {
		h := sessionOf(r[2:])
		if !slices.ContainsFunc(out, func(o storage.Session) bool { return o.ID == h.ID }) {
			out = append(out, h)
		}
	}
	return model.TableName{Namespace: rows[0][0], Name: rows[0][1]}, out
}

// sessionOf reads pid, user, application, address, state, query, age in milliseconds.
func sessionOf(r []string) storage.Session {
	age, _ := strconv.ParseInt(r[6], 10, 64)
	return storage.Session{ID: r[0], User: r[1], App: r[2], Client: r[3], State: r[4], Query: sqldb.ShownStatement(r[5]), Age: time.Duration(age) * time.Millisecond}
}

// namespaceArray and nameArray render the parts of table names as arrays of text.
func namespaceArray(tables []model.TableName) string {
	return textArray(tables, func(t model.TableName) string { return t.Namespace })
}

func nameArray(tables []model.TableName) string {
	return textArray(tables, func(t model.TableName) string { return t.Name })
}

func textArray(tables []model.TableName, part func(model.TableName) string) string {
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`)
	parts := make([]string, len(tables))
	for i, t := range tables {
		parts[i] = `"` + escape.Replace(part(t)) + `"`
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// fence is a session whose transaction holds the locks.
type fence struct {
	db *db
	s  *session
}

// Alive implements storage.Fence: the transaction that holds the locks is
// still open if the session answers from inside it.
func (f *fence) Alive(ctx context.Context) error {
	if f.s == nil {
		return model.Errorf(model.ErrUnavailable, "the fence on storage %q is released", f.db.name)
	}
	if err := f.db.run(ctx, f.s, "SELECT 1"); err != nil {
		return fmt.Errorf("the fence on storage %q is lost: %w", f.db.name, err)
	}
	if f.s.pg.TxStatus() != 'T' {
		return model.Errorf(model.ErrUnavailable, "the fence on storage %q is lost: its transaction is over", f.db.name)
	}
	return nil
}

// Release implements storage.Fence.
func (f *fence) Release(ctx context.Context) error {
	if f.s == nil {
		return nil
	}
	s := f.s
	f.s = nil
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	var err error
	if !s.pg.IsClosed() {
		_, err = s.pg.Exec(ctx, "ROLLBACK").ReadAll()
	}
	s.close() // ends the transaction, if ROLLBACK did not
	if err != nil {
		return f.db.textError(err)
	}
	return nil
}
