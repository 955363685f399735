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
)

// Inspect implements storage.Inspector.
func (d *db) Inspect(ctx context.Context, opts storage.InspectOptions) (storage.Inspection, error) {
	s, err := d.pool.connect(ctx)
	if err != nil {
		return storage.Inspection{}, d.notSent(err)
	}
	defer s.close()
	tables := slices.Clone(opts.Tables)
	slices.SortFunc(tables, model.TableName.Compare)
	in := &inspector{db: d, s: s, opts: opts, tables: slices.Compact(tables)}
	in.out = storage.Inspection{Engine: "PostgreSQL", Endpoint: d.endpoint, Bytes: -1}
	for _, step := range []func(context.Context) error{in.server, in.database, in.relations, in.collations, in.attachments, in.rights} {
		if err := step(ctx); err != nil {
			return storage.Inspection{}, err
		}
	}
	return in.out, nil
}

// inspector collects the answer of one Inspect.
type inspector struct {
	db     *db
	s      *session
	opts   storage.InspectOptions
	tables []model.TableName
	found  []model.TableName // those of tables that exist
	out    storage.Inspection
}

func (in *inspector) find(code string, severity storage.Severity, subject, text, fix string) {
	in.out.Findings = append(in.out.Findings, storage.Finding{Code: code, Severity: severity, Subject: subject, Text: text, Fix: fix})
}

// worse is a severity if an operation of a kind is asked for, Info otherwise.
func worse(asked bool, s storage.Severity) storage.Severity {
	if asked {
		return s
	}
	return storage.Info
}

func (in *inspector) query(ctx context.Context, sql string, args ...string) ([][]string, error) {
	return in.db.query(ctx, in.s, sql, args...)
}

// server looks at what concerns the whole cluster.
func (in *inspector) server(ctx context.Context) error {
	rows, err := in.query(ctx, `SELECT current_setting('server_version'), pg_is_in_recovery(), current_setting('fsync'), current_setting('full_page_writes'),
		current_setting('synchronous_standby_names'), pg_backend_pid(), (SELECT oid FROM pg_database WHERE datname = current_database()), current_setting('transaction_read_only'),
		extract(epoch FROM pg_postmaster_start_time())`)
	if err != nil {
		return err
	}
	r := rows[0]
	in.out.Version, _, _ = strings.Cut(r[0], " ")
	in.out.Identity = "postgresql/" + in.system(ctx) + "/" + r[6]
	in.out.Instance = r[8] // a server made of a copy of this one has its identifier
	serving := in.opts.Backup || in.opts.Restore
	if r[1] == "t" {
		in.find("replica", worse(serving, storage.Blocker), in.db.endpoint, "this server is a replica; its locks do not stop writers and it takes no writes", "Give the address of the primary in the JDBC URL.")
	} else if r[7] == "on" {
		in.find("read-only", worse(in.opts.Restore, storage.Blocker), in.db.endpoint, "sessions of this user cannot write", "Look at default_transaction_read_only and at the JDBC URL.")
	}
	if r[2] == "off" || r[3] == "off" {
		in.find("not-durable", storage.Warning, in.db.endpoint, fmt.Sprintf("fsync is %s and full_page_writes is %s: after a crash, committed transactions can be missing or the data damaged", r[2], r[3]), "Set fsync and full_page_writes to on.")
	}
	if pid, _ := strconv.ParseUint(r[5], 10, 32); uint32(pid) != in.s.pg.PID() {
		in.find("pooler", worse(in.opts.Backup, storage.Warning), in.db.endpoint, "a connection pooler stands between this program and the server", "Give the address of the server itself: locks and snapshots need sessions of their own.")
	}
	if r[4] != "" {
		in.find("synchronous-replication", storage.Info, in.db.endpoint, "commits wait for standbys: "+r[4], "")
	}
	return nil
}

// system identifies the cluster; where the server does not tell its
// identifier, by its address and start.
func (in *inspector) system(ctx context.Context) string {
	for _, sql := range []string{"SELECT system_identifier FROM pg_control_system()", "SELECT concat(inet_server_addr(), ':', inet_server_port(), '@', extract(epoch FROM pg_postmaster_start_time()))"} {
		if rows, err := in.query(ctx, sql); err == nil {
			return rows[0][0]
		}
	}
	return in.db.endpoint
}

// database looks at what concerns this database.
func (in *inspector) database(ctx context.Context) error {
	who, err := in.forgetful(ctx)
	if err != nil {
		return err
	}
	for _, w := range who {
		fix := "ALTER … SET synchronous_commit = on;"
		if w == ofURL {
			fix = "Take synchronous_commit out of the options of the URL"
		}
		in.find("not-durable", storage.Warning, in.db.endpoint, "synchronous_commit is off for "+w+": a crash makes the server forget the last commits, which other databases may remember", fix)
	}
	rows, err := in.query(ctx, `SELECT gid, owner, prepared::text FROM pg_prepared_xacts WHERE database = current_database() ORDER BY prepared LIMIT 5`)
	if err != nil {
		return err
	}
	for _, r := range rows {
		in.find("prepared-transaction", worse(in.opts.Backup, storage.Warning), r[0], "a transaction of "+r[1]+", prepared at "+r[2]+", holds its locks until it is finished", "COMMIT PREPARED or ROLLBACK PREPARED, as its coordinator says.")
	}
	if rows, err = in.query(ctx, `SELECT count(*) FROM pg_stat_replication`); err != nil {
		return err
	}
	if rows[0][0] != "0" {
		in.find("replicas", storage.Info, in.db.endpoint, rows[0][0]+" replicas follow this server", "")
	}
	if rows, err = in.query(ctx, `SELECT datcollate FROM pg_database WHERE datname = current_database()`); err != nil {
		return err
	}
	if c := rows[0][0]; c != "C" && c != "POSIX" && !strings.HasPrefix(c, "C.") {
		in.find("collation", storage.Info, in.db.endpoint, "TEXT is ordered by the rules of "+c+", not by its bytes", "")
	}
	return nil
}

// ofURL are the sessions that this configuration opens.
const ofURL = "sessions with the options of this URL"

// forgetful names those whose commits may not be on disk when they are answered.
// Applications' sessions may differ from ours: by role, by database, by URL.
func (in *inspector) forgetful(ctx context.Context) (who []string, err error) {
	const off = `IN ('off', 'false', 'no', '0')`
	ours, err := in.query(ctx, `SELECT setting = 'off', source = 'client', source IN ('global', 'database', 'user', 'database user', 'client'),
		has_table_privilege('pg_file_settings', 'SELECT') AND has_function_privilege('pg_show_all_file_settings()', 'EXECUTE')
		FROM pg_settings WHERE name = 'synchronous_commit'`)
	if err != nil {
		return nil, err
	}
	isOff, byURL, hidden, files := ours[0][0] == "t", ours[0][1] == "t", ours[0][2] == "t", ours[0][3] == "t"
	var server [][]string
	switch {
	case isOff && byURL:
		who = append(who, ofURL)
	case isOff && !hidden:
		who = append(who, "the server")
	}
	if hidden && files { // our session does not tell what the server does for others
		if server, err = in.query(ctx, `SELECT 'the server' FROM pg_file_settings WHERE name = 'synchronous_commit' AND applied AND lower(setting) `+off); err != nil {
			return nil, err
		}
	}
	others, err := in.query(ctx, `SELECT concat_ws(' in ', CASE WHEN s.setrole <> 0 THEN 'role ' || pg_get_userbyid(s.setrole) ELSE 'all roles' END,
			CASE WHEN s.setdatabase <> 0 THEN 'this database' END)
		FROM pg_db_role_setting s, unnest(s.setconfig) x
		WHERE s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
		AND split_part(x, '=', 1) = 'synchronous_commit' AND lower(split_part(x, '=', 2)) `+off)
	for _, r := range append(server, others...) {
		who = append(who, r[0])
	}
	return who, err
}

// relations looks at the tables themselves.
func (in *inspector) relations(ctx context.Context) error {
	rows, err := in.query(ctx, `SELECT n.nspname, c.relname, c.relkind, c.relpersistence, c.reltuples::bigint, CASE WHEN c.relkind IN ('r', 'm') THEN pg_table_size(c.oid) ELSE -1 END, row_security_active(c.oid)
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind NOT IN ('i', 'I', 't', 'S', 'c') AND (n.nspname, c.relname) IN (SELECT * FROM unnest($1::text[], $2::text[]))`,
		namespaceArray(in.tables), nameArray(in.tables))
	if err != nil {
		return in.lockedOut(ctx, err)
	}
	have := map[model.TableName][]string{}
	for _, r := range rows {
		have[model.TableName{Namespace: r[0], Name: r[1]}] = r
	}
	known, total := true, int64(0)
	for _, t := range in.tables {
		r, ok := have[t]
		if !ok {
			in.find("missing-table", worse(in.opts.Backup, storage.Blocker), t.String(), "the database has no such table", "")
			continue
		}
		info := storage.TableInfo{Name: t, Rows: -1, Bytes: -1}
		if n, err := strconv.ParseInt(r[4], 10, 64); err == nil && n >= 0 {
			info.Rows = n
		}
		if n, err := strconv.ParseInt(r[5], 10, 64); err == nil && n >= 0 {
			info.Bytes = n
			total += n
		} else {
			known = false
		}
		in.out.Tables = append(in.out.Tables, info)
		if in.relation(t, r[2], r[3], r[6] == "t") {
			in.found = append(in.found, t)
		}
	}
	if known {
		in.out.Bytes = total
	}
	return nil
}

// lockedOut names the table and the session behind a look at the tables that had
// to wait too long; other errors are returned as they are.
func (in *inspector) lockedOut(ctx context.Context, err error) error {
	if e, ok := errors.AsType[*pgconn.PgError](err); !ok || e.Code != codeLockTimeout {
		return err
	}
	table, holders := in.db.holders(ctx, in.tables, "'AccessExclusiveLock'")
	if len(holders) == 0 {
		return err
	}
	who := fmt.Sprintf("session %s of %s", holders[0].ID, holders[0].User)
	if age := holders[0].Age; age > 0 { // which, as the query, not everybody may see
		who += fmt.Sprintf(" for %v: %s", age.Round(time.Second), holders[0].Query)
	}
	return &model.Error{Class: model.ErrUnavailable, Op: "look at storage", Subject: fmt.Sprintf("%q", in.db.name),
		Detail: fmt.Sprintf("table %s is locked by %s", table, who), Hint: "Wait until that session has finished, or end it"}
}

// relation judges one table and tells whether it is one that can be locked.
func (in *inspector) relation(t model.TableName, kind, persistence string, secured bool) bool {
	either := in.opts.Backup || in.opts.Restore
	switch kind {
	case "r":
	case "p":
		in.find("partitioned-table", storage.Info, t.String(), "the table is partitioned and is read in one piece", "")
	case "f":
		in.find("foreign-table", worse(either, storage.Blocker), t.String(), "the rows of a foreign table are in another database, beyond this one's locks and snapshots", "Configure that database as a storage.")
		return false
	default:
		in.find("not-a-table", worse(either, storage.Blocker), t.String(), "it is a view, not a table", "")
		return false
	}
	if persistence == "u" {
		in.find("not-durable", storage.Warning, t.String(), "the table is unlogged: a crash empties it", "ALTER TABLE "+in.db.single.Dialect().Table(t)+" SET LOGGED;")
	}
	if secured {
		in.find("row-security", worse(either, storage.Blocker), t.String(), "row-level security hides rows from user "+in.db.user, "ALTER ROLE "+in.db.single.Dialect().Ident(in.db.user)+" BYPASSRLS;")
	}
	return true
}

// collations looks for columns in which different texts count as equal.
func (in *inspector) collations(ctx context.Context) error {
	rows, err := in.query(ctx, `SELECT n.nspname, c.relname, a.attname, l.collname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
			JOIN pg_collation l ON l.oid = a.attcollation
		WHERE a.attnum > 0 AND NOT a.attisdropped AND NOT l.collisdeterministic AND c.relkind IN ('r', 'p') AND (n.nspname, c.relname) IN (SELECT * FROM unnest($1::text[], $2::text[])) ORDER BY 1, 2, 3`,
		namespaceArray(in.tables), nameArray(in.tables))
	if err != nil {
		return in.lockedOut(ctx, err)
	}
	for _, r := range rows {
		in.find("collation", storage.Warning, r[0]+"."+r[1]+"."+r[2], "collation "+r[3]+" takes different texts for equal, in keys and in conditions", "Give the column a deterministic collation.")
	}
	return nil
}

// attachments looks for what makes loading a table do more than that.
func (in *inspector) attachments(ctx context.Context) error {
	if !in.opts.Restore {
		return nil
	}
	rows, err := in.query(ctx, `SELECT 'trigger', n.nspname, c.relname, t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' AND (n.nspname, c.relname) IN (SELECT * FROM unnest($1::text[], $2::text[]))
		UNION ALL SELECT 'foreign-key', n.nspname, c.relname, k.conname FROM pg_constraint k JOIN pg_class c ON c.oid IN (k.conrelid, k.confrelid) JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE k.contype = 'f' AND (n.nspname, c.relname) IN (SELECT * FROM unnest($1::text[], $2::text[])) ORDER BY 1, 2, 3, 4`,
		namespaceArray(in.tables), nameArray(in.tables))
	if err != nil {
		return in.lockedOut(ctx, err)
	}
	for _, r := range rows {
		in.find(r[0], storage.Warning, r[1]+"."+r[2], r[0]+" "+r[3]+" takes part in loading and emptying the table", "Disable it for the restore if that is not wanted.")
	}
	return nil
}
