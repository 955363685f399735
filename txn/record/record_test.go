package record_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

func accounts(t testing.TB) *model.Table {
	t.Helper()
	table, err := model.NewTable(model.TableSpec{
		Name:          model.TableName{Namespace: "bank", Name: "accounts"},
		Columns:       []model.Column{{Name: "id", Type: model.BigInt}, {Name: "n", Type: model.Int}, {Name: "balance", Type: model.BigInt}, {Name: "owner", Type: model.Text}},
		PartitionKey:  []string{"id"},
		ClusteringKey: []model.ClusteringColumn{{Name: "n", Order: model.Desc}},
		Indexes:       []string{"owner", "n"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func layout(t testing.TB) *record.Layout {
	t.Helper()
	p, err := record.Physical(accounts(t))
	if err != nil {
		t.Fatal(err)
	}
	l, err := record.NewLayout(p)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// row makes a stored row; columns that are not named are NULL.
func row(l *record.Layout, values map[string]model.Value) *model.Row {
	r := &model.Row{Table: l.Physical}
	for _, c := range l.Physical.Columns() {
		v, ok := values[c.Name]
		if !ok {
			v = model.Null(c.Type)
		}
		r.Values = append(r.Values, v)
	}
	return r
}

func show(r *model.Row) map[string]string {
	if r == nil {
		return nil
	}
	out := map[string]string{}
	for i, c := range r.Table.Columns() {
		if v := r.Values[i]; !v.IsNull() {
			out[c.Name] = v.String()
		}
	}
	return out
}

func TestPhysicalAddsColumnsAndBeforeIndexesInScalarDBsOrder(t *testing.T) {
	p, err := record.Physical(accounts(t))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for i, c := range p.Columns() {
		name := c.Name + " " + c.Type.String()
		if p.Indexed(i) {
			name += " indexed"
		}
		names = append(names, name)
	}
	want := []string{"id BIGINT", "n INT indexed", "balance BIGINT", "owner TEXT indexed",
		"tx_id TEXT", "tx_state INT", "tx_version INT", "tx_prepared_at BIGINT", "tx_committed_at BIGINT",
		"before_tx_id TEXT", "before_tx_state INT", "before_tx_version INT", "before_tx_prepared_at BIGINT", "before_tx_committed_at BIGINT",
		"before_balance BIGINT", "before_owner TEXT indexed"}
	if d := cmp.Diff(want, names); d != "" {
		t.Error(d)
	}
}

func TestLayoutGivesTheUsersTableBack(t *testing.T) {
	l := layout(t)
	if !l.User.Equal(accounts(t)) {
		t.Errorf("the user's table came back as %+v", l.User.Spec())
	}
	if !l.HasBeforeIndex(3) || !l.HasBeforeIndex(1) {
		t.Error("the index on owner has its twin, and a key column needs none")
	}
}

func TestReservedNamesAreRefused(t *testing.T) {
	for _, names := range [][]string{{"tx_id"}, {"before_tx_version"}, {"x", "before_x"}, {"before_k"}} {
		spec := model.TableSpec{Name: model.TableName{Namespace: "a", Name: "b"}, PartitionKey: []string{"k"}, Columns: []model.Column{{Name: "k", Type: model.Int}}}
		for _, n := range names {
			spec.Columns = append(spec.Columns, model.Column{Name: n, Type: model.Int})
		}
		table, err := model.NewTable(spec)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := record.Physical(table); err == nil {
			t.Errorf("columns %v were accepted", names)
		}
	}
}

func TestIsTransactionalWantsEveryColumnPaired(t *testing.T) {
	l := layout(t)
	if !record.IsTransactional(l.Physical) {
		t.Error("a physical table is transactional")
	}
	if record.IsTransactional(l.User) {
		t.Error("a plain table is not")
	}
	for i, c := range l.Physical.Columns() {
		if l.Physical.IsKey(i) {
			continue
		}
		spec := l.Physical.Spec()
		spec.Indexes = nil
		spec.Columns = append(append([]model.Column(nil), spec.Columns[:i]...), spec.Columns[i+1:]...)
		less, err := model.NewTable(spec)
		if err != nil {
			t.Fatal(err)
		}
		if record.IsTransactional(less) {
			t.Errorf("still transactional without %s", c.Name)
		}
		if _, err := record.NewLayout(less); err == nil {
			t.Errorf("a layout was made without %s", c.Name)
		}
	}
}

func prepared(l *record.Layout, state record.State) *model.Row {
	return row(l, map[string]model.Value{
		"id": model.BigIntValue(7), "n": model.IntValue(1), "balance": model.BigIntValue(90), "owner": model.TextValue("new"),
		"tx_id": model.TextValue("T2"), "tx_state": model.IntValue(int32(state)), "tx_version": model.IntValue(3), "tx_prepared_at": model.BigIntValue(200), "tx_committed_at": model.BigIntValue(110),
		"before_tx_id": model.TextValue("T1"), "before_tx_state": model.IntValue(3), "before_tx_version": model.IntValue(2), "before_tx_prepared_at": model.BigIntValue(100), "before_tx_committed_at": model.BigIntValue(110),
		"before_balance": model.BigIntValue(100),
	})
}

func TestSettleRollsForwardAndBack(t *testing.T) {
	l := layout(t)
	forward := map[string]string{"id": "7", "n": "1", "balance": "90", "owner": `"new"`, "tx_id": `"T2"`, "tx_state": "3", "tx_version": "3", "tx_prepared_at": "200", "tx_committed_at": "250"}
	back := map[string]string{"id": "7", "n": "1", "balance": "100", "tx_id": `"T1"`, "tx_state": "3", "tx_version": "2", "tx_prepared_at": "100", "tx_committed_at": "110"}
	committed := record.Decision{State: record.Committed, At: 250}
	for _, c := range []struct {
		name  string
		state record.State
		d     record.Decision
		want  map[string]string
	}{
		{"prepared and committed", record.Prepared, committed, forward},
		{"prepared and aborted", record.Prepared, record.Decision{State: record.Aborted, At: 250}, back},
		{"prepared and undecided", record.Prepared, record.Decision{}, back},
		{"deleted and committed", record.Deleted, committed, nil},
		{"deleted and aborted", record.Deleted, record.Decision{State: record.Aborted}, back},
	} {
		if d := cmp.Diff(c.want, show(l.Settle(prepared(l, c.state), c.d))); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
}

func TestSettleOfAnInsertRolledBackLeavesNothing(t *testing.T) {
	l := layout(t)
	r := row(l, map[string]model.Value{"id": model.BigIntValue(1), "n": model.IntValue(1), "tx_id": model.TextValue("T"), "tx_state": model.IntValue(1), "tx_version": model.IntValue(1)})
	if l.HasBefore(r) || l.Settle(r, record.Decision{}) != nil {
		t.Error("an insert has no before-image")
	}
}

func TestSettleGivesImportedRecordsTheirNullMetadataBack(t *testing.T) {
	l := layout(t)
	r := row(l, map[string]model.Value{"id": model.BigIntValue(1), "n": model.IntValue(1), "balance": model.BigIntValue(5),
		"tx_id": model.TextValue("T"), "tx_state": model.IntValue(1), "tx_version": model.IntValue(1), "tx_prepared_at": model.BigIntValue(9),
		"before_tx_version": model.IntValue(0), "before_balance": model.BigIntValue(4)})
	if d := cmp.Diff(map[string]string{"id": "1", "n": "1", "balance": "4"}, show(l.Settle(r, record.Decision{}))); d != "" {
		t.Error(d)
	}
}

func TestBeforeColumnsOfCommittedRecordsAreNotTrusted(t *testing.T) {
	l := layout(t)
	r := prepared(l, record.Committed)
	if got := l.Settle(r, record.Decision{}); got != r {
		t.Errorf("a committed record changed: %v", show(got))
	}
}

func TestGroupIDsAreToldByTheirShape(t *testing.T) {
	parent := "abcdefghijklmnopqrstuvwx"
	for _, c := range []struct {
		id      string
		grouped bool
	}{
		{parent + "$child", true}, {parent + "$", true}, {parent, false}, {parent + "-child", false}, {"$" + parent, false},
		{"3b1f8a52-4c43-4a9f-9c9e-1d1f6b8f3a77", false}, {"äbcdefghijklmnopqrstuvwx$child", true},
		{"\U0001F600cdefghijklmnopqrstuvwx$child", true}, {"", false},
	} {
		p, child, grouped := record.SplitID(c.id)
		if grouped != c.grouped || grouped && p+"$"+child != c.id {
			t.Errorf("SplitID(%q) = %q, %q, %v", c.id, p, child, grouped)
		}
	}
}

func TestAGroupsRowDecidesOnlyItsMembers(t *testing.T) {
	const parent = "abcdefghijklmnopqrstuvwx"
	group := &record.Coordinator{ID: parent, Children: []string{"a", "b"}, State: record.Committed, At: 5}
	marker := &record.Coordinator{ID: parent, State: record.Aborted, At: 6}
	own := &record.Coordinator{State: record.Aborted, At: 7}
	for _, c := range []struct {
		name, id    string
		parent, own *record.Coordinator
		want        record.Decision
	}{
		{"member", parent + "$a", group, nil, record.Decision{State: record.Committed, At: 5}},
		{"not a member", parent + "$c", group, nil, record.Decision{}},
		{"delayed", parent + "$c", group, own, record.Decision{State: record.Aborted, At: 7}},
		{"marker alone", parent + "$a", marker, nil, record.Decision{}},
		{"nothing", parent + "$a", nil, nil, record.Decision{}},
		{"plain", "x", nil, own, record.Decision{State: record.Aborted, At: 7}},
	} {
		if got := record.Decide(c.id, c.parent, c.own); got != c.want {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}
