package storagetest

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/stillpoint-db/stillpoint/model"
)

// allTypes are the column types, in order.
var allTypes = []model.DataType{model.Boolean, model.Int, model.BigInt, model.Float, model.Double, model.Text, model.Blob,
	model.Date, model.Time, model.Timestamp, model.TimestampTZ}

// wideSpec has a column of each type, named after it in lower case with v_.
func wideSpec() model.TableSpec {
	spec := model.TableSpec{Columns: []model.Column{{Name: "p", Type: model.Text}, {Name: "c", Type: model.Int}},
		PartitionKey: []string{"p"}, ClusteringKey: []model.ClusteringColumn{{Name: "c"}}}
	for _, typ := range allTypes {
		spec.Columns = append(spec.Columns, model.Column{Name: valueColumn(typ), Type: typ})
	}
	return spec
}

func valueColumn(typ model.DataType) string { return "v_" + typ.String() }

func (x *suite) testSchema(t *testing.T) {
	t.Run("DefinitionIsReadBackEqual", func(t *testing.T) {
		spec := wideSpec()
		spec.Columns = append(spec.Columns, model.Column{Name: "p2", Type: model.Int}, model.Column{Name: "c2", Type: model.BigInt}, model.Column{Name: "Odd \"name`' ü", Type: model.Text})
		spec.PartitionKey = append(spec.PartitionKey, "p2")
		spec.ClusteringKey = append(spec.ClusteringKey, model.ClusteringColumn{Name: "c2", Order: model.Desc})
		spec.Indexes = []string{valueColumn(model.Text), valueColumn(model.Int), "c2"}
		table := x.table(t, spec)
		got, err := x.s.Admin().Table(t.Context(), table.Name())
		if err != nil {
			t.Fatal(err)
		}
		if !got.Equal(table) {
			t.Errorf("read back %+v, created %+v", got.Spec(), table.Spec())
		}
		tables, err := x.s.Admin().Tables(t.Context(), table.Name().Namespace)
		if err != nil || !slices.Equal(tables, []model.TableName{table.Name()}) {
			t.Errorf("tables of the namespace: %v, %v", tables, err)
		}
		namespaces, err := x.s.Admin().Namespaces(t.Context())
		if err != nil || !slices.Contains(namespaces, table.Name().Namespace) || !slices.IsSorted(namespaces) {
			t.Errorf("namespaces: %v, %v", namespaces, err)
		}
	})
	t.Run("ASecondCreateChangesNothing", func(t *testing.T) {
		table := x.table(t, things())
		write(t, x.s, upsert(table, key("a", 1), set("i", model.IntValue(7))))
		if err := x.s.Admin().CreateTable(t.Context(), table); !errors.Is(err, model.ErrExists) {
			t.Errorf("creating it again: %v", err)
		}
		if err := x.s.Admin().CreateNamespace(t.Context(), table.Name().Namespace); err != nil {
			t.Errorf("creating the namespace again: %v", err)
		}
		wantRow(t, read(t, x.s, table, key("a", 1)), map[string]model.Value{"i": model.IntValue(7)})
	})
	t.Run("DropAndMissing", func(t *testing.T) {
		table := x.table(t, things())
		other := things()
		other.Name = model.TableName{Namespace: table.Name().Namespace, Name: "other"}
		x.table(t, other)
		admin := x.s.Admin()
		if err := admin.DropNamespace(t.Context(), table.Name().Namespace); err == nil {
			t.Error("a namespace with tables was dropped")
		}
		for _, name := range []model.TableName{table.Name(), other.Name} {
			if err := admin.DropTable(t.Context(), name); err != nil {
				t.Fatal(err)
			}
			if err := admin.DropTable(t.Context(), name); !errors.Is(err, model.ErrNotFound) {
				t.Errorf("dropping a missing table: %v", err)
			}
		}
		if _, err := admin.Table(t.Context(), table.Name()); !errors.Is(err, model.ErrNotFound) {
			t.Errorf("definition of a missing table: %v", err)
		}
		if err := admin.TruncateTable(t.Context(), table.Name()); !errors.Is(err, model.ErrNotFound) {
			t.Errorf("truncating a missing table: %v", err)
		}
		for range 2 {
			if err := admin.DropNamespace(t.Context(), table.Name().Namespace); err != nil {
				t.Errorf("dropping an empty or missing namespace: %v", err)
			}
		}
		if tables, err := admin.Tables(t.Context(), table.Name().Namespace); err != nil || len(tables) != 0 {
			t.Errorf("tables of a missing namespace: %v, %v", tables, err)
		}
		create(t, x.s, table) // again, after all is gone
	})
	t.Run("TruncateEmpties", func(t *testing.T) {
		table := x.table(t, things())
		write(t, x.s, upsert(table, key("a", 1)), upsert(table, key("b", 1)))
		if err := x.s.Admin().TruncateTable(t.Context(), table.Name()); err != nil {
			t.Fatal(err)
		}
		if read(t, x.s, table, key("a", 1)) != nil || read(t, x.s, table, key("b", 1)) != nil {
			t.Error("rows are left")
		}
	})
	t.Run("NamesOverTheLimitAreRefusedBeforeAnything", func(t *testing.T) {
		for _, long := range append([]string{"a.b"}, x.opts.LongNames...) {
			spec := things()
			spec.Name = model.TableName{Namespace: long, Name: "things"}
			table, err := model.NewTable(spec)
			if err != nil {
				t.Fatal(err)
			}
			if err := x.s.Admin().CheckTable(t.Context(), table); !errors.Is(err, model.ErrBadArgument) {
				t.Errorf("CheckTable of %s: %v", table.Name(), err)
			}
			if err := x.s.Admin().CreateNamespace(t.Context(), long); !errors.Is(err, model.ErrBadArgument) {
				t.Errorf("CreateNamespace of %s: %v", long, err)
			}
			if err := x.s.Admin().CreateTable(t.Context(), table); !errors.Is(err, model.ErrBadArgument) {
				t.Errorf("CreateTable of %s: %v", table.Name(), err)
			}
			if long == "a.b" || strings.Contains(long, "$") { // no limits of columns
				continue
			}
			spec.Name = x.name()
			spec.Columns = append(spec.Columns, model.Column{Name: long, Type: model.Int})
			if table, err = model.NewTable(spec); err != nil {
				t.Fatal(err)
			}
			if err := x.s.Admin().CheckTable(t.Context(), table); !errors.Is(err, model.ErrBadArgument) {
				t.Errorf("CheckTable with column %s: %v", long, err)
			}
		}
	})
	t.Run("StatementsAreShown", func(t *testing.T) {
		table := x.table(t, things())
		if sql := x.s.Admin().Statements(table); len(sql) == 0 {
			t.Error("no statement")
		}
		if err := x.s.Admin().CheckTable(t.Context(), table); err != nil {
			t.Errorf("CheckTable of a good table: %v", err)
		}
	})
}
