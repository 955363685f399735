//go:build bench

package bench

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/stillpoint-db/stillpoint/internal/javapeer"
	"github.com/stillpoint-db/stillpoint/internal/testenv"
	"github.com/stillpoint-db/stillpoint/internal/workload"
	_ "github.com/stillpoint-db/stillpoint/storage/all"
)

func TestMain(m *testing.M) { testenv.Main(m) }

const (
	cc       = "scalar.db.consensus_commit."
	onePhase = cc + "one_phase_commit.enabled"
	async    = cc + "async_commit.enabled"
)

// server starts a PostgreSQL with the settings that the comparisons pin.
func server(t *testing.T) *testenv.PostgresServer {
	return testenv.StartPostgres(t, "shared_buffers=1GB", "max_wal_size=4GB", "checkpoint_timeout=30min", "fsync=on", "synchronous_commit=on",
		"autovacuum=on", "max_prepared_transactions=64", "max_connections=300")
}

func single(s *testenv.PostgresServer, db string) settings {
	return settings{"scalar.db.storage": "jdbc", "scalar.db.contact_points": s.URL(db), "scalar.db.username": s.User, "scalar.db.password": s.Password}
}

// twoServers configures two databases, the Coordinator's table in the first.
func twoServers(s *testenv.PostgresServer, a string, s2 *testenv.PostgresServer, b string) settings {
	props := settings{
		"scalar.db.storage":                         "multi-storage",
		"scalar.db.multi_storage.storages":          "a,b",
		"scalar.db.multi_storage.namespace_mapping": "ycsb_primary:a,ycsb_secondary:b,coordinator:a",
		"scalar.db.multi_storage.default_storage":   "a",
	}
	for name, p := range map[string]settings{"a": single(s, a), "b": single(s2, b)} {
		for k, v := range p {
			props["scalar.db.multi_storage.storages."+name+"."+strings.TrimPrefix(k, "scalar.db.")] = v
		}
	}
	return props
}

func dsn(s *testenv.PostgresServer, db string) string {
	return fmt.Sprintf("postgres://%s:%s@%s/%s?pool_max_conns=%d", s.User, s.Password, s.Addr(), db, *threads)
}

// TestOnePostgreSQL: YCSB-F with one and four records, and YCSB-C with two.
func TestOnePostgreSQL(t *testing.T) {
	s := server(t)
	db := s.Database(t)
	props := single(s, db)
	namespaces := []string{"ycsb"}
	load(t, props, namespaces)
	plain := pool(t, dsn(s, db))
	loadRaw(t, plain)
	for _, ops := range []int{1, 4} {
		t.Run(fmt.Sprintf("F%d", ops), func(t *testing.T) {
			f := workload.YCSBOptions{Workload: "F", Ops: ops}
			batched := f
			batched.Batched = true
			cs := []contestant{
				java(t, "Java default", props, namespaces, "F", ops),
				java(t, "Java, one-phase commit", merged(props, settings{onePhase: "true"}), namespaces, "F", ops),
				java(t, "Java, async commit", merged(props, settings{async: "true"}), namespaces, "F", ops),
				ours(t, "Stillpoint as shipped", props, namespaces, f),
				ours(t, "Stillpoint, no one-phase commit", merged(props, settings{onePhase: "false"}), namespaces, f),
				raw("pgx by hand", func(ctx context.Context, keys []int32, text string) error {
					return readModifyWrite(ctx, plain, keys, text)
				}, ops),
			}
			if ops > 1 {
				cs = append(cs, ours(t, "Stillpoint, reads batched", props, namespaces, batched))
			}
			compete(t, fmt.Sprintf("YCSB-F, %d records, one PostgreSQL", ops), cs)
		})
	}
	t.Run("C2", func(t *testing.T) {
		compete(t, "YCSB-C, 2 records, one PostgreSQL", []contestant{
			java(t, "Java default", props, namespaces, "C", 2),
			ours(t, "Stillpoint, one read after the other", props, namespaces, workload.YCSBOptions{Workload: "C", Ops: 2}),
			ours(t, "Stillpoint, reads batched", props, namespaces, workload.YCSBOptions{Workload: "C", Ops: 2, Batched: true}),
		})
	})
	javaReadsAll(t, props, namespaces)
}

// javaReadsAll shows that every record that anybody has written is good for
// Java.
func javaReadsAll(t *testing.T, props settings, namespaces []string) {
	t.Helper()
	p := javapeer.Start(t, props)
	for _, ns := range namespaces {
		n := p.Do(t, "dump", ns, workload.UserTable, t.TempDir()+"/dump")
		fmt.Printf("afterwards Java reads %s of %d records of %s.%s\n", n[0], records, ns, workload.UserTable)
		if n[0] != strconv.Itoa(records) {
			t.Errorf("Java reads %s records of %s; want %d", n[0], ns, records)
		}
	}
}

// TestTwoPostgreSQL: one record in each of two databases, in one transaction.
func TestTwoPostgreSQL(t *testing.T) {
	s, s2 := server(t), server(t)
	a, b := s.Database(t), s2.Database(t)
	props := twoServers(s, a, s2, b)
	namespaces := []string{"ycsb_primary", "ycsb_secondary"}
	load(t, props, namespaces)
	pa, pb := pool(t, dsn(s, a)), pool(t, dsn(s2, b))
	loadRaw(t, pa)
	loadRaw(t, pb)
	if _, err := pa.Exec(t.Context(), `CREATE TABLE decisions (gid text PRIMARY KEY)`); err != nil {
		t.Fatal(err)
	}
	xa := &xa{a: pa, b: pb}
	f := workload.YCSBOptions{Workload: "F", Ops: 1}
	batched := f
	batched.Batched = true
	compete(t, "YCSB-F, 1 record in each of two PostgreSQL servers", []contestant{
		java(t, "Java default", props, namespaces, "F", 1),
		java(t, "Java, async commit", merged(props, settings{async: "true"}), namespaces, "F", 1),
		ours(t, "Stillpoint as shipped", props, namespaces, f),
		ours(t, "Stillpoint, reads batched", props, namespaces, batched),
		raw("XA by hand, recoverable", xa.run, 1),
		raw("two transactions, not atomic", func(ctx context.Context, keys []int32, text string) error {
			if err := readModifyWrite(ctx, pa, keys, text); err != nil {
				return err
			}
			return readModifyWrite(ctx, pb, keys, text)
		}, 1),
	})
	javaReadsAll(t, props, namespaces)
}

// xa is two-phase commit by hand: PREPARE TRANSACTION in both databases, a
// durable decision, COMMIT PREPARED in both.
type xa struct {
	a, b *pgxpool.Pool
	n    atomic.Int64
}

func (x *xa) run(ctx context.Context, keys []int32, text string) error {
	gid := "bench-" + strconv.FormatInt(x.n.Add(1), 10)
	for _, p := range []*pgxpool.Pool{x.a, x.b} {
		err := p.AcquireFunc(ctx, func(c *pgxpool.Conn) error {
			tx, err := c.Begin(ctx)
			if err != nil {
				return err
			}
			if err := change(ctx, tx, keys, text); err != nil {
				return err
			}
			_, err = tx.Exec(ctx, `PREPARE TRANSACTION '`+gid+`'`)
			return err
		})
		if err != nil {
			return err
		}
	}
	if _, err := x.a.Exec(ctx, `INSERT INTO decisions VALUES ($1)`, gid); err != nil {
		return err
	}
	done := make(chan error, 2)
	for _, p := range []*pgxpool.Pool{x.a, x.b} {
		go func() {
			_, err := p.Exec(ctx, `COMMIT PREPARED '`+gid+`'`, pgx.QueryExecModeSimpleProtocol)
			done <- err
		}()
	}
	err := <-done
	if err2 := <-done; err == nil {
		err = err2
	}
	return err
}

// TestTransfersOverPostgreSQLAndMariaDB: two accounts and two history rows in
// one transaction over two engines.
func TestTransfersOverPostgreSQLAndMariaDB(t *testing.T) {
	s := server(t)
	my := testenv.NewMariaDB(t, testenv.MariaDBOptions{})
	props := settings{
		"scalar.db.storage":                                  "multi-storage",
		"scalar.db.multi_storage.storages":                   "pg,my",
		"scalar.db.multi_storage.namespace_mapping":          "bank:pg,vault:my,coordinator:pg",
		"scalar.db.multi_storage.default_storage":            "pg",
		"scalar.db.multi_storage.storages.my.storage":        "jdbc",
		"scalar.db.multi_storage.storages.my.contact_points": my.URL(),
		"scalar.db.multi_storage.storages.my.username":       testenv.MariaDBUser,
		"scalar.db.multi_storage.storages.my.password":       testenv.MariaDBPassword,
	}
	for k, v := range single(s, s.Database(t)) {
		props["scalar.db.multi_storage.storages.pg."+strings.TrimPrefix(k, "scalar.db.")] = v
	}
	const accounts = 2000
	namespaces := []string{"bank", "vault"}
	bank := func(more settings) *workload.Bank {
		return workload.NewBank(open(t, merged(props, more)), namespaces, accounts, 1000)
	}
	first := bank(nil)
	if err := first.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	javaBank := func(name string, more settings) contestant {
		p := javapeer.Start(t, merged(props, more))
		return contestant{name: name, warm: true, run: func(d time.Duration) (figures, error) {
			before, err := p.Try("cpu")
			if err != nil {
				return figures{}, err
			}
			begun := time.Now()
			answer, err := p.Try("transfers", strings.Join(namespaces, ","), strconv.Itoa(accounts), strconv.Itoa(*threads), strconv.FormatInt(d.Milliseconds(), 10), "1000000000")
			if err != nil {
				return figures{}, err
			}
			took := time.Since(begun)
			after, err := p.Try("cpu")
			if err != nil {
				return figures{}, err
			}
			n, b, a, other := atoi(answer[0]), atoi(before[0]), atoi(after[0]), atoi(answer[2])
			return figures{perSecond: float64(n) / took.Seconds(), cpu: time.Duration(a-b) * time.Millisecond, failed: other}, nil
		}}
	}
	ourBank := func(name string, more settings) contestant {
		b := bank(more)
		return contestant{name: name, run: func(d time.Duration) (figures, error) {
			cpu := ownCPU()
			r := b.Run(context.Background(), workload.RunOptions{Duration: d, Workers: *threads})
			return figures{perSecond: float64(r.Committed) / r.Elapsed.Seconds(), cpu: ownCPU() - cpu, failed: r.Failed}, nil
		}}
	}
	compete(t, "transfers (2 accounts, 2 history rows), PostgreSQL and MariaDB, half of them over both", []contestant{
		javaBank("Java default", nil),
		javaBank("Java, one-phase and async commit", settings{onePhase: "true", async: "true"}),
		ourBank("Stillpoint as shipped", nil),
		ourBank("Stillpoint, SERIALIZABLE", settings{cc + "isolation_level": "SERIALIZABLE"}),
	})
	r, err := first.Verify(t.Context())
	if err != nil || !r.OK() {
		t.Errorf("the bank is wrong: %s, %v", r, err)
	}
	fmt.Println("afterwards:", r)
}

func atoi(s string) int64 {
	n, _ := strconv.ParseInt(s, 10, 64)
	return n
}
