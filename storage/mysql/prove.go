package mysql

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

const (
	probeTime    = 40 * time.Millisecond // how long an insert must have been blocked
	probesAtOnce = 8
	probeText    = "stillpoint fence probe"
)

// ProveFence implements storage.Fencer.
func (s *Store) ProveFence(ctx context.Context, opts storage.FenceOptions) error {
	if err := s.checkPrimary(ctx); err != nil {
		return err
	}
	tables := make([]*model.Table, len(opts.Tables))
	for i, name := range opts.Tables {
		t, err := s.admin.Table(ctx, name)
		if err != nil {
			return err
		}
		tables[i] = t
	}
	probes := make([]*session, min(len(tables), probesAtOnce))
	for i := range probes {
		ses, err := s.openAlone(ctx, readCommitted)
		if err != nil {
			return err
		}
		defer ses.close()
		probes[i] = ses
	}
	f, err := s.Fence(ctx, opts)
	if err != nil {
		return err
	}
	defer func() { _ = f.Release(ctx) }()
	free := make(chan *session, len(probes))
	for _, p := range probes {
		free <- p
	}
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(len(probes))
	for _, t := range tables {
		group.Go(func() error {
			ses := <-free
			defer func() { free <- ses }()
			return s.probe(gctx, ses, t)
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return f.Alive(ctx)
}

// probe tries an insert and must find it waiting.
func (s *Store) probe(ctx context.Context, ses *session, t *model.Table) error {
	m := storage.Mutation{Kind: storage.Put, Table: t, Key: probeKey(t), Guard: storage.Guard{Kind: storage.NotExists}}
	st := s.builder.Mutation(&m)
	insert := string(appendFilled(nil, st.SQL, st.AppendArgs(nil, &m)))
	// It must give up by itself should nobody take it back.
	done := make(chan error, 1)
	go func() {
		done <- ses.execText(ctx, "SET SESSION lock_wait_timeout=5; START TRANSACTION; "+insert)
	}()
	var err error
	blocked := false
	select {
	case err = <-done:
		_ = ses.execText(context.WithoutCancel(ctx), "ROLLBACK")
	case <-time.After(probeTime):
		blocked, err = s.takeBack(ctx, ses, done)
	}
	if blocked {
		return err
	}
	if err != nil && errorNumber(err) == 0 {
		return s.wrap("prove the fence of", err)
	}
	return &model.Error{Class: model.ErrRefused, Op: "prove the fence of", Subject: fmt.Sprintf("storage %q", s.cfg.Name), Err: err,
		Detail: fmt.Sprintf("a second session wrote to %s while the tables were locked, so that this server's lock is no fence", t.Name())}
}

// takeBack interrupts a blocked insert and tells whether it was waiting for the
// lock of the table.
func (s *Store) takeBack(ctx context.Context, ses *session, done <-chan error) (blocked bool, err error) {
	other, err := s.openAlone(ctx, readCommitted)
	if err != nil {
		<-done
		return true, err
	}
	defer other.close()
	rows, err := other.strings(ctx, fmt.Sprintf("SELECT COALESCE(STATE,'') FROM information_schema.processlist WHERE ID=%d", ses.id))
	if err == nil && len(rows) == 1 && strings.Contains(strings.ToLower(rows[0][0]), "metadata lock") {
		blocked = true
	}
	if err == nil {
		err = other.execText(ctx, fmt.Sprintf("KILL QUERY %d", ses.id))
	}
	answer := <-done
	if !ses.lost() {
		_ = ses.execText(context.WithoutCancel(ctx), "ROLLBACK")
	}
	if blocked {
		return true, s.wrap("prove the fence of", err)
	}
	return false, errors.Join(err, answer)
}

// probeKey is a key that nobody uses.
func probeKey(t *model.Table) model.Key {
	values := make([]model.Value, t.KeyLen())
	for i := range values {
		switch typ := t.Columns()[i].Type; typ {
		case model.Text:
			values[i] = model.TextValue(probeText)
		case model.Blob:
			values[i] = model.BlobStringValue(probeText)
		case model.Boolean:
			values[i] = model.BooleanValue(true)
		default:
			values[i] = model.RawValue(typ, 0)
		}
	}
	return model.KeyOf(t, values)
}

// checkPrimary refuses servers of which a lock of tables is not enough: ones
// that do not take the writes, or not alone.
func (s *Store) checkPrimary(ctx context.Context) error {
	ses, err := s.lend(ctx)
	if err != nil {
		return err
	}
	defer func() { s.giveBack(ctx, ses) }()
	reason, err := s.notPrimary(ctx, ses)
	if err != nil {
		return s.wrap("look at", err)
	}
	if reason == "" {
		return nil
	}
	return &model.Error{Class: model.ErrRefused, Op: "prove the fence of", Subject: fmt.Sprintf("storage %q", s.cfg.Name), Detail: reason}
}

func (s *Store) notPrimary(ctx context.Context, ses *session) (reason string, err error) {
	vars, err := ses.variables(ctx, "read_only", "super_read_only", "innodb_read_only", "wsrep_on", "wsrep_provider", "group_replication_single_primary_mode")
	if err != nil {
		return "", err
	}
	if reason := noSolePrimary(vars); reason != "" {
		return reason, nil
	}
	return s.replicating(ctx, ses)
}

// noSolePrimary tells from the variables of a server why its locks do not hold
// all writes; "" if they may.
func noSolePrimary(vars map[string]string) string {
	switch {
	case on(vars["read_only"]) || on(vars["super_read_only"]) || on(vars["innodb_read_only"]):
		return "the server is read-only: it is a replica, or is being taken out of service; point the storage at the primary"
	case on(vars["wsrep_on"]) && vars["wsrep_provider"] != "" && !strings.EqualFold(vars["wsrep_provider"], "none"):
		return "the server is a node of a Galera cluster, in which LOCK TABLES holds only the sessions of one node"
	case strings.EqualFold(vars["group_replication_single_primary_mode"], "OFF"):
		return "the server is a member of a group replication with several primaries, in which LOCK TABLES holds only the sessions of one member"
	}
	return ""
}

// replicating looks for replication from another server. Without the right to
// see it there is no answer, and Inspect warns.
func (s *Store) replicating(ctx context.Context, ses *session) (reason string, err error) {
	query := "SHOW REPLICA STATUS"
	if s.server.mariadb {
		query = "SHOW ALL SLAVES STATUS"
	}
	columns, rows, err := ses.table(ctx, query)
	if errorNumber(err) == errParse {
		columns, rows, err = ses.table(ctx, "SHOW SLAVE STATUS")
	}
	switch errorNumber(err) {
	case errRightMissing, errDatabaseDenied, errTableDenied:
		return "", nil
	}
	if err != nil {
		return "", err
	}
	for _, r := range rows {
		for i, c := range columns {
			switch c {
			case "Slave_SQL_Running", "Replica_SQL_Running", "Slave_IO_Running", "Replica_IO_Running":
				if strings.EqualFold(r[i], "yes") || strings.EqualFold(r[i], "connecting") {
					return "the server replicates from another one, so that writes come which its locks do not hold; point the storage at the primary", nil
				}
			}
		}
	}
	return "", nil
}

// on reads a switch of the server. NO_LOCK and the like are forms of on.
func on(v string) bool {
	return v != "" && v != "0" && !strings.EqualFold(v, "OFF")
}
