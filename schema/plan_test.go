package schema_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/schema"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/memory"
	"github.com/stillpoint-db/stillpoint/storage/multi"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

const bank = `{
  "bank.accounts": {"partition-key": ["id"], "columns": {"id": "BIGINT", "owner": "TEXT"}, "secondary-index": ["owner"]},
  "bank.log": {"transaction": false, "partition-key": ["id"], "columns": {"id": "BIGINT"}},
  "vault.boxes": {"partition-key": ["id"], "columns": {"id": "BIGINT"}}
}`

// newSet has storage a, and b for namespace vault.
func newSet(t *testing.T) *multi.Set {
	t.Helper()
	set, err := multi.New([]storage.Storage{memory.New("a"), memory.New("b")}, multi.Routing{Default: "a", Namespaces: map[string]string{"vault": "b"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := set.Close(); err != nil {
			t.Error(err)
		}
	})
	return set
}

func steps(plan *schema.Plan) (out []string) {
	for _, s := range plan.Steps {
		line := string(s.Action) + " " + s.ID + " in " + s.Storage
		if !s.Changes() {
			line += " (nothing)"
		}
		out = append(out, line)
	}
	return out
}

func mustCreate(t *testing.T, set *multi.Set, text string, opts schema.Options) *schema.Plan {
	t.Helper()
	plan, err := schema.PlanCreate(t.Context(), set, mustParse(t, text), opts)
	if err == nil {
		err = plan.Apply(t.Context(), nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

func TestCreateMakesEverythingAndThenNothing(t *testing.T) {
	set := newSet(t)
	plan := mustCreate(t, set, bank, schema.Options{Coordinator: true})
	want := []string{
		"create-namespace bank in a", "create-namespace vault in b", "create-namespace coordinator in a",
		"create-table bank.accounts in a", "create-table bank.log in a", "create-table vault.boxes in b", "create-table coordinator.state in a",
	}
	if diff := cmp.Diff(want, steps(plan)); diff != "" {
		t.Error(diff)
	}
	again := mustCreate(t, set, bank, schema.Options{Coordinator: true})
	want = []string{
		"table-exists bank.accounts in a (nothing)", "table-exists bank.log in a (nothing)",
		"table-exists vault.boxes in b (nothing)", "table-exists coordinator.state in a (nothing)",
	}
	if diff := cmp.Diff(want, steps(again)); diff != "" || again.Changes() != 0 {
		t.Error(diff)
	}
}

func TestTablesHaveTheColumnsOfTransactionsUnlessTheyAreWithout(t *testing.T) {
	set := newSet(t)
	mustCreate(t, set, bank, schema.Options{})
	for name, transactional := range map[string]bool{"accounts": true, "log": false} {
		table, err := set.Admin().Table(t.Context(), model.TableName{Namespace: "bank", Name: name})
		if err != nil {
			t.Fatal(err)
		}
		if record.IsTransactional(table) != transactional {
			t.Errorf("%s: transactional is %t", name, !transactional)
		}
	}
}

func TestBeforeImagesAreNotIndexedForEventualIndexReads(t *testing.T) {
	for eventual, want := range map[bool]bool{false: true, true: false} {
		set := newSet(t)
		mustCreate(t, set, bank, schema.Options{EventualIndexReads: eventual})
		table, err := set.Admin().Table(t.Context(), model.TableName{Namespace: "bank", Name: "accounts"})
		if err != nil {
			t.Fatal(err)
		}
		if got := table.Indexed(table.Position("before_owner")); got != want || !table.Indexed(table.Position("owner")) {
			t.Errorf("eventual reads %t: before-image indexed %t", eventual, got)
		}
		// Made for one kind of reading, it is good for the other too.
		if plan := mustCreate(t, set, bank, schema.Options{EventualIndexReads: !eventual}); plan.Changes() != 0 {
			t.Error(steps(plan))
		}
	}
}

func TestOneRefusedTableMeansNoneIsCreated(t *testing.T) {
	set := newSet(t)
	mustCreate(t, set, `{"vault.boxes": {"partition-key": ["id"], "columns": {"id": "INT"}}, "bank.log": {"partition-key": ["id"], "columns": {"id": "BIGINT"}}}`, schema.Options{})
	_, err := schema.PlanCreate(t.Context(), set, mustParse(t, bank), schema.Options{})
	if !errors.Is(err, model.ErrRefused) {
		t.Fatal(err)
	}
	for _, want := range []string{`bank.log: it is in storage "a" with another definition: there it is a transactional table`, `column "id" is INT there and BIGINT in the schema`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v\ndoes not say %s", err, want)
		}
	}
	if tables, err := set.Admin().Tables(t.Context(), "bank"); err != nil || len(tables) != 1 {
		t.Errorf("%v %v", tables, err)
	}
}

// TestTheCoordinatorsNamespaceIsItsOwn: no transaction could use such a table.
func TestTheCoordinatorsNamespaceIsItsOwn(t *testing.T) {
	const text = `{"decisions.mine": {"transaction": %s, "partition-key": ["id"], "columns": {"id": "BIGINT"}}}`
	opts := schema.Options{CoordinatorNamespace: "decisions"}
	_, err := schema.PlanCreate(t.Context(), newSet(t), mustParse(t, fmt.Sprintf(text, "true")), opts)
	if !errors.Is(err, model.ErrBadArgument) || !strings.Contains(err.Error(), `namespace "decisions" belongs to the Coordinator`) {
		t.Error(err)
	}
	mustCreate(t, newSet(t), fmt.Sprintf(text, "false"), opts)
	mustCreate(t, newSet(t), fmt.Sprintf(text, "true"), schema.Options{})
}

func TestWhatDiffersIsNamed(t *testing.T) {
	const def = `{"x.t": {"transaction": false, "partition-key": ["p"], "clustering-key": ["c"], "columns": {"p": "INT", "c": "INT", "v": "TEXT"}}}`
	for _, c := range []struct{ old, new, want string }{
		{`["p"]`, `["p", "v"]`, "the partition key is"},
		{`["c"]`, `["c DESC"]`, "the clustering key is"},
		{`"v": "TEXT"`, `"v": "BLOB"`, `column "v" is TEXT there and BLOB in the schema`},
		{`"v": "TEXT"`, `"w": "TEXT"`, `column "w" is not there`},
		{`, "v": "TEXT"`, ``, `column "v" is there and not in the schema`},
		{`}}}`, `}, "secondary-index": ["v"]}}`, `the index on column "v" is in only one of the two`},
		{`false`, `true`, "there it is not a transactional table"},
	} {
		set := newSet(t)
		mustCreate(t, set, def, schema.Options{})
		_, err := schema.PlanCreate(t.Context(), set, mustParse(t, strings.Replace(def, c.old, c.new, 1)), schema.Options{})
		if !errors.Is(err, model.ErrRefused) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s for %s: %v", c.new, c.old, err)
		}
	}
}

func TestAMissingCoordinatorIsSaid(t *testing.T) {
	set := newSet(t)
	if plan := mustCreate(t, set, bank, schema.Options{}); len(plan.Notices) != 1 || !strings.Contains(plan.Notices[0], "coordinator.state, which is not there") {
		t.Error(plan.Notices)
	}
	mustCreate(t, set, bank, schema.Options{Coordinator: true})
	if plan := mustCreate(t, set, bank, schema.Options{}); len(plan.Notices) != 0 {
		t.Error(plan.Notices)
	}
}

func TestPlanOfTwoRunsAtOnceBothSucceed(t *testing.T) {
	set := newSet(t)
	first, err1 := schema.PlanCreate(t.Context(), set, mustParse(t, bank), schema.Options{})
	second, err2 := schema.PlanCreate(t.Context(), set, mustParse(t, bank), schema.Options{})
	if err := errors.Join(err1, err2, first.Apply(t.Context(), nil), second.Apply(t.Context(), nil)); err != nil {
		t.Error(err)
	}
}

func TestDeleteDropsOnlyWhatIsListed(t *testing.T) {
	set := newSet(t)
	mustCreate(t, set, bank, schema.Options{Coordinator: true})
	listed := mustParse(t, `{
		"bank.accounts": {"partition-key": ["id"], "columns": {"id": "BIGINT"}},
		"bank.never": {"partition-key": ["id"], "columns": {"id": "BIGINT"}},
		"vault.boxes": {"partition-key": ["id"], "columns": {"id": "BIGINT"}}}`)
	plan, err := schema.PlanDelete(t.Context(), set, listed, schema.Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"drop-table bank.accounts in a", "table-missing bank.never in a (nothing)", "drop-table vault.boxes in b",
		"keep-namespace bank in a (nothing)", "drop-namespace vault in b",
	}
	if diff := cmp.Diff(want, steps(plan)); diff != "" {
		t.Error(diff)
	}
	// A table that is made after the plan keeps its namespace.
	mustCreate(t, set, `{"vault.late": {"partition-key": ["id"], "columns": {"id": "BIGINT"}}}`, schema.Options{})
	if err := plan.Apply(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	left, err := schema.Read(t.Context(), set, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, table := range left.Tables {
		names = append(names, table.Definition.Name().String())
	}
	if diff := cmp.Diff([]string{"bank.log", "vault.late"}, names); diff != "" {
		t.Error(diff)
	}
}

func TestCoordinatorStaysWhileTransactionalTablesDo(t *testing.T) {
	set := newSet(t)
	mustCreate(t, set, bank, schema.Options{Coordinator: true})
	some := mustParse(t, `{"bank.accounts": {"partition-key": ["id"], "columns": {"id": "BIGINT"}}}`)
	if _, err := schema.PlanDelete(t.Context(), set, some, schema.Options{Coordinator: true}); !errors.Is(err, model.ErrRefused) || !strings.Contains(err.Error(), "vault.boxes would remain") {
		t.Error(err)
	}
	plan, err := schema.PlanDelete(t.Context(), set, mustParse(t, bank), schema.Options{Coordinator: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := plan.Apply(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	for _, st := range set.Storages() {
		if names, err := st.Admin().Namespaces(t.Context()); err != nil || len(names) != 0 {
			t.Errorf("%s holds %v: %v", st.Name(), names, err)
		}
	}
}

func TestReadShowsWhatCreateMade(t *testing.T) {
	set := newSet(t)
	mustCreate(t, set, bank, schema.Options{Coordinator: true})
	got, err := schema.Read(t.Context(), set, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	want := mustParse(t, bank)
	if len(got.Tables) != len(want.Tables) {
		t.Fatalf("%d tables", len(got.Tables))
	}
	for i, table := range want.Tables {
		if !table.Definition.Equal(got.Tables[i].Definition) || table.NoTransactions != got.Tables[i].NoTransactions {
			t.Errorf("%s differs", table.Definition.Name())
		}
	}
}

func TestSchemaFromCodeIsChecked(t *testing.T) {
	table := mustParse(t, bank).Tables[0]
	taken, err := model.NewTable(model.TableSpec{Name: model.TableName{Namespace: "a", Name: "b"},
		Columns: columns("id", model.Int, "tx_id", model.Text), PartitionKey: []string{"id"}})
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]*schema.Schema{
		"twice":         {Tables: []schema.Table{table, table}},
		"no definition": {Tables: []schema.Table{{}}},
		"taken name":    {Tables: []schema.Table{{Definition: taken}}},
	} {
		if _, err := schema.PlanCreate(t.Context(), newSet(t), s, schema.Options{}); !errors.Is(err, model.ErrBadArgument) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
