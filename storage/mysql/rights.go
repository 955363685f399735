package mysql

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// missingRight notes a right that the user lacks, on what, and why it matters.
type missingRight func(severity storage.Severity, right, on, why string)

// rights tries what an operation needs.
func (i *inspector) rights(ctx context.Context, ses *session) error {
	account, err := accountOf(ctx, ses)
	if err != nil {
		return err
	}
	var missing missingRight = func(severity storage.Severity, right, on, why string) {
		i.add("missing-right", severity, right+" on "+on, why, fmt.Sprintf("GRANT %s ON %s TO %s;", right, on, account))
	}
	namespaces, present := map[string]bool{}, map[string][]string{}
	for _, name := range i.opts.Tables {
		table := i.store.dialect.Table(name)
		_, err := ses.strings(ctx, "SELECT 1 FROM "+table+" LIMIT 0")
		if rightMissing(err) {
			if i.opts.Backup { // else it may not be there, and nobody can grant anything on it
				missing(storage.Blocker, "SELECT", table, "the table cannot be read")
			}
			continue
		}
		if lockNotGranted(err) {
			return i.lockedOut(ctx, ses, name, err)
		}
		if err != nil && !absent(err) {
			return err
		}
		if err == nil && i.opts.Restore {
			present[name.Namespace] = append(present[name.Namespace], name.Name)
			if err := i.mayInsert(ctx, ses, name, missing); err != nil {
				return err
			}
		}
		if err != nil || !i.opts.Backup || namespaces[name.Namespace] {
			continue
		}
		namespaces[name.Namespace] = true
		if err := i.tryLock(ctx, name); rightMissing(err) {
			missing(storage.Blocker, "LOCK TABLES", i.store.dialect.Ident(name.Namespace)+".*", "the tables cannot be locked, which the fence needs")
		}
	}
	if i.opts.Restore {
		if err := i.mayMakeAnew(ctx, ses, account, present, missing); err != nil {
			return err
		}
	}
	if _, err := ses.strings(ctx, "SELECT COUNT(*) FROM information_schema.innodb_trx"); rightMissing(err) {
		missing(storage.Warning, "PROCESS", "*.*", "sessions of other users are not seen: not those that hold up a fence, not those still connected before a restore")
	} else if err != nil {
		return err
	}
	return i.replicationRight(ctx, ses, missing)
}

// mayInsert inserts no row into a table.
func (i *inspector) mayInsert(ctx context.Context, ses *session, name model.TableName, missing missingRight) error {
	table := i.store.dialect.Table(name)
	err := ses.execText(ctx, "INSERT INTO "+table+" SELECT * FROM "+table+" WHERE FALSE")
	switch {
	case rightMissing(err):
		missing(storage.Blocker, "INSERT", table, "no row can be loaded into the table")
	case lockNotGranted(err):
		return i.lockedOut(ctx, ses, name, err)
	case unanswered(err):
		return err
	}
	return nil
}

// mayMakeAnew makes, in each namespace, a table like one that is not there, and
// drops one that is not there: nothing comes of either, and the server looks at
// the rights first. Who lacks them there may still have them on each of the tables.
// present are the tables that are there and can be read.
func (i *inspector) mayMakeAnew(ctx context.Context, ses *session, account string, present map[string][]string, missing missingRight) error {
	wanted := map[string][]string{}
	for _, name := range i.opts.Tables {
		wanted[name.Namespace] = append(wanted[name.Namespace], name.Name)
	}
	for _, ns := range slices.Sorted(maps.Keys(wanted)) {
		nobody := func() string {
			return i.store.dialect.Table(model.TableName{Namespace: ns, Name: "stillpoint_" + rand.Text()})
		}
		all := i.store.dialect.Ident(ns) + ".*"
		severity := storage.Blocker
		if len(present[ns]) == len(wanted[ns]) {
			severity = storage.Warning // needed where a definition has changed
		}
		lacking, err := lacks(ctx, ses, account, "CREATE", ns, wanted[ns], "CREATE TABLE "+nobody()+" LIKE "+nobody())
		if err != nil {
			return err
		}
		if lacking {
			missing(severity, "SELECT, CREATE", all, "tables cannot be made")
		}
		if len(present[ns]) == 0 {
			continue
		}
		lacking, err = lacks(ctx, ses, account, "DROP", ns, present[ns], "DROP TABLE "+nobody())
		if err != nil {
			return err
		}
		if lacking {
			missing(storage.Blocker, "DROP", all, "tables that are there cannot be emptied")
		}
	}
	return nil
}

// lacks tells whether an account lacks a right in a namespace, which a statement
// tries, and on one of some tables there, too.
func lacks(ctx context.Context, ses *session, account, right, namespace string, tables []string, statement string) (bool, error) {
	err := ses.execText(ctx, statement)
	if unanswered(err) {
		return false, err
	}
	if !rightMissing(err) {
		return false, nil
	}
	rows, err := ses.strings(ctx, "SELECT TABLE_NAME FROM information_schema.table_privileges WHERE GRANTEE=? AND PRIVILEGE_TYPE=? AND TABLE_SCHEMA=?", account, right, namespace)
	granted := map[string]bool{}
	for _, r := range rows {
		granted[r[0]] = true
	}
	return slices.ContainsFunc(tables, func(name string) bool { return !granted[name] }), err
}

// absent tells the errors of tables and databases that are not there.
func absent(err error) bool {
	switch errorNumber(err) {
	case errTableMissing, errUnknownTable, errUnknownDatabase:
		return true
	}
	return false
}

// unanswered tells an error that is not the server's answer: what is tried for the
// sake of a right may fail there for any other reason.
func unanswered(err error) bool { return err != nil && errorNumber(err) == 0 }

// accountOf names the account of a session as GRANT takes it.
func accountOf(ctx context.Context, ses *session) (string, error) {
	rows, err := ses.strings(ctx, "SELECT CURRENT_USER()")
	if err != nil {
		return "", err
	}
	if len(rows) != 1 {
		return "", model.Errorf(model.ErrUnavailable, "the server does not say who the user is")
	}
	account := rows[0][0]
	if at := strings.LastIndexByte(account, '@'); at >= 0 {
		account = fmt.Sprintf("'%s'@'%s'", account[:at], account[at+1:])
	}
	return account, nil
}

// rightMissing tells the errors of a user who lacks a right.
func rightMissing(err error) bool {
	switch errorNumber(err) {
	case errTableDenied, errDatabaseDenied, errColumnDenied, errRightMissing:
		return true
	}
	return false
}

func (i *inspector) replicationRight(ctx context.Context, ses *session, missing missingRight) error {
	if !i.opts.Backup {
		return nil
	}
	query, right := "SHOW REPLICA STATUS", "REPLICATION CLIENT"
	if i.store.server.mariadb {
		query, right = "SHOW ALL SLAVES STATUS", "SLAVE MONITOR"
	}
	_, err := ses.strings(ctx, query)
	if rightMissing(err) {
		missing(storage.Warning, right, "*.*", "whether this server is a replica of another one cannot be seen")
	} else if err != nil && errorNumber(err) != errParse {
		return err
	}
	return nil
}

// lockedOut is the error of a table that could not be looked at because somebody
// has locked it.
func (i *inspector) lockedOut(ctx context.Context, ses *session, name model.TableName, cause error) error {
	e := &model.Error{Class: model.ErrUnavailable, Op: "look at storage", Subject: fmt.Sprintf("%q", i.store.cfg.Name),
		Detail: fmt.Sprintf("table %s is locked", name), Err: cause, Hint: "Wait until whoever has locked it has finished, or end that session"}
	if holders := i.store.holders(ctx, ses, []model.TableName{name}); len(holders) > 0 {
		e.Detail += ", most likely by session " + holders[0].ID + " of " + holders[0].User
	}
	return e
}

// tryLock takes and releases the lock of one table. One that is busy is no lack
// of rights.
func (i *inspector) tryLock(ctx context.Context, name model.TableName) error {
	ses, err := i.store.openAlone(ctx, readCommitted)
	if err != nil {
		return err
	}
	defer ses.close()
	err = i.store.lockWithin(ctx, ses, lockStatement(i.store, []model.TableName{name}), defaultFenceWait)
	if err == nil {
		err = ses.execText(ctx, "UNLOCK TABLES")
	}
	return err
}
