package sqldb_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage/internal/sqldb"
)

func TestTextThatANewKeyColumnCannotHoldIsRefused(t *testing.T) {
	table, err := model.NewTable(model.TableSpec{Name: model.TableName{Namespace: "ns", Name: "t"}, PartitionKey: []string{"k"}, Indexes: []string{"i"},
		Columns: []model.Column{{Name: "k", Type: model.Text}, {Name: "i", Type: model.Blob}, {Name: "v", Type: model.Text}}})
	if err != nil {
		t.Fatal(err)
	}
	longest, longer := strings.Repeat("ä", 128), strings.Repeat("ä", 129)
	for _, c := range []struct {
		key, indexed, other, want string
	}{
		{longest, strings.Repeat("b", 128), longer, ""},
		{longer, "b", "v", "ns.t.k takes 128 characters, not 129"},
		{"k", strings.Repeat("b", 129), "v", "ns.t.i takes 128 bytes, not 129"},
	} {
		row := &model.Row{Table: table, Values: []model.Value{model.TextValue(c.key), model.BlobStringValue(c.indexed), model.TextValue(c.other)}}
		d := sqldb.MySQL(128)
		err := d.CheckRowWithin(table, row, d.NewLengths(table))
		if c.want == "" && err != nil || c.want != "" && (!errors.Is(err, model.ErrBadArgument) || err.Error() != c.want) {
			t.Errorf("%v, not %q", err, c.want)
		}
		if err := sqldb.SQLite.CheckRowWithin(table, row, sqldb.SQLite.NewLengths(table)); err != nil {
			t.Errorf("SQLite: %v", err)
		}
	}
}
