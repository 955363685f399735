package sqldb

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/stillpoint-db/stillpoint/model"
)

// Executor runs the statements of an Admin. Each is committed when its call
// returns. Arguments and results are text; NULL comes as "". Errors have the
// classes of storage.Storage's reads.
type Executor interface {
	Exec(ctx context.Context, sql string, args ...string) error
	Query(ctx context.Context, sql string, args ...string) ([][]string, error)
	// IsDuplicate tells the error of creating what is there already; IsMissing
	// that of using a table or schema that is not there.
	IsDuplicate(err error) bool
	IsMissing(err error) bool
}

// Transactor is an Executor that can run several statements as one transaction,
// in which a statement that fails leaves the others as they are. Admin creates
// and drops tables in one where it can; elsewhere each step can be repeated.
type Transactor interface {
	Transact(ctx context.Context, work func(Executor) error) error
}

// together runs work on an Admin whose statements are one transaction, if there
// can be such a thing.
func (a *Admin) together(ctx context.Context, work func(*Admin) error) error {
	tx, ok := a.Ex.(Transactor)
	if !ok {
		return work(a)
	}
	return tx.Transact(ctx, func(ex Executor) error {
		in := *a
		in.Ex = ex
		return work(&in)
	})
}

// Catalog has an engine's queries over its catalogue. Arguments: the namespace
// and, but for Namespace and Leftovers, the physical table name.
type Catalog struct {
	Namespace string // a row if it exists; "" where there are no namespaces
	Table     string // a row if it exists
	Columns   string // the names of its columns, and their types if Dialect.Reads or Made wants them
	Key       string // the names of the columns of its primary key, in their order
	Indexes   string // the names of its indexes
	Leftovers string // the name of any table or view in a namespace
}

// Admin is storage.Admin over an Executor.
type Admin struct {
	D    *Dialect
	Meta Metadata
	Ex   Executor
	// MetadataOptions, if not nil, returns what is to follow CREATE SCHEMA and
	// the namespace of the metadata table.
	MetadataOptions func(context.Context) (string, error)
}

// NewAdmin makes an Admin with its metadata in the given namespace; "" means
// MetadataNamespace.
func NewAdmin(d *Dialect, metadata string, ex Executor) *Admin {
	if metadata == "" {
		metadata = MetadataNamespace
	}
	return &Admin{D: d, Meta: Metadata{d, metadata}, Ex: ex}
}

// CheckTable implements storage.Admin.
func (a *Admin) CheckTable(ctx context.Context, t *model.Table, with ...model.TableName) error {
	if t.Name().Namespace == a.Meta.Namespace {
		return model.Errorf(model.ErrBadArgument, "namespace %q is that of the metadata table", a.Meta.Namespace)
	}
	if err := a.D.CheckNames(t); err != nil {
		return err
	}
	return a.checkCase(ctx, t.Name(), with)
}

// checkCase refuses a table whose name the engine would take for that of another
// one, there or to be made with it: both would be one table.
func (a *Admin) checkCase(ctx context.Context, name model.TableName, with []model.TableName) error {
	if !a.D.FoldTables {
		return nil
	}
	names, err := a.names(ctx)
	if err != nil {
		return err
	}
	for _, other := range with {
		names = append(names, other.String())
	}
	for _, other := range names {
		if other != name.String() && fold(other) == fold(name.String()) {
			return model.Errorf(model.ErrBadArgument, "table %s would be one with table %s: %s takes names that differ in upper and lower case alone for one", name, other, a.D.Engine)
		}
	}
	return nil
}

// Statements implements storage.Admin.
func (a *Admin) Statements(t *model.Table) []string {
	out := []string{a.D.CreateTable(t, false)}
	for _, ix := range a.D.Indexes(t) {
		out = append(out, ix.SQL)
	}
	return out
}

// CreateNamespace implements storage.Admin.
func (a *Admin) CreateNamespace(ctx context.Context, ns string) error {
	if err := a.D.CheckNamespace(ns); err != nil {
		return err
	}
	if ns == a.Meta.Namespace {
		return model.Errorf(model.ErrBadArgument, "namespace %q is that of the metadata table", ns)
	}
	return a.createSchema(ctx, ns, nil)
}

// createSchema creates a namespace, unless it is there, with the options that
// a function, if not nil, is asked for.
func (a *Admin) createSchema(ctx context.Context, ns string, options func(context.Context) (string, error)) error {
	if a.D.Catalog.Namespace == "" {
		return nil
	}
	if have, err := a.Ex.Query(ctx, a.D.Catalog.Namespace, ns); err != nil || len(have) > 0 {
		return err
	}
	sql := "CREATE SCHEMA " + a.D.Ident(ns)
	if options != nil {
		more, err := options(ctx)
		if err != nil {
			return err
		}
		sql += more
	}
	err := a.Ex.Exec(ctx, sql)
	if err != nil && a.Ex.IsDuplicate(err) {
		return nil
	}
	return err
}

// DropNamespace implements storage.Admin.
func (a *Admin) DropNamespace(ctx context.Context, ns string) error {
	if err := a.D.CheckNamespace(ns); err != nil {
		return err
	}
	tables, err := a.Tables(ctx, ns)
	if err != nil {
		return err
	}
	notEmpty := func(what string) error {
		return &model.Error{Class: model.ErrRefused, Op: "drop namespace", Subject: ns, Detail: "it still holds table " + what, Hint: "Drop its tables first."}
	}
	if len(tables) > 0 {
		return notEmpty(tables[0].Name)
	}
	if a.D.Catalog.Namespace == "" {
		return nil
	}
	if have, err := a.Ex.Query(ctx, a.D.Catalog.Namespace, ns); err != nil || len(have) == 0 {
		return err
	}
	left, err := a.Ex.Query(ctx, a.D.Catalog.Leftovers, ns)
	if err != nil {
		return err
	}
	if len(left) > 0 {
		return notEmpty(left[0][0] + ", which is not one of ours")
	}
	err = a.Ex.Exec(ctx, "DROP SCHEMA "+a.D.Ident(ns))
	if err != nil && a.Ex.IsMissing(err) {
		return nil
	}
	return err
}

// CreateTable implements storage.Admin. Each step is skipped if it has been
// done, and the record comes last, so a run that failed is completed by the
// next.
func (a *Admin) CreateTable(ctx context.Context, t *model.Table) error {
	return a.together(ctx, func(a *Admin) error {
		if err := a.CheckTable(ctx, t); err != nil {
			return err
		}
		return a.createTable(ctx, t)
	})
}

func (a *Admin) createTable(ctx context.Context, t *model.Table) error {
	name := t.Name()
	switch _, err := a.Table(ctx, name); {
	case err == nil:
		return &model.Error{Class: model.ErrExists, Op: "create table", Subject: name.String()}
	case !isNotFound(err):
		return err
	}
	if a.D.Catalog.Namespace != "" {
		have, err := a.Ex.Query(ctx, a.D.Catalog.Namespace, name.Namespace)
		if err != nil {
			return err
		}
		if len(have) == 0 {
			return &model.Error{Class: model.ErrNotFound, Op: "create table", Subject: name.String(), Detail: "there is no namespace " + name.Namespace}
		}
	}
	if err := a.Ex.Exec(ctx, a.D.CreateTable(t, true)); err != nil && !a.Ex.IsDuplicate(err) {
		return err
	}
	if err := a.checkColumns(ctx, t); err != nil {
		return err
	}
	if err := a.createIndexes(ctx, t); err != nil {
		return err
	}
	return a.record(ctx, t)
}

// checkColumns refuses a table that was there before and is another one: one of
// somebody else's, or one of a run that failed, with a definition that has changed
// since.
func (a *Admin) checkColumns(ctx context.Context, t *model.Table) error {
	columns, err := a.Ex.Query(ctx, a.D.Catalog.Columns, t.Name().Namespace, a.D.Physical(t.Name()))
	if err != nil {
		return err
	}
	key, err := a.column(ctx, a.D.Catalog.Key, t.Name())
	if err != nil {
		return err
	}
	other := ""
	for i, c := range t.Columns() {
		at := slices.IndexFunc(columns, func(r []string) bool { return r[0] == c.Name })
		switch {
		case at < 0 || len(columns) != len(t.Columns()):
			other = "other columns"
		case t.IsKey(i) && (len(key) != t.KeyLen() || key[i] != c.Name):
			other = "another primary key"
		case !a.mayBe(t, i, columns[at]):
			other = "a column " + c.Name + " of type " + columns[at][1]
		default:
			continue
		}
		return &model.Error{Class: model.ErrExists, Op: "create table", Subject: t.Name().String(),
			Detail: "the database has a table of this name with " + other + ", of which the metadata does not know",
			Hint:   "Rename or drop it, or choose another name."}
	}
	return nil
}

// mayBe tells whether a column that was found (name, type) may be column i of a table.
func (a *Admin) mayBe(t *model.Table, i int, found []string) bool {
	return (a.D.Reads == nil || a.D.Reads(t.Columns()[i].Type, found[1])) && (a.D.Made == nil || a.D.Made(a.D.ColumnType(t, i), found[1]))
}

func (a *Admin) createIndexes(ctx context.Context, t *model.Table) error {
	indexes := a.D.Indexes(t)
	if len(indexes) == 0 {
		return nil
	}
	have, err := a.column(ctx, a.D.Catalog.Indexes, t.Name())
	if err != nil {
		return err
	}
	for _, ix := range indexes {
		if slices.Contains(have, ix.Name) {
			continue
		}
		if err := a.Ex.Exec(ctx, ix.SQL); err != nil {
			if a.Ex.IsDuplicate(err) { // another run of ours, or an index of another table
				now, err2 := a.column(ctx, a.D.Catalog.Indexes, t.Name())
				if err2 == nil && slices.Contains(now, ix.Name) {
					continue
				}
				return &model.Error{Class: model.ErrExists, Op: "create index", Subject: ix.Name, Err: err,
					Hint: "An index of another table has this name; names of namespaces, tables and columns joined by _ must differ."}
			}
			return err
		}
	}
	return nil
}

// record writes the table into the metadata. The metadata table or its schema
// may vanish meanwhile, because whoever drops the last table drops them too.
func (a *Admin) record(ctx context.Context, t *model.Table) error {
	sql, args := a.Meta.Insert(t)
	for try := 0; ; try++ {
		err := a.createSchema(ctx, a.Meta.Namespace, a.MetadataOptions)
		if err == nil {
			err = a.Ex.Exec(ctx, a.Meta.Create())
		}
		if err == nil || a.Ex.IsDuplicate(err) {
			err = a.Ex.Exec(ctx, sql, args...)
		}
		switch {
		case err == nil:
			return nil
		case a.Ex.IsDuplicate(err):
			return &model.Error{Class: model.ErrExists, Op: "create table", Subject: t.Name().String(), Err: err}
		case !a.Ex.IsMissing(err) || try == 3:
			return err
		}
	}
}

// DropTable implements storage.Admin.
func (a *Admin) DropTable(ctx context.Context, name model.TableName) error {
	return a.together(ctx, func(a *Admin) error { return a.dropTable(ctx, name) })
}

func (a *Admin) dropTable(ctx context.Context, name model.TableName) error {
	if _, err := a.Table(ctx, name); err != nil && !isDamaged(err) {
		return err
	}
	if err := a.Ex.Exec(ctx, "DROP TABLE IF EXISTS "+a.D.Table(name)); err != nil {
		return err
	}
	if err := a.Ex.Exec(ctx, a.Meta.Delete(), name.String()); err != nil {
		if a.Ex.IsMissing(err) {
			return nil
		}
		return err
	}
	return a.dropMetadataIfEmpty(ctx)
}

func (a *Admin) dropMetadataIfEmpty(ctx context.Context) error {
	rows, err := a.Ex.Query(ctx, a.Meta.Any())
	if err != nil || len(rows) > 0 {
		if err != nil && a.Ex.IsMissing(err) {
			return nil
		}
		return err
	}
	if err := a.Ex.Exec(ctx, a.Meta.Drop()); err != nil {
		if a.Ex.IsMissing(err) {
			return nil
		}
		return err
	}
	if a.D.Catalog.Namespace == "" {
		return nil
	}
	if left, err := a.Ex.Query(ctx, a.D.Catalog.Leftovers, a.Meta.Namespace); err != nil || len(left) > 0 {
		return err
	}
	err = a.Ex.Exec(ctx, "DROP SCHEMA "+a.D.Ident(a.Meta.Namespace))
	if err != nil && a.Ex.IsMissing(err) {
		return nil
	}
	return err
}

// TruncateTable implements storage.Admin.
func (a *Admin) TruncateTable(ctx context.Context, name model.TableName) error {
	if _, err := a.Table(ctx, name); err != nil {
		return err
	}
	return a.Ex.Exec(ctx, a.D.Truncate+a.D.Table(name))
}

// Table implements storage.Admin.
func (a *Admin) Table(ctx context.Context, name model.TableName) (*model.Table, error) {
	rows, err := a.Ex.Query(ctx, a.Meta.Select(), name.String())
	if err != nil {
		if a.Ex.IsMissing(err) {
			return nil, NoTable(name)
		}
		return nil, err
	}
	if len(rows) == 0 {
		return nil, a.noTable(ctx, name)
	}
	t, err := a.Meta.Decode(name, rows)
	if err != nil {
		return nil, err
	}
	if err := a.agree(ctx, t); err != nil {
		return nil, err
	}
	return t, nil
}

// noTable is the error for a name that the metadata does not know: model.ErrRefused
// if it is that of a table whose transaction columns are kept apart. Few databases
// have the table that tells; that this user may not read it tells nothing.
func (a *Admin) noTable(ctx context.Context, name model.TableName) error {
	rows, err := a.Ex.Query(ctx, a.Meta.Virtual(), name.String())
	switch {
	case err != nil && (errors.Is(err, model.ErrUnavailable) || errors.Is(err, model.ErrConflict)):
		return err
	case err != nil || len(rows) == 0:
		return NoTable(name)
	}
	return &model.Error{Class: model.ErrRefused, Op: "table", Subject: name.String(),
		Detail: "its transaction columns are kept in a table of their own (transaction-metadata-decoupling), which is not supported yet",
		Hint:   "Only programs that use ScalarDB itself can work with it"}
}

// Namespaces implements storage.Admin.
func (a *Admin) Namespaces(ctx context.Context) ([]string, error) {
	names, err := a.names(ctx)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, n := range names {
		if ns, _, ok := strings.Cut(n, "."); ok {
			out = append(out, ns)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// Tables implements storage.Admin.
func (a *Admin) Tables(ctx context.Context, ns string) ([]model.TableName, error) {
	names, err := a.names(ctx)
	if err != nil {
		return nil, err
	}
	var out []model.TableName
	for _, n := range names {
		if of, table, ok := strings.Cut(n, "."); ok && of == ns {
			out = append(out, model.TableName{Namespace: ns, Name: table})
		}
	}
	slices.SortFunc(out, model.TableName.Compare)
	return out, nil
}

func (a *Admin) names(ctx context.Context) ([]string, error) {
	rows, err := a.Ex.Query(ctx, a.Meta.Names())
	if err != nil {
		if a.Ex.IsMissing(err) {
			return nil, nil
		}
		return nil, err
	}
	out := make([]string, len(rows))
	for i, r := range rows {
		out[i] = r[0]
	}
	return out, nil
}

func (a *Admin) column(ctx context.Context, query string, name model.TableName) ([]string, error) {
	rows, err := a.Ex.Query(ctx, query, name.Namespace, a.D.Physical(name))
	if err != nil {
		return nil, err
	}
	out := make([]string, len(rows))
	for i, r := range rows {
		out[i] = r[0]
	}
	return out, nil
}
