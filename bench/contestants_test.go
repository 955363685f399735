//go:build bench

package bench

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/stillpoint-db/stillpoint"
	"github.com/stillpoint-db/stillpoint/internal/javapeer"
	"github.com/stillpoint-db/stillpoint/internal/workload"
)

type settings = map[string]string

func merged(a, b settings) settings {
	m := maps.Clone(a)
	maps.Copy(m, b)
	return m
}

func open(t *testing.T, properties settings, opts ...stillpoint.Option) *stillpoint.DB {
	t.Helper()
	db, err := stillpoint.Open(context.Background(), stillpoint.Properties(properties), opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// load fills the tables of YCSB once.
func load(t *testing.T, properties settings, namespaces []string) {
	t.Helper()
	db, err := stillpoint.Open(t.Context(), stillpoint.Properties(properties))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(workload.NewYCSB(db, namespaces, records, payload).Load(t.Context()), db.Close()); err != nil {
		t.Fatal(err)
	}
}

const (
	records = 100_000
	payload = 1000
)

// ours runs YCSB through the public API.
func ours(t *testing.T, name string, properties settings, namespaces []string, o workload.YCSBOptions) contestant {
	y := workload.NewYCSB(open(t, properties), namespaces, records, payload)
	return contestant{name: name, run: func(d time.Duration) (figures, error) {
		o.Workers, o.Duration = *threads, d
		cpu := ownCPU()
		r, err := y.Run(context.Background(), o)
		return figures{r.PerSecond, r.P50, r.P99, ownCPU() - cpu, r.Failed}, err
	}}
}

// java runs the same in a Java node of its own.
func java(t *testing.T, name string, properties settings, namespaces []string, workload string, ops int) contestant {
	p := javapeer.Start(t, merged(properties, settings{"scalar.db.jdbc.connection_pool.max_total": "50"}))
	return contestant{name: name, warm: true, run: func(d time.Duration) (figures, error) {
		return javaSlice(p, d, "ycsb", strings.Join(namespaces, ","), workload, strconv.Itoa(ops), strconv.Itoa(records), strconv.Itoa(payload),
			strconv.Itoa(*threads), strconv.FormatInt(d.Milliseconds(), 10))
	}}
}

// javaSlice runs a command that answers commits, retries, failures, p50 and p99.
func javaSlice(p *javapeer.Peer, d time.Duration, command ...string) (figures, error) {
	before, err := p.Try("cpu")
	if err != nil {
		return figures{}, err
	}
	begun := time.Now()
	answer, err := p.Try(command...)
	if err != nil {
		return figures{}, err
	}
	took := max(d, time.Since(begun))
	after, err := p.Try("cpu")
	if err != nil {
		return figures{}, err
	}
	n := make([]int64, 0, 8)
	for _, s := range append(slices.Clone(answer), before[0], after[0]) {
		v, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return figures{}, err
		}
		n = append(n, v)
	}
	us := func(i int) time.Duration { return time.Duration(n[i]) * time.Microsecond }
	return figures{float64(n[0]) / took.Seconds(), us(3), us(4), time.Duration(n[len(n)-1]-n[len(n)-2]) * time.Millisecond, n[2]}, nil
}

// raw runs transactions written by hand, one function a slice's goroutine.
func raw(name string, transaction func(ctx context.Context, keys []int32, text string) error, ops int) contestant {
	return contestant{name: name, run: func(d time.Duration) (figures, error) {
		var committed, failed atomic.Int64
		var mu sync.Mutex
		var took []time.Duration
		cpu, begun := ownCPU(), time.Now()
		var wg sync.WaitGroup
		for w := range *threads {
			wg.Go(func() {
				rng := rand.New(rand.NewPCG(uint64(begun.UnixNano()), uint64(w)))
				var mine []time.Duration
				for time.Since(begun) < d {
					keys := distinct(rng, ops)
					text := randomText(rng)
					at := time.Now()
					if err := transaction(context.Background(), keys, text); err != nil {
						failed.Add(1)
						continue
					}
					committed.Add(1)
					mine = append(mine, time.Since(at))
				}
				mu.Lock()
				took = append(took, mine...)
				mu.Unlock()
			})
		}
		wg.Wait()
		slices.Sort(took)
		f := figures{perSecond: float64(committed.Load()) / time.Since(begun).Seconds(), cpu: ownCPU() - cpu, failed: failed.Load()}
		if n := len(took); n > 0 {
			f.p50, f.p99 = took[n/2], took[n*99/100]
		}
		return f, nil
	}}
}

// distinct draws keys, in order, so that transactions that lock do not deadlock.
func distinct(rng *rand.Rand, n int) []int32 {
	var keys []int32
	for len(keys) < n {
		if k := int32(rng.IntN(records)); !slices.Contains(keys, k) {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}

func randomText(rng *rand.Rand) string {
	b := make([]byte, payload)
	for i := range b {
		b[i] = byte(32 + rng.IntN(95))
	}
	return string(b)
}

func pool(t *testing.T, dsn string) *pgxpool.Pool {
	t.Helper()
	p, err := pgxpool.New(context.Background(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

const rawTable = `raw_usertable`

// loadRaw makes a plain table of the same rows.
func loadRaw(t *testing.T, p *pgxpool.Pool) {
	t.Helper()
	_, err := p.Exec(t.Context(), `CREATE TABLE `+rawTable+` (ycsb_key int PRIMARY KEY, payload text)`)
	if err == nil {
		_, err = p.Exec(t.Context(), fmt.Sprintf(`INSERT INTO %s SELECT i, repeat(md5(i::text), %d) FROM generate_series(0, %d) i`, rawTable, payload/32, records-1))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// readModifyWrite is BEGIN, SELECT FOR UPDATE, UPDATE, COMMIT.
func readModifyWrite(ctx context.Context, p *pgxpool.Pool, keys []int32, text string) error {
	return pgx.BeginFunc(ctx, p, func(tx pgx.Tx) error { return change(ctx, tx, keys, text) })
}

func change(ctx context.Context, tx pgx.Tx, keys []int32, text string) error {
	for _, k := range keys {
		var old string
		if err := tx.QueryRow(ctx, `SELECT payload FROM `+rawTable+` WHERE ycsb_key = $1 FOR UPDATE`, k).Scan(&old); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE `+rawTable+` SET payload = $2 WHERE ycsb_key = $1`, k, text); err != nil {
			return err
		}
	}
	return nil
}
