package sqlite

import (
	"errors"
	"strings"
	"testing"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// SQLite takes a name in double quotes that is no column as a literal: every
// row would have the value "note".
func TestAColumnThatWasDroppedIsNotReadAsItsName(t *testing.T) {
	s := fresh(t)
	table := accounts(t, s)
	mustMutate(t, s, put(table, account("a", 1), 1))
	ex := executor{s}
	for _, sql := range []string{`DROP INDEX "index_bank_accounts_note"`, `ALTER TABLE "bank$accounts" DROP COLUMN note`} {
		if err := ex.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	lost := func(what string, err error) {
		t.Helper()
		if storage.OutcomeOf(err) != storage.Refused || !strings.Contains(err.Error(), "note") {
			t.Errorf("%s: %v", what, err)
		}
	}
	// With the definition that was read before.
	rows, err := s.Get(t.Context(), []storage.Get{{Table: table, Key: account("a", 1)}})
	if lost("get", err); rows != nil {
		t.Errorf("read %v", rows)
	}
	note := []model.Condition{{Column: "note", Op: model.Eq, Value: model.TextValue("note")}}
	_, err = s.Scan(t.Context(), storage.Scan{Table: table, Kind: storage.ScanTable, Where: model.Predicate{note}})
	lost("scan", err)
	for what, m := range map[string]storage.Mutation{
		"guard": {Kind: storage.Check, Guard: storage.Guard{Kind: storage.If, Conditions: note}},
		"set":   {Kind: storage.Put, Set: []storage.Assignment{{Column: "note", Value: model.TextValue("x")}}},
	} {
		m.Table, m.Key = table, account("a", 1)
		lost(what, s.Mutate(t.Context(), storage.Batch{Mutations: []storage.Mutation{m}}))
	}
	// And whoever reads the definition is told.
	damaged := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, model.ErrDamaged) || !strings.Contains(err.Error(), "bank.accounts: it has no column note; its definition in scalardb.metadata says otherwise") {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err = s.Admin().Table(t.Context(), table.Name())
	damaged("definition", err)
	_, err = s.PrepareSnapshot(t.Context(), storage.SnapshotOptions{Tables: []model.TableName{table.Name()}, Scratch: t.TempDir()})
	damaged("snapshot", err)
	if err := s.Admin().DropTable(t.Context(), table.Name()); err != nil {
		t.Errorf("dropping it: %v", err)
	}
}

// Columns that only the database knows are not in the way.
func TestAColumnThatTheDefinitionDoesNotKnowIsLeftAlone(t *testing.T) {
	s := fresh(t)
	table := accounts(t, s)
	if err := (executor{s}).Exec(t.Context(), `ALTER TABLE "bank$accounts" ADD COLUMN more TEXT DEFAULT 'x'`); err != nil {
		t.Fatal(err)
	}
	mustMutate(t, s, put(table, account("a", 1), 1))
	again, err := s.Admin().Table(t.Context(), table.Name())
	if err != nil || !again.Equal(table) {
		t.Errorf("%v, %v", again, err)
	}
}

func TestATableWithDecoupledMetadataIsRefused(t *testing.T) {
	s := fresh(t)
	table := accounts(t, s)
	ex := executor{s}
	for _, sql := range []string{
		`CREATE TABLE "scalardb$virtual_tables"("full_table_name" TEXT,"left_source_table_full_table_name" TEXT,"right_source_table_full_table_name" TEXT,"join_type" TEXT,"attributes" TEXT, PRIMARY KEY ("full_table_name"))`,
		`INSERT INTO "scalardb$virtual_tables" VALUES ('bank.split', 'bank.split_data', 'bank.split_tx_metadata', 'INNER', '')`,
	} {
		if err := ex.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	split := table.Spec()
	split.Name.Name = "split"
	wanted, err := model.NewTable(split)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Admin().Table(t.Context(), split.Name)
	for what, err := range map[string]error{"definition": err, "create": s.Admin().CreateTable(t.Context(), wanted), "drop": s.Admin().DropTable(t.Context(), split.Name)} {
		if !errors.Is(err, model.ErrRefused) || !strings.Contains(err.Error(), "transaction-metadata-decoupling") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := s.Admin().Table(t.Context(), model.TableName{Namespace: "bank", Name: "none"}); !errors.Is(err, model.ErrNotFound) {
		t.Errorf("a table that is not there: %v", err)
	}
}

func TestATableWithAnotherKeyIsNotTakenOver(t *testing.T) {
	s := fresh(t)
	if err := (executor{s}).Exec(t.Context(), `CREATE TABLE "bank$accounts"("id" TEXT,"n" INT,"balance" BIGINT,"note" TEXT, PRIMARY KEY ("id"))`); err != nil {
		t.Fatal(err)
	}
	table, err := model.NewTable(model.TableSpec{Name: model.TableName{Namespace: "bank", Name: "accounts"}, PartitionKey: []string{"id"}, ClusteringKey: []model.ClusteringColumn{{Name: "n"}},
		Columns: []model.Column{{Name: "id", Type: model.Text}, {Name: "n", Type: model.Int}, {Name: "balance", Type: model.BigInt}, {Name: "note", Type: model.Text}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Admin().CreateTable(t.Context(), table); !errors.Is(err, model.ErrExists) || !strings.Contains(err.Error(), "another primary key") {
		t.Errorf("%v", err)
	}
}
