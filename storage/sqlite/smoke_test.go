package sqlite

import (
	"testing"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

func TestWrittenRowIsRead(t *testing.T) {
	s := fresh(t)
	table := accounts(t, s)
	k := account("a", 1)
	if err := s.Mutate(t.Context(), storage.Batch{Mutations: []storage.Mutation{put(table, k, 7)}}); err != nil {
		t.Fatal(err)
	}
	again, err := s.Admin().Table(t.Context(), table.Name())
	if err != nil || !again.Equal(table) {
		t.Fatalf("definition %+v, %v", again, err)
	}
	rows, err := s.Get(t.Context(), []storage.Get{{Table: again, Key: k}, {Table: table, Key: account("b", 1)}})
	if err != nil {
		t.Fatal(err)
	}
	if rows[1] != nil || rows[0] == nil || rows[0].Get("balance") != model.BigIntValue(7) || rows[0].Get("note") != model.Null(model.Text) {
		t.Fatalf("%v", rows)
	}
	page, err := s.Scan(t.Context(), storage.Scan{Table: table, Partition: k.Partition})
	if err != nil || len(page.Rows) != 1 || page.Next != "" {
		t.Fatalf("%+v %v", page, err)
	}
	if err := s.Admin().DropTable(t.Context(), table.Name()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(t.Context(), []storage.Get{{Table: again, Key: k}}); storage.OutcomeOf(err) != storage.Refused {
		t.Fatalf("reading a dropped table: %v", err)
	}
}
