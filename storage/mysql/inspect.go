package mysql

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// tableFacts is what the catalogue says about a table.
type tableFacts struct {
	exists      bool
	engine      string
	rows, bytes int64 // estimates; -1 = unknown
	collation   string
}

func tableInfo(ctx context.Context, ses *session, name model.TableName) (tableFacts, error) {
	f := tableFacts{rows: -1, bytes: -1}
	rows, err := ses.strings(ctx, "SELECT COALESCE(ENGINE,''), COALESCE(TABLE_ROWS,-1), COALESCE(DATA_LENGTH,-1), COALESCE(TABLE_COLLATION,'') "+
		"FROM information_schema.tables WHERE TABLE_SCHEMA=? AND TABLE_NAME=?", name.Namespace, name.Name)
	if err != nil || len(rows) == 0 {
		return f, err
	}
	f.exists, f.engine, f.collation = true, rows[0][0], rows[0][3]
	if n, err := strconv.ParseInt(rows[0][1], 10, 64); err == nil {
		f.rows = n
	}
	if n, err := strconv.ParseInt(rows[0][2], 10, 64); err == nil {
		f.bytes = n
	}
	return f, nil
}

// Inspect implements storage.Inspector.
func (s *Store) Inspect(ctx context.Context, opts storage.InspectOptions) (storage.Inspection, error) {
	i := inspector{store: s, opts: opts, out: storage.Inspection{
		Engine: s.server.engine, Version: s.server.version, Identity: s.server.identity, Instance: s.server.instance,
		Endpoint: s.server.engine + " " + s.target.config.Addr,
	}}
	err := s.read(ctx, "inspect", func(ses *session) error {
		i.out.Findings, i.out.Tables, i.out.Bytes = nil, nil, 0
		return i.inspect(ctx, ses)
	})
	return i.out, err
}

type inspector struct {
	store *Store
	opts  storage.InspectOptions
	out   storage.Inspection
}

func (i *inspector) add(code string, severity storage.Severity, subject, text, fix string) {
	i.out.Findings = append(i.out.Findings, storage.Finding{Code: code, Severity: severity, Subject: subject, Text: text, Fix: fix})
}

func (i *inspector) inspect(ctx context.Context, ses *session) error {
	loose := map[string]bool{}
	for _, name := range i.opts.Tables {
		if err := i.table(ctx, ses, name, loose); err != nil {
			return err
		}
	}
	if err := i.durability(ctx, ses); err != nil {
		return err
	}
	if err := i.prepared(ctx, ses); err != nil {
		return err
	}
	if err := i.primary(ctx, ses); err != nil {
		return err
	}
	if i.opts.Backup || i.opts.Restore {
		return i.rights(ctx, ses)
	}
	return nil
}

func (i *inspector) table(ctx context.Context, ses *session, name model.TableName, loose map[string]bool) error {
	f, err := tableInfo(ctx, ses, name)
	if err != nil {
		return err
	}
	i.out.Tables = append(i.out.Tables, storage.TableInfo{Name: name, Rows: f.rows, Bytes: f.bytes})
	if f.bytes < 0 {
		i.out.Bytes = -1
	} else if i.out.Bytes >= 0 {
		i.out.Bytes += f.bytes
	}
	quoted := i.store.dialect.Table(name)
	switch {
	case !f.exists:
		if i.opts.Backup {
			i.add("table-missing", storage.Blocker, name.String(), "the table is in ScalarDB's metadata and not in the database, or this user may not see it", "")
		}
		return nil
	case f.engine == "":
		i.add("table-is-a-view", storage.Blocker, name.String(), "it is a view or is damaged, and cannot be locked or read as a table", "")
	case !strings.EqualFold(f.engine, "InnoDB"):
		i.add("not-transactional", storage.Blocker, name.String(),
			fmt.Sprintf("storage engine %s has no transactions: neither commits nor snapshots hold for it", f.engine),
			fmt.Sprintf("ALTER TABLE %s ENGINE=InnoDB;", quoted))
	}
	return i.collations(ctx, ses, name, loose)
}

// collations warns of columns whose collation takes different texts as equal.
func (i *inspector) collations(ctx context.Context, ses *session, name model.TableName, known map[string]bool) error {
	rows, err := ses.strings(ctx, "SELECT COLUMN_NAME, COLLATION_NAME FROM information_schema.columns WHERE TABLE_SCHEMA=? AND TABLE_NAME=? "+
		"AND COLLATION_NAME IS NOT NULL AND (COLUMN_KEY<>'' OR COLUMN_NAME='tx_id')", name.Namespace, name.Name)
	if err != nil {
		return err
	}
	var bad []string
	for _, r := range rows {
		loose, ok := known[r[1]]
		if !ok {
			if loose, err = i.store.admin.loose(ctx, r[1]); err != nil {
				return err
			}
			known[r[1]] = loose
		}
		if loose {
			bad = append(bad, r[0]+" ("+r[1]+")")
		}
	}
	if len(bad) > 0 {
		i.add("collation", storage.Warning, name.String(),
			"texts that differ only in case or accents are the same key here: "+strings.Join(bad, ", ")+". Restored into another database they may be two",
			fmt.Sprintf("ALTER TABLE %s CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;", i.store.dialect.Table(name)))
	}
	return nil
}

// durability warns of settings under which a crash of the server forgets commits.
func (i *inspector) durability(ctx context.Context, ses *session) error {
	vars, err := ses.variables(ctx, "innodb_flush_log_at_trx_commit", "sync_binlog", "log_bin")
	if err != nil {
		return err
	}
	if v := vars["innodb_flush_log_at_trx_commit"]; v != "1" && v != "3" {
		i.add("commits-may-be-lost", storage.Warning, "innodb_flush_log_at_trx_commit="+v,
			"the server reports commits before they are on disk; a crash may forget the last second of them, in this database and not in others",
			"SET GLOBAL innodb_flush_log_at_trx_commit=1;")
	}
	if v := vars["sync_binlog"]; on(vars["log_bin"]) && v != "1" {
		i.add("commits-may-be-lost", storage.Info, "sync_binlog="+v,
			"after a crash the binary log, and with it replicas, may lack commits that the tables have", "SET GLOBAL sync_binlog=1;")
	}
	return nil
}

// primary warns of a backup from a server that is behind others, or does not take
// all writes. Where that matters for a fence, ProveFence refuses it.
func (i *inspector) primary(ctx context.Context, ses *session) error {
	if !i.opts.Backup {
		return nil
	}
	reason, err := i.store.notPrimary(ctx, ses)
	if err == nil && reason != "" {
		i.add("not-primary", storage.Warning, i.out.Endpoint, reason+"; the backup is of what this server has", "Give the address of the primary in the JDBC URL.")
	}
	return err
}

// identity tells a server from all others, whatever its address. That of MariaDB is
// made of what a copy of it may have as well, but for server_uid, which versions
// since 2024 make of the machine's hardware.
func identity(vars map[string]string, mariadb bool) string {
	if vars["server_uuid"] != "" && !mariadb {
		return "mysql:" + vars["server_uuid"]
	}
	id := fmt.Sprintf("mysql:%s:%s", instance(vars), vars["server_id"])
	if uid := vars["server_uid"]; uid != "" {
		id += ":" + uid
	}
	return id
}

// instance tells a server from one that was made of a copy of its files, which has
// its server_uuid.
func instance(vars map[string]string) string {
	return vars["hostname"] + ":" + vars["port"] + ":" + vars["datadir"]
}
