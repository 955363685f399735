//go:build servers

package postgres

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/stillpoint-db/stillpoint/internal/testenv"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// The benchmarks run on rows like those of a transactional table, with a
// payload of 1,000 bytes and its copy.
func benchTable(b testing.TB, d *db) *model.Table {
	table := createTable(b, d, model.TableSpec{Name: model.TableName{Namespace: "ycsb", Name: "usertable"}, PartitionKey: []string{"ycsb_key"},
		Columns: []model.Column{{Name: "ycsb_key", Type: model.Int}, {Name: "payload", Type: model.Text}, {Name: "tx_id", Type: model.Text}, {Name: "tx_state", Type: model.Int},
			{Name: "tx_version", Type: model.Int}, {Name: "tx_prepared_at", Type: model.BigInt}, {Name: "tx_committed_at", Type: model.BigInt},
			{Name: "before_tx_id", Type: model.Text}, {Name: "before_tx_state", Type: model.Int}, {Name: "before_tx_version", Type: model.Int},
			{Name: "before_tx_prepared_at", Type: model.BigInt}, {Name: "before_tx_committed_at", Type: model.BigInt}, {Name: "before_payload", Type: model.Text}}})
	sql(b, d, "INSERT INTO ycsb.usertable SELECT i, repeat('x', 1000), 'tx0', 3, 1, 1, 1 FROM generate_series(0, 999) i", "VACUUM ANALYZE ycsb.usertable")
	return table
}

func intKey(n int) model.Key {
	return model.Key{Partition: []model.Value{model.IntValue(int32(n))}}
}

// commit is what a one-phase commit writes to one record.
func commit(table *model.Table, n int, payload string) storage.Mutation {
	set := func(c string, v model.Value) storage.Assignment { return storage.Assignment{Column: c, Value: v} }
	return storage.Mutation{Table: table, Key: intKey(n), Set: []storage.Assignment{set("payload", model.TextValue(payload)), set("tx_id", model.TextValue("tx0")),
		set("tx_state", model.IntValue(3)), set("tx_version", model.IntValue(2)), set("tx_prepared_at", model.BigIntValue(1)), set("tx_committed_at", model.BigIntValue(2))},
		Guard: storage.Guard{Kind: storage.If, Conditions: []model.Condition{{Column: "tx_id", Op: model.Eq, Value: model.TextValue("tx0")}, {Column: "tx_state", Op: model.Eq, Value: model.IntValue(3)}}}}
}

func BenchmarkMutate(b *testing.B) {
	d := openFresh(b)
	table := benchTable(b, d)
	payload := strings.Repeat("y", 1000)
	for _, rows := range []int{1, 4} {
		ms := make([]storage.Mutation, rows)
		for i := range ms {
			ms[i] = commit(table, i, payload)
		}
		b.Run(fmt.Sprint(rows), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := d.Mutate(context.Background(), storage.Batch{Mutations: ms}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkGet(b *testing.B) {
	d := openFresh(b)
	table := benchTable(b, d)
	for _, rows := range []int{1, 2} {
		gets := make([]storage.Get, rows)
		for i := range gets {
			gets[i] = storage.Get{Table: table, Key: intKey(i)}
		}
		b.Run(fmt.Sprint(rows), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := d.Get(context.Background(), gets); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRaw is the same work by hand on the driver.
func BenchmarkRaw(b *testing.B) {
	d := openFresh(b)
	benchTable(b, d)
	s := testenv.Postgres(b)
	ctx := context.Background()
	c, err := pgx.Connect(ctx, fmt.Sprintf("host=%s port=%d user=%s password=%s dbname=%s", s.Host, s.Port, s.User, s.Password, databaseOf(d)))
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close(ctx)
	payload := strings.Repeat("y", 1000)
	const update = "UPDATE ycsb.usertable SET payload=$1, tx_id=$2, tx_state=$3, tx_version=$4, tx_prepared_at=$5, tx_committed_at=$6 WHERE ycsb_key=$7 AND tx_id=$8 AND tx_state=$9"
	b.Run("update", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := c.Exec(ctx, update, payload, "tx0", 3, 2, 1, 2, 0, "tx0", 3); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("update4", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var batch pgx.Batch
			for i := range 4 {
				batch.Queue(update, payload, "tx0", 3, 2, 1, 2, i, "tx0", 3)
			}
			if err := c.SendBatch(ctx, &batch).Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("select", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			rows, err := c.Query(ctx, "SELECT * FROM ycsb.usertable WHERE ycsb_key=$1", 0)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := pgx.CollectRows(rows, pgx.RowToMap); err != nil {
				b.Fatal(err)
			}
		}
	})
}
