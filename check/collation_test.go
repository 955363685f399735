//go:build servers

package check_test

import (
	"strings"
	"testing"

	"github.com/stillpoint-db/stillpoint/check"
	"github.com/stillpoint-db/stillpoint/internal/testenv"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/schema"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/multi"
)

func TestKeysInWhichDifferentTextsCountAsOneAreWarnedOf(t *testing.T) {
	server := testenv.NewMariaDB(t, testenv.MariaDBOptions{Collation: "utf8mb4_general_ci"})
	st := opened(t, storage.Config{Name: "my", Driver: "mysql", URL: server.URL(), User: testenv.MariaDBUser, Password: testenv.MariaDBPassword,
		Properties: map[string]string{"stillpoint.collation": "accept"}})
	set := multi.Single(st)
	table, err := model.NewTable(model.TableSpec{Name: model.TableName{Namespace: "bank", Name: "owners"},
		Columns: []model.Column{{Name: "name", Type: model.Text}}, PartitionKey: []string{"name"}})
	if err != nil {
		t.Fatal(err)
	}
	plan, err := schema.PlanCreate(t.Context(), set, &schema.Schema{Tables: []schema.Table{{Definition: table}}}, schema.Options{Coordinator: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := plan.Apply(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	rep, err := check.Run(t.Context(), check.NewDatabases("here", set, ""), check.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := rep.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	if len(rep.Collations) == 0 || !strings.Contains(text.String(), "warning: bank.owners") || !strings.Contains(text.String(), "warning: coordinator.state") {
		t.Errorf("%+v\n%s", rep.Collations, &text)
	}
	if err := rep.Err(); err != nil {
		t.Errorf("a collation alone makes data inconsistent: %v", err)
	}
}
