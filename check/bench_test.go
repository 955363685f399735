package check_test

import (
	"testing"

	"github.com/stillpoint-db/stillpoint/check"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

// BenchmarkCheck checks 50,000 records and as many rows of the Coordinator's
// table each time.
func BenchmarkCheck(b *testing.B) {
	user, err := model.NewTable(model.TableSpec{Name: name("bank.accounts"), PartitionKey: []string{"id"},
		Columns: []model.Column{{Name: "id", Type: model.Int}, {Name: "balance", Type: model.BigInt}}})
	if err != nil {
		b.Fatal(err)
	}
	table, err := record.Physical(user)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		rep, err := check.Run(b.Context(), &endless{check.Table{Table: table}, 50_000}, check.Options{Scratch: b.TempDir()})
		if err != nil || !rep.Consistent {
			b.Fatal(rep, err)
		}
	}
}
