//go:build servers

package mysql

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"

	"github.com/stillpoint-db/stillpoint/internal/testenv"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

func blobRows(table *model.Table, blobs ...string) iter.Seq2[*model.Row, error] {
	return func(yield func(*model.Row, error) bool) {
		for i, b := range blobs {
			values := make([]model.Value, len(table.Columns()))
			for j, c := range table.Columns() {
				values[j] = model.Null(c.Type)
			}
			values[0], values[1], values[table.Position("b")] = model.TextValue(fmt.Sprint("k", i)), model.IntValue(1), model.BlobStringValue(b)
			if !yield(&model.Row{Table: table, Values: values}, nil) {
				return
			}
		}
	}
}

func TestRowsOfEverySizeAreLoaded(t *testing.T) {
	s := open(t)
	table := newTable(t, s, testenv.MariaDB(t).Namespace(t), "t")
	ctx := context.Background()
	blobs := []string{"small", strings.Repeat("\x00\xff", 5<<20), "", strings.Repeat("x", 900<<10), strings.Repeat("y", 300<<10), "last"}
	n, err := s.Load(ctx, table, blobRows(table, blobs...))
	if err != nil || n != int64(len(blobs)) {
		t.Fatal(n, err)
	}
	for i, b := range blobs {
		rows, err := s.Get(ctx, []storage.Get{{Table: table, Key: key(fmt.Sprint("k", i), 1)}})
		if err != nil || rows[0] == nil || rows[0].Get("b").Str() != b {
			t.Errorf("row %d: %v", i, err)
		}
	}
	if _, err := s.Load(ctx, table, blobRows(table, "again")); !errors.Is(err, model.ErrExists) {
		t.Errorf("a row that exists: %v", err)
	}
	if _, err := s.Load(ctx, table, blobRows(table, blobs[1])); !errors.Is(err, model.ErrExists) {
		t.Errorf("a large row that exists: %v", err)
	}
}
