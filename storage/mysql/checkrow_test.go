//go:build servers

package mysql

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/stillpoint-db/stillpoint/internal/testenv"
	"github.com/stillpoint-db/stillpoint/model"
)

func TestARowFitsTheTableThatIsThereOrTheOneThatIsMade(t *testing.T) {
	server := testenv.MariaDB(t)
	s := open(t)
	table := newTable(t, s, server.Namespace(t), "t")
	ctx := context.Background()
	row := &model.Row{Table: table}
	for _, c := range table.Columns() {
		row.Values = append(row.Values, model.Null(c.Type))
	}
	row.Values[0], row.Values[1] = model.TextValue(strings.Repeat("ä", 129)), model.IntValue(1)
	check := func(table *model.Table, anew, fits bool) {
		t.Helper()
		fit, err := s.RowFit(ctx, table, anew)
		if err != nil {
			t.Fatal(err)
		}
		if err := fit(row); (err == nil) != fits || err != nil && (!errors.Is(err, model.ErrBadArgument) || !strings.Contains(err.Error(), "takes 128 characters, not 129")) {
			t.Errorf("made anew: %v: %v", anew, err)
		}
	}
	check(table, false, false)
	server.Exec(t, "ALTER TABLE "+s.dialect.Table(table.Name())+" MODIFY "+s.dialect.Ident(table.Columns()[0].Name)+" VARCHAR(129) NOT NULL")
	check(table, false, true)
	check(table, true, false)
	spec := table.Spec()
	spec.Name.Name = "absent"
	absent, err := model.NewTable(spec)
	if err != nil {
		t.Fatal(err)
	}
	check(absent, false, false)
}
