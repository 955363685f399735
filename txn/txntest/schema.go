package txntest

import (
	"context"
	"fmt"

	"github.com/stillpoint-db/stillpoint/internal/history"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

// The columns of a table of the workload.
const (
	partitionColumn = "p"
	rowColumn       = "c"
	listColumn      = "list"
	tagColumn       = "tag" // the first token of list
)

// UserTable defines a table of the workload as its users see it.
func UserTable(name model.TableName) *model.Table {
	t, err := model.NewTable(model.TableSpec{
		Name: name,
		Columns: []model.Column{{Name: partitionColumn, Type: model.Int}, {Name: rowColumn, Type: model.Int},
			{Name: listColumn, Type: model.Text}, {Name: tagColumn, Type: model.Text}},
		PartitionKey:  []string{partitionColumn},
		ClusteringKey: []model.ClusteringColumn{{Name: rowColumn}},
	})
	if err != nil {
		panic("txntest: " + err.Error()) // the definition is constant but for the name
	}
	return t
}

// PhysicalTable defines it as it is stored.
func PhysicalTable(name model.TableName) *model.Table {
	t, err := record.Physical(UserTable(name))
	if err != nil {
		panic("txntest: " + err.Error())
	}
	return t
}

// Create creates the Coordinator's table and the workload's.
func Create(ctx context.Context, s storage.Storage, tables ...model.TableName) error {
	if err := create(ctx, s, record.CoordinatorTable("")); err != nil {
		return err
	}
	return createTables(ctx, s, tables...)
}

func createTables(ctx context.Context, s storage.Storage, tables ...model.TableName) error {
	for _, name := range tables {
		if err := create(ctx, s, PhysicalTable(name)); err != nil {
			return err
		}
	}
	return nil
}

func create(ctx context.Context, s storage.Storage, t *model.Table) error {
	if err := s.Admin().CreateNamespace(ctx, t.Name().Namespace); err != nil {
		return fmt.Errorf("create namespace %s: %w", t.Name().Namespace, err)
	}
	if err := s.Admin().CreateTable(ctx, t); err != nil {
		return fmt.Errorf("create table %s: %w", t.Name(), err)
	}
	return nil
}

// row names one row of the workload.
type row struct {
	table model.TableName
	p, c  int32
}

func (r row) key() model.Key {
	return model.Key{Partition: []model.Value{model.IntValue(r.p)}, Clustering: []model.Value{model.IntValue(r.c)}}
}

// String is the row's key in histories.
func (r row) String() string { return fmt.Sprintf("%s/%d/%d", r.table, r.p, r.c) }

// Show returns a row's name and its whole value as text.
func Show(r *model.Row) (key, value string) {
	k := r.Key()
	name := row{r.Table.Name(), int32(k.At(0).Int64()), int32(k.At(1).Int64())}
	return name.String(), show(r.Get(listColumn).Str(), r.Get(tagColumn).Str())
}

func show(list, tag string) string { return list + " | " + tag }

// listOf reads the list of a row; nil if there is no row. A row whose tag does
// not fit gives a token that nobody wrote.
func listOf(r *model.Row) []string {
	if r == nil {
		return nil
	}
	list := history.Split(r.Get(listColumn).Str())
	if tag := r.Get(tagColumn); len(list) == 0 || tag.Str() != list[0] {
		return []string{"torn:" + show(history.Join(list), tag.String())}
	}
	return list
}
