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
