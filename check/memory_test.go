package check_test

import (
	"context"
	"fmt"
	"iter"
	"runtime"
	"testing"
	"time"

	"github.com/stillpoint-db/stillpoint/check"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

// endless is a source of as many records as wanted, each by a transaction of its
// own, without holding them.
type endless struct {
	table check.Table
	n     int
}

func (e *endless) Label() string                                 { return "endless" }
func (e *endless) Moment() time.Time                             { return time.UnixMilli(t0 + 1000) }
func (e *endless) Tables(context.Context) ([]check.Table, error) { return []check.Table{e.table}, nil }
func (e *endless) Skipped() []check.Table                        { return nil }
func (e *endless) Coordinator(context.Context) (check.Table, error) {
	return check.Table{Table: record.CoordinatorTable("")}, nil
}

func (e *endless) Rows(_ context.Context, t check.Table) iter.Seq2[*model.Row, error] {
	return func(yield func(*model.Row, error) bool) {
		row := &model.Row{Table: t.Table, Values: make([]model.Value, len(t.Columns()))}
		for i, c := range t.Columns() {
			row.Values[i] = model.Null(c.Type)
		}
		for i := range e.n {
			tx := model.TextValue(fmt.Sprintf("%036x", uint32(i)*2654435761)) // in no order
			if t.Name() == e.table.Name() {
				for column, v := range map[string]model.Value{"id": model.IntValue(int32(i)), "balance": model.BigIntValue(1), "tx_id": tx, "tx_state": model.IntValue(3),
					"tx_version": model.IntValue(1), "tx_prepared_at": model.BigIntValue(t0), "tx_committed_at": model.BigIntValue(t0 + 1)} {
					row.Values[t.Position(column)] = v
				}
			} else {
				row.Values = []model.Value{tx, model.IntValue(3), model.BigIntValue(t0 + 1)}
			}
			if !yield(row, nil) {
				return
			}
		}
	}
}

func TestMemoryIsBoundedWhateverTheNumberOfRecords(t *testing.T) {
	const records, buffer = 200_000, 1 << 20 // about 40 MB of facts
	user, err := model.NewTable(model.TableSpec{Name: name("bank.accounts"), PartitionKey: []string{"id"},
		Columns: []model.Column{{Name: "id", Type: model.Int}, {Name: "balance", Type: model.BigInt}}})
	if err != nil {
		t.Fatal(err)
	}
	table, err := record.Physical(user)
	if err != nil {
		t.Fatal(err)
	}
	inUse := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before, most, samples := inUse(), uint64(0), 0
	queries := []check.Query{{Name: "groups", Left: check.Aggregate{Count: []model.TableName{name("bank.accounts")}, By: []check.ColumnRef{{Table: name("bank.accounts"), Column: "id"}}},
		Right: &check.Aggregate{Sum: []check.ColumnRef{{Table: name("bank.accounts"), Column: "balance"}}, By: []check.ColumnRef{{Table: name("bank.accounts"), Column: "id"}}}}}
	rep, err := check.Run(t.Context(), &endless{check.Table{Table: table}, records}, check.Options{Strict: true, Memory: buffer, Scratch: t.TempDir(), Queries: queries,
		Progress: func(string, int64) {
			if samples++; samples%10 == 0 {
				most = max(most, inUse())
			}
		}})
	if err != nil {
		t.Fatal(err)
	}
	if !rep.Consistent || rep.Records != records || rep.Queries[0].Groups != records || rep.Queries[0].Status != check.QueryOK {
		t.Errorf("%s; %+v", rep.Summary(), rep.Queries)
	}
	// Three sorts of 1 MiB, the read buffers of their merges, and what the
	// program holds anyway.
	if most > before+16<<20 {
		t.Errorf("%d MB were in use over the %d before", (most-before)>>20, before>>20)
	}
	if samples < 50 {
		t.Errorf("only %d samples", samples)
	}
}
