package mysql

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// probeTime is the time within which an insert must be seen waiting. Tests change it.
var probeTime = time.Second

const (
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
	probers := make([]*prober, min(len(tables), probesAtOnce))
	for i := range probers { // the logins come before the lock
		p := &prober{store: s}
		defer p.close()
		for _, ses := range []**session{&p.writer, &p.watcher} {
			var err error
			if *ses, err = s.openAlone(ctx, readCommitted); err != nil {
				return err
			}
		}
		probers[i] = p
	}
	for some := range slices.Chunk(tables, probesAtOnce) {
		if err := s.proveSome(ctx, some, probers, opts.Wait); err != nil {
			return err
		}
	}
	return nil
}

// proveSome proves the lock of a few tables, so few that their writers wait for some
// milliseconds only. It tries a few times if they are busy.
func (s *Store) proveSome(ctx context.Context, tables []*model.Table, probers []*prober, wait time.Duration) error {
	opts := storage.FenceOptions{Wait: wait}
	for _, t := range tables {
		opts.Tables = append(opts.Tables, t.Name())
	}
	var f storage.Fence
	for pause := 20 * time.Millisecond; ; pause *= 2 {
		var err error
		if f, err = s.Fence(ctx, opts); err == nil {
			break
		}
		if pause > 500*time.Millisecond || !errors.Is(err, model.ErrConflict) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
	}
	defer func() { _ = f.Release(ctx) }()
	group, gctx := errgroup.WithContext(ctx)
	for i, t := range tables {
		group.Go(func() error { return probers[i].probe(gctx, t) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return f.Alive(ctx)
}

// prober is a session that tries to write, and one that looks what became of it.
type prober struct {
	store           *Store
	writer, watcher *session
}

func (p *prober) close() {
	for _, ses := range []*session{p.writer, p.watcher} {
		if ses != nil {
			ses.close()
		}
	}
}

// probe tries an insert and must find it waiting for the lock of the table. It
// looks again and again, so that writers are held no longer than it takes.
func (p *prober) probe(ctx context.Context, t *model.Table) error {
	m := storage.Mutation{Kind: storage.Put, Table: t, Key: probeKey(t), Guard: storage.Guard{Kind: storage.NotExists}}
	st := p.store.builder.Mutation(&m)
	insert := string(appendFilled(nil, st.SQL, st.AppendArgs(nil, &m)))
	done := make(chan error, 1)
	go func() {
		// It must give up by itself should nobody take it back.
		done <- p.writer.execText(ctx, "SET SESSION lock_wait_timeout=5; START TRANSACTION; "+insert)
	}()
	defer func() {
		if !p.writer.lost() {
			_ = p.writer.execText(context.WithoutCancel(ctx), "ROLLBACK")
		}
	}()
	for begin := time.Now(); time.Since(begin) < probeTime; {
		select {
		case err := <-done:
			return p.wentPast(ctx, t, err)
		case <-time.After(time.Millisecond):
		}
		rows, err := p.watcher.strings(ctx, fmt.Sprintf("SELECT COALESCE(STATE,'') FROM information_schema.processlist WHERE ID=%d", p.writer.id))
		if err != nil {
			<-done
			return p.store.wrap("prove the fence of", err)
		}
		if len(rows) == 1 && strings.Contains(strings.ToLower(rows[0][0]), "metadata lock") {
			err := p.watcher.execText(ctx, fmt.Sprintf("KILL QUERY %d", p.writer.id))
			<-done
			return p.store.wrap("prove the fence of", err)
		}
	}
	err := errors.Join(p.watcher.execText(ctx, fmt.Sprintf("KILL QUERY %d", p.writer.id)), <-done)
	if lockNotGranted(err) { // it wrote nothing; the server is slow, or has only now come to it
		return &storage.FenceBusyError{Storage: p.store.cfg.Name, Table: t.Name(), Err: fmt.Errorf("the server did not show within %v that a write waits for the lock: %w", probeTime, err)}
	}
	return p.wentPast(ctx, t, err)
}

// wentPast says that an insert was not seen waiting.
func (p *prober) wentPast(ctx context.Context, t *model.Table, err error) error {
	if err != nil && errorNumber(err) == 0 {
		return p.store.wrap("prove the fence of", err)
	}
	if rightMissing(err) {
		account, werr := accountOf(ctx, p.watcher)
		if werr != nil {
			return p.store.wrap("prove the fence of", werr)
		}
		return &model.Error{Class: model.ErrRefused, Op: "prove the fence of", Subject: fmt.Sprintf("storage %q", p.store.cfg.Name), Err: err,
			Detail: fmt.Sprintf("the user lacks INSERT on %s, which the proof tries and takes back", t.Name()),
			Hint:   fmt.Sprintf("GRANT INSERT ON %s TO %s;", p.store.dialect.Table(t.Name()), account)}
	}
	return &model.Error{Class: model.ErrRefused, Op: "prove the fence of", Subject: fmt.Sprintf("storage %q", p.store.cfg.Name), Err: err,
		Detail: fmt.Sprintf("a second session wrote to %s while the tables were locked, so that this server's lock is no fence", t.Name())}
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
