package restore_test

import (
	"context"
	"fmt"
	"iter"
	"path/filepath"
	"testing"
	"time"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/restore"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

// large is a backup of many rows that holds none of them.
type large struct {
	tables []restore.BackupTable
}

func (l *large) ID() string                    { return "20261122T083001Z-7f3a" }
func (l *large) Moment() time.Time             { return moment }
func (l *large) Tables() []restore.BackupTable { return l.tables }

func (l *large) Rows(_ context.Context, t restore.BackupTable) iter.Seq2[*model.Row, error] {
	return func(yield func(*model.Row, error) bool) {
		row := &model.Row{Table: t.Table, Values: make([]model.Value, len(t.Table.Columns()))}
		for i, c := range t.Table.Columns() {
			row.Values[i] = model.Null(c.Type)
		}
		for i := range t.Rows {
			for column, v := range map[string]model.Value{"id": model.IntValue(int32(i)), "balance": model.BigIntValue(i), "note": model.TextValue("a note of some length"),
				"tx_id": model.TextValue(fmt.Sprintf("%036d", i)), "tx_state": model.IntValue(3), "tx_version": model.IntValue(1),
				"tx_prepared_at": model.BigIntValue(t0), "tx_committed_at": model.BigIntValue(t0)} {
				if at := t.Table.Position(column); at >= 0 {
					row.Values[at] = v
				}
			}
			if !yield(row, nil) {
				return
			}
		}
	}
}

// BenchmarkRestore restores 100,000 records into SQLite each time.
func BenchmarkRestore(b *testing.B) {
	const rows = 100_000
	for b.Loop() {
		src := &large{tables: []restore.BackupTable{{Storage: "db", Table: physical(b, "bank.accounts", model.Int), Rows: rows, Transactional: true},
			{Storage: "db", Table: record.CoordinatorTable(""), Coordinator: true}}}
		st := open(b, storage.Config{Name: "db", Driver: "sqlite", URL: "jdbc:sqlite:" + filepath.Join(b.TempDir(), "a.db")})
		_, err := restore.Run(b.Context(), restore.Options{Backup: src, Scratch: b.TempDir(), Target: restore.Target{Storages: []storage.Storage{st}},
			Journal: restore.InFile(filepath.Join(b.TempDir(), "journal"))})
		must(b, err)
		must(b, st.Close())
	}
	b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
