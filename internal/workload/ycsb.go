package workload

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stillpoint-db/stillpoint"
)

// UserTable is YCSB's table, in a namespace of the caller's.
const UserTable = "usertable"

// Record is a row of UserTable, with the columns that ScalarDB's benchmarks use.
type Record struct {
	Key     int32  `stillpoint:"ycsb_key,partition"`
	Payload string `stillpoint:"payload"`
}

// YCSB runs multi-record transactions over keys chosen uniformly: workload A
// reads half of its records and reads and writes the other half, C reads, F
// reads and writes each.
type YCSB struct {
	db      *stillpoint.DB
	tables  []*stillpoint.Table[Record] // one a namespace; a transaction works on each
	names   []string
	records int
	payload int // bytes
}

// NewYCSB makes the workload over namespaces.
func NewYCSB(db *stillpoint.DB, namespaces []string, records, payload int) *YCSB {
	y := &YCSB{db: db, records: records, payload: payload}
	for _, ns := range namespaces {
		y.names = append(y.names, ns+"."+UserTable)
		y.tables = append(y.tables, stillpoint.TableOf[Record](db, ns+"."+UserTable))
	}
	return y
}

// Load creates the tables and writes all records that are missing.
func (y *YCSB) Load(ctx context.Context) error {
	for i, table := range y.tables {
		if err := y.db.CreateTables(ctx, stillpoint.Define[Record](y.names[i])); err != nil {
			return err
		}
		const batch = 200
		rng := rand.New(rand.NewPCG(1, uint64(i)))
		for first := 0; first < y.records; first += batch {
			n := min(batch, y.records-first)
			err := y.db.Transact(ctx, func(tx *stillpoint.Tx) error {
				found, rows, reads := make([]bool, n), make([]Record, n), make([]stillpoint.Read, n)
				for k := range n {
					reads[k] = table.IntoIfFound(&rows[k], &found[k], first+k)
				}
				if err := tx.GetAll(reads...); err != nil {
					return err
				}
				for k, ok := range found {
					if ok {
						continue
					}
					if err := table.Insert(tx, Record{int32(first + k), y.text(rng)}); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				return fmt.Errorf("loading %s: %w", y.names[i], err)
			}
		}
	}
	return nil
}

func (y *YCSB) text(rng *rand.Rand) string {
	b := make([]byte, y.payload)
	for i := range b {
		b[i] = byte(32 + rng.IntN(95))
	}
	return string(b)
}

// YCSBOptions say what to run.
type YCSBOptions struct {
	Workload string // "A", "C" or "F"
	Ops      int    // records a transaction, in each namespace
	Batched  bool   // reads of one transaction go together
	Workers  int
	Duration time.Duration
}

// YCSBResult is what a run did.
type YCSBResult struct {
	Workload  string        `json:"workload"`
	Committed int64         `json:"committed"`
	Retries   int64         `json:"retries"`
	Failed    int64         `json:"failed"`
	PerSecond float64       `json:"per_second"`
	P50       time.Duration `json:"p50_ns"`
	P99       time.Duration `json:"p99_ns"`
	Error     string        `json:"error,omitempty"` // the first
}

// Run runs transactions until the duration is over.
func (y *YCSB) Run(ctx context.Context, o YCSBOptions) (YCSBResult, error) {
	body, err := y.body(o)
	if err != nil {
		return YCSBResult{}, err
	}
	res := YCSBResult{Workload: o.Workload}
	var committed, retries, failed atomic.Int64
	var mu sync.Mutex
	var took []time.Duration
	ctx, cancel := context.WithTimeout(ctx, o.Duration)
	defer cancel()
	started := time.Now()
	var wg sync.WaitGroup
	for w := range max(o.Workers, 1) {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(started.UnixNano()), uint64(w)))
			var mine []time.Duration
			for ctx.Err() == nil {
				keys := y.keys(rng, o.Ops)
				payload := y.text(rng)
				begun, attempts := time.Now(), int64(0)
				err := y.db.Transact(context.WithoutCancel(ctx), func(tx *stillpoint.Tx) error {
					attempts++
					return body(tx, keys, payload)
				})
				retries.Add(attempts - 1)
				if err != nil {
					failed.Add(1)
					mu.Lock()
					if res.Error == "" {
						res.Error = err.Error()
					}
					mu.Unlock()
					continue
				}
				committed.Add(1)
				mine = append(mine, time.Since(begun))
			}
			mu.Lock()
			took = append(took, mine...)
			mu.Unlock()
		})
	}
	wg.Wait()
	res.Committed, res.Retries, res.Failed = committed.Load(), retries.Load(), failed.Load()
	res.PerSecond = float64(res.Committed) / time.Since(started).Seconds()
	slices.Sort(took)
	if n := len(took); n > 0 {
		res.P50, res.P99 = took[n/2], took[n*99/100]
	}
	return res, nil
}

// keys draws distinct keys.
func (y *YCSB) keys(rng *rand.Rand, n int) []int32 {
	keys := make([]int32, 0, n)
	for len(keys) < min(n, y.records) {
		if k := int32(rng.IntN(y.records)); !slices.Contains(keys, k) {
			keys = append(keys, k)
		}
	}
	return keys
}

func (y *YCSB) body(o YCSBOptions) (func(*stillpoint.Tx, []int32, string) error, error) {
	writes := func(i int) bool { return true }
	switch o.Workload {
	case "A":
		writes = func(i int) bool { return i >= o.Ops/2 }
	case "C":
		writes = func(int) bool { return false }
	case "F":
	default:
		return nil, &stillpoint.Error{Class: stillpoint.ErrBadArgument, Op: "ycsb", Detail: fmt.Sprintf("there is no workload %q; use A, C or F", o.Workload)}
	}
	if o.Ops < 1 || o.Ops > y.records {
		return nil, &stillpoint.Error{Class: stillpoint.ErrBadArgument, Op: "ycsb", Detail: fmt.Sprintf("%d records a transaction of %d in the table", o.Ops, y.records)}
	}
	if o.Batched {
		return func(tx *stillpoint.Tx, keys []int32, payload string) error {
			reads := make([]stillpoint.Read, 0, len(keys)*len(y.tables))
			rows := make([]Record, len(keys)*len(y.tables))
			for _, t := range y.tables {
				for _, k := range keys {
					reads = append(reads, t.Into(&rows[len(reads)], k))
				}
			}
			if err := tx.GetAll(reads...); err != nil {
				return err
			}
			return y.write(tx, keys, payload, writes)
		}, nil
	}
	return func(tx *stillpoint.Tx, keys []int32, payload string) error {
		for _, t := range y.tables {
			for i, k := range keys {
				if _, _, err := t.Find(tx, k); err != nil {
					return err
				}
				if writes(i) {
					if err := t.Put(tx, Record{k, payload}); err != nil {
						return err
					}
				}
			}
		}
		return nil
	}, nil
}

func (y *YCSB) write(tx *stillpoint.Tx, keys []int32, payload string, writes func(int) bool) error {
	for _, t := range y.tables {
		for i, k := range keys {
			if !writes(i) {
				continue
			}
			if err := t.Put(tx, Record{k, payload}); err != nil {
				return err
			}
		}
	}
	return nil
}
