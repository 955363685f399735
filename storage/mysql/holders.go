package mysql

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/internal/sqldb"
)

const maxHolders = 5

// holders names the sessions that most likely hold locks on the tables: those
// that the lock tables of the server name, where it has such; else those with a
// transaction open or that use one of the tables right now. A user without the
// right PROCESS sees only its own sessions.
func (s *Store) holders(ctx context.Context, ses *session, tables []model.TableName) []storage.Session {
	const columns = "p.ID, p.USER, p.HOST, p.COMMAND, COALESCE(p.STATE,''), COALESCE(LEFT(p.INFO,200),''), p.TIME"
	named := func(schema, table string) string {
		conditions := make([]string, len(tables))
		for i, t := range tables {
			conditions[i] = "(" + schema + "=" + string(appendTextLiteral(nil, t.Namespace)) + " AND " + table + "=" + string(appendTextLiteral(nil, t.Name)) + ")"
		}
		return "(" + strings.Join(conditions, " OR ") + ")"
	}
	var queries []string
	if s.server.mariadb {
		queries = append(queries, "SELECT DISTINCT "+columns+" FROM information_schema.metadata_lock_info l JOIN information_schema.processlist p ON p.ID=l.THREAD_ID WHERE p.ID<>CONNECTION_ID() AND "+named("l.TABLE_SCHEMA", "l.TABLE_NAME"))
	} else {
		queries = append(queries, "SELECT DISTINCT "+columns+" FROM performance_schema.metadata_locks l JOIN performance_schema.threads h ON h.THREAD_ID=l.OWNER_THREAD_ID "+
			"JOIN information_schema.processlist p ON p.ID=h.PROCESSLIST_ID WHERE p.ID<>CONNECTION_ID() AND l.LOCK_STATUS='GRANTED' AND "+named("l.OBJECT_SCHEMA", "l.OBJECT_NAME"))
	}
	queries = append(queries, "SELECT "+columns+" FROM information_schema.innodb_trx x JOIN information_schema.processlist p ON p.ID=x.trx_mysql_thread_id "+
		"WHERE p.ID<>CONNECTION_ID() AND (x.trx_rows_modified>0 OR x.trx_tables_locked>0) ORDER BY x.trx_started",
		"SELECT "+columns+" FROM information_schema.processlist p WHERE p.ID<>CONNECTION_ID() AND p.COMMAND='Query' AND ("+mentions(tables)+") ORDER BY p.TIME DESC")
	for _, q := range queries {
		rows, err := ses.strings(ctx, q)
		if err == nil && len(rows) > 0 {
			return sessionsOf(rows[:min(len(rows), maxHolders)])
		}
		if ses.lost() {
			return nil
		}
	}
	return nil
}

// mentions is true for statements that name one of the tables.
func mentions(tables []model.TableName) string {
	parts := make([]string, len(tables))
	for i, t := range tables {
		parts[i] = "LOCATE(" + string(appendTextLiteral(nil, t.Name)) + ",p.INFO)>0"
	}
	return strings.Join(parts, " OR ")
}

// sessionsOf makes sessions of rows of the process list.
func sessionsOf(rows [][]string) []storage.Session {
	out := make([]storage.Session, 0, len(rows))
	for _, r := range rows {
		state := r[3]
		if r[4] != "" {
			state += ": " + r[4]
		}
		seconds, _ := strconv.ParseInt(r[6], 10, 64)
		out = append(out, storage.Session{ID: r[0], User: r[1], Client: r[2], State: state, Query: sqldb.ShownStatement(r[5]), Age: time.Duration(seconds) * time.Second})
	}
	return out
}
