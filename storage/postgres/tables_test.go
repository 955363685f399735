//go:build servers

package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stillpoint-db/stillpoint/internal/testenv"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// Tables as ScalarDB 3.13 made them: double precision for FLOAT, the order index
// under its old name.
func TestTablesOfOlderReleasesWorkAsTheyAre(t *testing.T) {
	d := openFresh(t)
	sql(t, d, "CREATE SCHEMA old", "CREATE SCHEMA scalardb",
		`CREATE TABLE old.t (p text, c1 int, c2 int, f FLOAT, s text, PRIMARY KEY (p, c1, c2))`,
		`CREATE UNIQUE INDEX "old.t_clustering_order_idx" ON old.t (p ASC, c1 ASC, c2 DESC)`,
		`CREATE TABLE scalardb.metadata (full_table_name VARCHAR(128), column_name VARCHAR(128), data_type VARCHAR(20) NOT NULL, key_type VARCHAR(20), clustering_order VARCHAR(10),
			indexed BOOLEAN NOT NULL, ordinal_position INTEGER NOT NULL, PRIMARY KEY (full_table_name, column_name))`,
		`INSERT INTO scalardb.metadata VALUES ('old.t', 'p', 'TEXT', 'PARTITION', NULL, false, 1), ('old.t', 'c1', 'INT', 'CLUSTERING', 'ASC', false, 2),
			('old.t', 'c2', 'INT', 'CLUSTERING', 'DESC', false, 3), ('old.t', 'f', 'FLOAT', NULL, NULL, false, 4), ('old.t', 's', 'TEXT', NULL, NULL, false, 5)`,
		`INSERT INTO old.t VALUES ('a', 1, 1, 0.1::float4, 'java')`)
	table, err := d.Admin().Table(t.Context(), model.TableName{Namespace: "old", Name: "t"})
	if err != nil {
		t.Fatal(err)
	}
	at := func(c int32) model.Key {
		return model.Key{Partition: []model.Value{model.TextValue("a")}, Clustering: []model.Value{model.IntValue(1), model.IntValue(c)}}
	}
	f := model.FloatValue(0.1)
	is := storage.Guard{Kind: storage.If, Conditions: []model.Condition{{Column: "f", Op: model.Eq, Value: f}}}
	apply(t, d, storage.Mutation{Table: table, Key: at(1), Set: []storage.Assignment{{Column: "s", Value: model.TextValue("ours")}}, Guard: is},
		storage.Mutation{Table: table, Key: at(2), Set: []storage.Assignment{{Column: "f", Value: f}}},
		storage.Mutation{Table: table, Key: at(3), Set: []storage.Assignment{{Column: "f", Value: f}}, Guard: storage.Guard{Kind: storage.NotExists}})
	loaded := &model.Row{Table: table, Values: []model.Value{model.TextValue("a"), model.IntValue(1), model.IntValue(4), f, model.Null(model.Text)}}
	if _, err := d.Load(t.Context(), table, func(yield func(*model.Row, error) bool) { yield(loaded, nil) }); err != nil {
		t.Fatal(err)
	}
	page, err := d.Scan(t.Context(), storage.Scan{Table: table, Partition: at(1).Partition, Where: model.Predicate{is.Conditions}})
	if err != nil {
		t.Fatal(err)
	}
	var got []int64
	for _, r := range page.Rows {
		got = append(got, r.Get("c2").Int64())
	}
	if !slices.Equal(got, []int64{4, 3, 2, 1}) {
		t.Errorf("rows with f = 0.1: %v", got)
	}
	err = d.Mutate(t.Context(), storage.Batch{Mutations: []storage.Mutation{{Table: table, Key: at(9)}, {Table: table, Key: at(1), Guard: storage.Guard{Kind: storage.NotExists}}}})
	if ce, ok := errors.AsType[*storage.ConditionError](err); !ok || ce.Index != 1 {
		t.Errorf("inserting a row that is there: %v", err)
	}
}

func TestATableIsThereWholeOrNotAtAll(t *testing.T) {
	d := openFresh(t)
	accounts(t, d)
	sql(t, d, "CREATE INDEX index_bank_orders_day ON bank.accounts (note)") // the name that the second table's index will want
	table, err := model.NewTable(model.TableSpec{Name: model.TableName{Namespace: "bank", Name: "orders"}, PartitionKey: []string{"id"}, Indexes: []string{"day"},
		Columns: []model.Column{{Name: "id", Type: model.Text}, {Name: "day", Type: model.Date}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Admin().CreateTable(t.Context(), table); !errors.Is(err, model.ErrExists) {
		t.Fatalf("create: %v", err)
	}
	if got := sql(t, d, "SELECT 1 FROM pg_class WHERE relname = 'orders'"); len(got) != 0 {
		t.Error("the table of a create that failed is there")
	}
	sql(t, d, "DROP INDEX bank.index_bank_orders_day")
	if err := d.Admin().CreateTable(t.Context(), table); err != nil {
		t.Errorf("create after the obstacle is gone: %v", err)
	}
}

func TestAUniqueIndexOfTheUserIsNotTheKey(t *testing.T) {
	s := testenv.Postgres(t)
	cfg := configOf(s, s.Database(t))
	cfg.Properties = map[string]string{propPoolSize: "1"}
	d := openOn(t, cfg)
	table := accounts(t, d)
	sql(t, d, "ALTER TABLE bank.accounts RENAME CONSTRAINT accounts_pkey TO own_name", "CREATE UNIQUE INDEX own_index ON bank.accounts (balance)")
	apply(t, d, insert(table, "a", 1))
	for name, ms := range map[string][]storage.Mutation{"alone": {insert(table, "b", 1)}, "batch": {insert(table, "b", 1), insert(table, "c", 2)}} {
		d.foreign.Clear() // asked anew, while no other connection is free
		if err := d.Mutate(t.Context(), storage.Batch{Mutations: ms}); storage.OutcomeOf(err) != storage.Refused || !strings.Contains(err.Error(), "own_index") {
			t.Errorf("%s: %v", name, err)
		}
	}
	err := d.Mutate(t.Context(), storage.Batch{Mutations: []storage.Mutation{insert(table, "c", 3), insert(table, "a", 4)}})
	if ce, ok := errors.AsType[*storage.ConditionError](err); !ok || ce.Index != 1 {
		t.Errorf("the key itself: %v", err)
	}
}

func TestPagesOfWideRowsAskForNoMoreThanTheyTake(t *testing.T) {
	d := openFresh(t)
	table := accounts(t, d)
	const rows = 60
	sql(t, d, "ALTER TABLE bank.accounts ALTER COLUMN note SET STORAGE EXTERNAL", fmt.Sprintf("INSERT INTO bank.accounts SELECT i::text, i, repeat('x', 500000) FROM generate_series(1, %d) i", rows))
	far, proxy := through(t, d)
	var sent int
	proxy.Tap(func(_ int64, toServer bool, data []byte) {
		if !toServer {
			sent += len(data)
		}
	})
	seen := map[string]bool{}
	pages := 0
	for scan := (storage.Scan{Table: table, Kind: storage.ScanTable}); ; pages++ {
		page, err := far.Scan(context.Background(), scan)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.Rows {
			if id := r.Get("id").Str(); seen[id] || strconv.FormatInt(r.Get("balance").Int64(), 10) != id {
				t.Fatalf("row %s", id)
			}
			seen[r.Get("id").Str()] = true
		}
		if scan.Token = page.Next; scan.Token == "" {
			break
		}
	}
	if len(seen) != rows || pages < 3 {
		t.Errorf("%d rows on %d pages", len(seen), pages)
	}
	if most := 2*rows*500000 + 4<<20; sent > most { // the first page learns, the others know
		t.Errorf("%d bytes came for %d", sent, rows*500000)
	}
}

func TestATableThatIsAnotherOneIsNotTakenOver(t *testing.T) {
	d := openFresh(t)
	accounts(t, d)
	table, err := model.NewTable(model.TableSpec{Name: model.TableName{Namespace: "bank", Name: "orders"}, PartitionKey: []string{"id"}, ClusteringKey: []model.ClusteringColumn{{Name: "n"}},
		Columns: []model.Column{{Name: "id", Type: model.Text}, {Name: "n", Type: model.Int}, {Name: "day", Type: model.Date}}})
	if err != nil {
		t.Fatal(err)
	}
	for left, want := range map[string]string{
		"(id TEXT, n INT, day DATE, PRIMARY KEY (id)) ":           "another primary key",
		"(id TEXT, n INT, day DATE, PRIMARY KEY (n, id))":         "another primary key",
		"(id TEXT, n INT, day DATE, UNIQUE (id, n))":              "another primary key",
		"(id TEXT, n INT, day TIMESTAMP, PRIMARY KEY (id, n))":    "a column day of type timestamp",
		"(id TEXT, n INT, PRIMARY KEY (id, n))":                   "other columns",
		"(id VARCHAR(100), day DATE, n INT, PRIMARY KEY (id, n))": "",
	} {
		sql(t, d, "DROP TABLE IF EXISTS bank.orders", "CREATE TABLE bank.orders "+left)
		err := d.Admin().CreateTable(t.Context(), table)
		if want == "" {
			if err != nil {
				t.Errorf("%s: %v", left, err)
			} else if err := d.Admin().DropTable(t.Context(), table.Name()); err != nil {
				t.Error(err)
			}
			continue
		}
		if !errors.Is(err, model.ErrExists) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", left, err)
		}
	}
}

func TestATableWithDecoupledMetadataIsRefused(t *testing.T) {
	d := openFresh(t)
	table := accounts(t, d)
	sql(t, d, "CREATE TABLE scalardb.virtual_tables (full_table_name VARCHAR(128) PRIMARY KEY, left_source_table_full_table_name VARCHAR(128), right_source_table_full_table_name VARCHAR(128), join_type VARCHAR(20), attributes TEXT)",
		"INSERT INTO scalardb.virtual_tables VALUES ('bank.split', 'bank.split_data', 'bank.split_tx_metadata', 'INNER', '')")
	split := table.Spec()
	split.Name.Name = "split"
	wanted, err := model.NewTable(split)
	if err != nil {
		t.Fatal(err)
	}
	_, err = d.Admin().Table(t.Context(), split.Name)
	for what, err := range map[string]error{"definition": err, "create": d.Admin().CreateTable(t.Context(), wanted), "drop": d.Admin().DropTable(t.Context(), split.Name)} {
		if !errors.Is(err, model.ErrRefused) || !strings.Contains(err.Error(), "bank.split") || !strings.Contains(err.Error(), "transaction-metadata-decoupling") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := d.Admin().Table(t.Context(), model.TableName{Namespace: "bank", Name: "none"}); !errors.Is(err, model.ErrNotFound) {
		t.Errorf("a table that is not there: %v", err)
	}
}
