package mysql

import (
	"context"
	"fmt"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage/internal/sqldb"
)

// admin is sqldb.Admin with a look at collations. DDL of these servers is not
// transactional: each statement is final, and a CreateTable that failed half
// way is completed by running it again.
type admin struct {
	*sqldb.Admin
	store *Store
}

func newAdmin(s *Store) *admin {
	a := &admin{Admin: sqldb.NewAdmin(s.dialect, s.opts.metadata, executor{s}), store: s}
	a.MetadataOptions = a.metadataOptions
	return a
}

// metadataOptions makes the database of the metadata tell all names apart,
// whatever the server's default: where it does not, the record of table n.T is
// found, and deleted, as that of n.t. Who reads it sees no difference.
func (a *admin) metadataOptions(ctx context.Context) (string, error) {
	collation, _, err := a.defaultCollation(ctx, a.Meta.Namespace)
	if err != nil {
		return "", err
	}
	if loose, err := a.loose(ctx, collation); err != nil || !loose {
		return "", err
	}
	return exact, nil
}

// CheckTable implements storage.Admin.
func (a *admin) CheckTable(ctx context.Context, t *model.Table, with ...model.TableName) error {
	if err := a.Admin.CheckTable(ctx, t, with...); err != nil {
		return err
	}
	collation, where, err := a.defaultCollation(ctx, t.Name().Namespace)
	if err != nil {
		return err
	}
	return a.checkCollation(ctx, "create table", t.Name().String(), t.Name().Namespace, collation, where)
}

// CreateNamespace implements storage.Admin. As ScalarDB does, it leaves the
// character set and the collation to the server, but refuses a default under
// which two keys that differ are taken as equal.
func (a *admin) CreateNamespace(ctx context.Context, ns string) error {
	if err := a.D.CheckNamespace(ns); err != nil {
		return err
	}
	collation, where, err := a.defaultCollation(ctx, ns)
	if err != nil {
		return err
	}
	if err := a.checkCollation(ctx, "create namespace", ns, ns, collation, where); err != nil {
		return err
	}
	return a.Admin.CreateNamespace(ctx, ns)
}

// CreateTable implements storage.Admin.
func (a *admin) CreateTable(ctx context.Context, t *model.Table) error {
	if err := a.CheckTable(ctx, t); err != nil {
		return err
	}
	return a.Admin.CreateTable(ctx, t)
}

// defaultCollation returns the collation that a new table of a namespace gets,
// and whose default that is.
func (a *admin) defaultCollation(ctx context.Context, ns string) (collation, where string, err error) {
	ex := a.Ex
	rows, err := ex.Query(ctx, "SELECT default_collation_name FROM information_schema.schemata WHERE schema_name=?", ns)
	if err != nil {
		return "", "", err
	}
	if len(rows) > 0 {
		return rows[0][0], "database " + ns, nil
	}
	rows, err = ex.Query(ctx, "SELECT @@collation_server")
	if err != nil || len(rows) == 0 {
		return "", "", err
	}
	return rows[0][0], "", nil
}

func (a *admin) checkCollation(ctx context.Context, op, subject, ns, collation, where string) error {
	if a.store.opts.acceptCollation {
		return nil
	}
	loose, err := a.loose(ctx, collation)
	if err != nil || !loose {
		return err
	}
	e := &model.Error{Class: model.ErrRefused, Op: op, Subject: subject}
	if where == "" {
		e.Detail = fmt.Sprintf("the server's default collation %s takes keys that differ only in case or accents as equal", collation)
		e.Hint = fmt.Sprintf("Create the database yourself (CREATE DATABASE %s%s), start the server with --collation-server=utf8mb4_bin, or accept it with %s=accept",
			a.D.Ident(ns), exact, propCollation)
	} else {
		e.Detail = fmt.Sprintf("the default collation %s of %s takes keys that differ only in case or accents as equal", collation, where)
		e.Hint = fmt.Sprintf("Change it (ALTER DATABASE %s%s) or accept it with %s=accept", a.D.Ident(ns), exact, propCollation)
	}
	return e
}

// loose asks the server whether a collation takes letters as equal that differ
// in case or accent.
func (a *admin) loose(ctx context.Context, collation string) (bool, error) {
	if collation == "" || collation == "binary" {
		return false, nil
	}
	charset := collation
	for i := range len(collation) {
		if collation[i] == '_' {
			charset = collation[:i]
			break
		}
	}
	for _, r := range charset + collation {
		if r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') {
			return false, model.Errorf(model.ErrUnavailable, "the server names a collation %q", collation)
		}
	}
	letter := func(s string) string {
		return fmt.Sprintf("CONVERT(_utf8mb4 x'%x' USING %s) COLLATE %s", s, charset, collation)
	}
	rows, err := a.Ex.Query(ctx, fmt.Sprintf("SELECT %[1]s=%[2]s OR %[1]s=%[3]s", letter("a"), letter("A"), letter("á")))
	if err != nil {
		return false, err
	}
	return len(rows) == 1 && rows[0][0] == "1", nil
}

// executor runs the statements of sqldb.Admin.
type executor struct{ s *Store }

// Exec implements sqldb.Executor.
func (e executor) Exec(ctx context.Context, sql string, args ...string) error {
	ses, err := e.s.lend(ctx)
	if err != nil {
		return err
	}
	defer func() { e.s.giveBack(ctx, ses) }()
	if len(args) == 0 {
		return e.s.wrap("change the schema of", ses.execText(ctx, sql))
	}
	values := make([]model.Value, len(args))
	for i, a := range args {
		values[i] = model.TextValue(a)
	}
	_, _, err = ses.exec(ctx, sql, values)
	return e.s.wrap("change the schema of", err)
}

// Query implements sqldb.Executor.
func (e executor) Query(ctx context.Context, sql string, args ...string) (rows [][]string, err error) {
	err = e.s.read(ctx, "read the schema of", func(ses *session) error {
		rows, err = ses.strings(ctx, sql, args...)
		return err
	})
	return rows, err
}

// IsDuplicate implements sqldb.Executor.
func (executor) IsDuplicate(err error) bool {
	switch errorNumber(err) {
	case errDatabaseExists, errTableExists, errDuplicateIndex, errDuplicate:
		return true
	}
	return false
}

// IsMissing implements sqldb.Executor.
func (executor) IsMissing(err error) bool {
	switch errorNumber(err) {
	case errTableMissing, errUnknownDatabase, errDatabaseMissing, errUnknownTable:
		return true
	}
	return false
}
