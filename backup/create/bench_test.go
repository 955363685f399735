//go:build servers

package create_test

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stillpoint-db/stillpoint/backup/create"
	"github.com/stillpoint-db/stillpoint/backup/internal/bank"
	"github.com/stillpoint-db/stillpoint/backup/plan"
	"github.com/stillpoint-db/stillpoint/backup/repo"
	"github.com/stillpoint-db/stillpoint/internal/testenv"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

// BenchmarkPostgres takes turns between a backup and pg_dump -Z0 | zstd -1.
func BenchmarkPostgres(b *testing.B) {
	server := testenv.Postgres(b)
	name := server.Database(b)
	s := opened(b, storage.Config{Name: "db", Driver: "postgres", URL: server.URL(name), User: server.User, Password: storage.Secret(server.Password)})
	beside(b, s, []string{"PGPASSWORD=" + server.Password},
		fmt.Sprintf("pg_dump -Z0 -h %s -p %d -U %s %s", server.Host, server.Port, server.User, name))
}

// BenchmarkMariaDB takes turns between a backup and mariadb-dump | zstd -1.
func BenchmarkMariaDB(b *testing.B) {
	server := testenv.NewMariaDB(b, testenv.MariaDBOptions{})
	s := opened(b, storage.Config{Name: "db", Driver: "mysql", URL: server.URL(), User: testenv.MariaDBUser, Password: testenv.MariaDBPassword})
	host, port, err := net.SplitHostPort(server.Addr())
	if err != nil {
		b.Fatal(err)
	}
	beside(b, s, []string{"MYSQL_PWD=" + testenv.MariaDBPassword},
		fmt.Sprintf("mariadb-dump --single-transaction --protocol=tcp -h %s -P %s -u %s --databases db", host, port, testenv.MariaDBUser))
}

// beside fills a database, takes turns between a backup of it and the tool's
// dump | zstd -1, and reports the median and quartiles of the ratio of the times.
func beside(b *testing.B, s storage.Storage, env []string, tool string) {
	set := bank.Set(b, s)
	bank.Create(b, s, record.CoordinatorTable(""))
	table := bank.Every("db")
	bank.Create(b, s, table)
	const rows = 300_000
	if _, err := s.(storage.Loader).Load(context.Background(), table, generated(table, rows)); err != nil {
		b.Fatal(err)
	}
	dump := filepath.Join(b.TempDir(), "dump.zst")
	script := fmt.Sprintf("set -o pipefail; %s | zstd -1 -q -f -o %s && sync %s", tool, dump, dump)

	var ratios []float64
	var ours time.Duration
	var raw int64
	for b.Loop() {
		folder := b.TempDir()
		begin := time.Now()
		m, err := create.Run(context.Background(), set, repo.InFolder(folder), create.Options{Plan: plan.Options{Scratch: b.TempDir()}})
		if err != nil {
			b.Fatal(err)
		}
		mine := time.Since(begin)
		raw = m.Totals.Raw
		_ = os.RemoveAll(folder)

		cmd := exec.Command("bash", "-c", script)
		cmd.Env = append(os.Environ(), env...)
		begin = time.Now()
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("%v: %s", err, out)
		}
		ours += mine
		ratios = append(ratios, time.Since(begin).Seconds()/mine.Seconds())
	}
	slices.Sort(ratios)
	b.ReportMetric(ratios[len(ratios)/2], "tool/ours")
	b.ReportMetric(ratios[len(ratios)/4], "q1")
	b.ReportMetric(ratios[3*len(ratios)/4], "q3")
	b.ReportMetric(float64(raw)/1e6/(ours.Seconds()/float64(len(ratios))), "MB/s")
}

// generated makes rows of about 300 bytes.
func generated(table *model.Table, n int) iter.Seq2[*model.Row, error] {
	return func(yield func(*model.Row, error) bool) {
		rnd := rand.New(rand.NewPCG(1, 2))
		limits := bank.Limits(table)
		row := &model.Row{Table: table, Values: slices.Clone(limits[1].Values)}
		set := func(column string, v model.Value) { row.Values[table.Position(column)] = v }
		for i := range n {
			row.Values[0], row.Values[1] = model.TextValue(fmt.Sprintf("key-%08d", i)), model.IntValue(int32(i))
			set("v_text", model.TextValue(fmt.Sprintf("%x %x note of an account %d", rnd.Uint64(), rnd.Uint64(), i)))
			set("v_bigint", model.BigIntValue(rnd.Int64N(1<<50)))
			set("v_double", model.DoubleValue(rnd.Float64()))
			set("v_blob", model.BlobValue(fmt.Appendf(nil, "%064d", rnd.Uint64())))
			set(record.TxID, model.TextValue(fmt.Sprintf("%016x-%016x", rnd.Uint64(), rnd.Uint64())))
			set(record.TxState, model.IntValue(3))
			set(record.TxVersion, model.IntValue(rnd.Int32N(100)+1))
			set(record.PreparedAt, model.BigIntValue(1790000000000+rnd.Int64N(1e9)))
			set(record.CommittedAt, model.BigIntValue(1790000000000+rnd.Int64N(1e9)))
			if !yield(row, nil) {
				return
			}
		}
	}
}
