package record_test

import (
	"errors"
	"testing"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

func coordinatorRow(t *testing.T, optional bool, set map[string]model.Value) *model.Row {
	t.Helper()
	table := record.CoordinatorTable("")
	if optional {
		spec := table.Spec()
		spec.Columns = append(spec.Columns, model.Column{Name: "tx_child_ids", Type: model.Text}, model.Column{Name: "tx_write_set", Type: model.Blob})
		var err error
		if table, err = model.NewTable(spec); err != nil {
			t.Fatal(err)
		}
	}
	r := &model.Row{Table: table}
	for _, c := range table.Columns() {
		v, ok := set[c.Name]
		if !ok {
			v = model.Null(c.Type)
		}
		r.Values = append(r.Values, v)
	}
	return r
}

func TestCoordinatorRowsThatNobodyCouldHaveWrittenDecideNothing(t *testing.T) {
	good := func(more map[string]model.Value) map[string]model.Value {
		m := map[string]model.Value{"tx_id": model.TextValue("T"), "tx_state": model.IntValue(3), "tx_created_at": model.BigIntValue(1)}
		for k, v := range more {
			m[k] = v
		}
		return m
	}
	for name, more := range map[string]map[string]model.Value{
		"state prepared":  {"tx_state": model.IntValue(1)},
		"state unknown":   {"tx_state": model.IntValue(5)},
		"state NULL":      {"tx_state": model.Null(model.Int)},
		"time zero":       {"tx_created_at": model.BigIntValue(0)},
		"time NULL":       {"tx_created_at": model.Null(model.BigInt)},
		"write set torn":  {"tx_write_set": model.BlobStringValue("\x12\x7f")},
		"write set newer": {"tx_write_set": model.BlobStringValue("\x08\x01")},
	} {
		if _, err := record.ParseCoordinator(coordinatorRow(t, true, good(more))); !errors.Is(err, model.ErrInconsistent) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, more := range map[string]map[string]model.Value{
		"plain":            nil,
		"group":            {"tx_child_ids": model.TextValue("a,b")},
		"aborted":          {"tx_state": model.IntValue(4)},
		"write set, empty": {"tx_write_set": model.BlobStringValue("\x08\x01\x12\x00")},
	} {
		c, err := record.ParseCoordinator(coordinatorRow(t, true, good(more)))
		if err != nil || c.ID != "T" || c.At != 1 {
			t.Errorf("%s: %+v %v", name, c, err)
		}
		if name == "group" && len(c.Children) != 2 {
			t.Errorf("children: %v", c.Children)
		}
	}
	if c, err := record.ParseCoordinator(coordinatorRow(t, false, good(nil))); err != nil || c.State != record.Committed {
		t.Errorf("without the optional columns: %+v %v", c, err)
	}
	if c, err := record.ParseCoordinator(nil); c != nil || err != nil {
		t.Errorf("no row: %v %v", c, err)
	}
}

func TestTablesThatCannotServeAsTheCoordinatorsAreRefused(t *testing.T) {
	if err := record.CheckCoordinatorTable(record.CoordinatorTable("x")); err != nil {
		t.Error(err)
	}
	if err := record.CheckCoordinatorTable(accounts(t)); !errors.Is(err, model.ErrRefused) {
		t.Error("accounts were accepted")
	}
}
