package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

const (
	// The server hides what kind of session that of another user is from whoever
	// lacks pg_read_all_stats. Such a session counts, unless it is nobody's, as
	// that of an autovacuum is.
	otherSessions = ` FROM pg_stat_activity a WHERE a.datname = current_database()
		AND (a.backend_type = 'client backend' OR a.backend_type IS NULL AND a.usename IS NOT NULL)
		AND a.pid <> pg_backend_pid() AND coalesce(a.application_name, '') NOT LIKE '%' || $1`
	terminatePatience = 10 * time.Second
)

// Sessions implements storage.Inspector.
func (d *db) Sessions(ctx context.Context) ([]storage.Session, error) {
	s, err := d.pool.acquire(ctx)
	if err != nil {
		return nil, d.notSent(err)
	}
	defer d.pool.release(s)
	rows, err := d.query(ctx, s, `SELECT a.pid, a.usename, a.application_name, a.client_addr, a.state, left(a.query, 200),
		(extract(epoch FROM clock_timestamp() - a.backend_start) * 1000)::bigint`+otherSessions+` ORDER BY a.pid`, ownMark())
	if err != nil {
		return nil, err
	}
	out := make([]storage.Session, len(rows))
	for i, r := range rows {
		out[i] = sessionOf(r)
	}
	return out, nil
}

// TerminateSessions implements storage.Inspector. It returns when the sessions
// that it ended are gone.
func (d *db) TerminateSessions(ctx context.Context) (int, error) {
	s, err := d.pool.acquire(ctx)
	if err != nil {
		return 0, d.notSent(err)
	}
	defer d.pool.release(s)
	rows, err := d.query(ctx, s, `SELECT a.pid, pg_terminate_backend(a.pid)`+otherSessions, ownMark())
	if err != nil {
		if hasCode(err, codeNoRight) {
			return 0, &model.Error{Class: model.ErrRefused, Op: "terminate sessions of storage", Subject: fmt.Sprintf("%q", d.name), Err: err,
				Hint: "GRANT pg_signal_backend TO " + d.single.Dialect().Ident(d.user) + "; sessions of superusers can be ended by superusers only."}
		}
		return 0, err
	}
	pids := "{"
	ended := 0
	for _, r := range rows {
		if r[1] == "t" {
			if ended++; ended > 1 {
				pids += ","
			}
			pids += r[0]
		}
	}
	pids += "}"
	for end := time.Now().Add(terminatePatience); ; {
		left, err := d.query(ctx, s, "SELECT pid FROM pg_stat_activity WHERE pid = ANY ($1::int[])", pids)
		if err != nil {
			return 0, err
		}
		if len(left) == 0 {
			return ended, nil
		}
		if time.Now().After(end) {
			return ended - len(left), model.Errorf(model.ErrUnavailable, "storage %q: %d sessions did not end within %s", d.name, len(left), terminatePatience)
		}
		select {
		case <-ctx.Done():
			return 0, d.notSent(ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}
