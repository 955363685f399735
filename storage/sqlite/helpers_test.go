package sqlite

import (
	"path/filepath"
	"testing"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// open opens a file as a program would.
func open(t testing.TB, path string) *Storage {
	t.Helper()
	s, err := storage.Open(t.Context(), storage.Config{Name: "lite", Driver: "sqlite", URL: "jdbc:sqlite:" + path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s.(*Storage)
}

func fresh(t testing.TB) *Storage { return open(t, filepath.Join(t.TempDir(), "a b#%.db")) }

// accounts is a small table, created in s.
func accounts(t testing.TB, s *Storage) *model.Table {
	t.Helper()
	table, err := model.NewTable(model.TableSpec{
		Name:         model.TableName{Namespace: "bank", Name: "accounts"},
		Columns:      []model.Column{{Name: "id", Type: model.Text}, {Name: "n", Type: model.Int}, {Name: "balance", Type: model.BigInt}, {Name: "note", Type: model.Text}},
		PartitionKey: []string{"id"}, ClusteringKey: []model.ClusteringColumn{{Name: "n", Order: model.Desc}}, Indexes: []string{"note"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Admin().CreateNamespace(t.Context(), "bank"); err != nil {
		t.Fatal(err)
	}
	if err := s.Admin().CreateTable(t.Context(), table); err != nil {
		t.Fatal(err)
	}
	return table
}

func account(id string, n int32) model.Key {
	return model.Key{Partition: []model.Value{model.TextValue(id)}, Clustering: []model.Value{model.IntValue(n)}}
}

func put(table *model.Table, k model.Key, balance int64) storage.Mutation {
	return storage.Mutation{Kind: storage.Put, Table: table, Key: k, Set: []storage.Assignment{{Column: "balance", Value: model.BigIntValue(balance)}}}
}
