// Package workload holds the programs that demo, benchmarks and tests run
// against a DB: a bank whose money must not change, and YCSB.
package workload

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stillpoint-db/stillpoint"
)

// The tables of a branch of the bank, in a namespace of its own.
const (
	AccountsTable = "bench_accounts"
	HistoryTable  = "bench_history"
)

// openMove is the first entry of an account.
const openMove = "open"

// Account is a row of AccountsTable.
type Account struct {
	ID      int64 `stillpoint:"id,partition"`
	Balance int64 `stillpoint:"balance"`
}

// Entry is a row of HistoryTable: one side of a move. The amounts of an
// account's entries add up to its balance.
type Entry struct {
	Account int64  `stillpoint:"account,partition"`
	Move    string `stillpoint:"move,clustering"`
	Amount  int64  `stillpoint:"amount"`
}

// Bank moves money between accounts spread over namespaces ("branches"), each
// of which may live in another database.
type Bank struct {
	db       *stillpoint.DB
	branches []branch
	accounts int   // in each branch
	initial  int64 // balance of each account at first
}

type branch struct {
	namespace string
	accounts  *stillpoint.Table[Account]
	history   *stillpoint.Table[Entry]
}

// NewBank makes a bank over namespaces.
func NewBank(db *stillpoint.DB, namespaces []string, accounts int, initial int64) *Bank {
	b := &Bank{db: db, accounts: accounts, initial: initial}
	for _, ns := range namespaces {
		b.branches = append(b.branches, branch{ns,
			stillpoint.TableOf[Account](db, ns+"."+AccountsTable), stillpoint.TableOf[Entry](db, ns+"."+HistoryTable)})
	}
	return b
}

// Tables defines the tables of one branch.
func Tables(namespace string) []stillpoint.TableDef {
	return []stillpoint.TableDef{
		stillpoint.Define[Account](namespace + "." + AccountsTable),
		stillpoint.Define[Entry](namespace + "." + HistoryTable),
	}
}

// Want is the money in the bank: it never changes.
func (b *Bank) Want() int64 { return int64(len(b.branches)) * int64(b.accounts) * b.initial }

// Open creates the tables that are missing and opens the accounts that are
// missing, each with its first entry. A second run changes nothing.
func (b *Bank) Open(ctx context.Context) error {
	var defs []stillpoint.TableDef
	for _, br := range b.branches {
		defs = append(defs, Tables(br.namespace)...)
	}
	if err := b.db.CreateTables(ctx, defs...); err != nil {
		return err
	}
	const batch = 100
	for _, br := range b.branches {
		for first := 0; first < b.accounts; first += batch {
			err := b.db.Transact(ctx, func(tx *stillpoint.Tx) error {
				return b.openAccounts(tx, br, first, min(first+batch, b.accounts))
			})
			if err != nil {
				return fmt.Errorf("opening accounts in %s: %w", br.namespace, err)
			}
		}
	}
	return nil
}

func (b *Bank) openAccounts(tx *stillpoint.Tx, br branch, from, to int) error {
	found := make([]bool, to-from)
	rows := make([]Account, to-from)
	reads := make([]stillpoint.Read, to-from)
	for i := range reads {
		reads[i] = br.accounts.IntoIfFound(&rows[i], &found[i], from+i)
	}
	if err := tx.GetAll(reads...); err != nil {
		return err
	}
	for i, ok := range found {
		if ok {
			continue
		}
		id := int64(from + i)
		if err := br.accounts.Insert(tx, Account{id, b.initial}); err != nil {
			return err
		}
		if err := br.history.Insert(tx, Entry{id, openMove, b.initial}); err != nil {
			return err
		}
	}
	return nil
}

// RunOptions say how to run transfers.
type RunOptions struct {
	Duration time.Duration // ends then; 0 = when ctx does
	Workers  int
	Moves    int64 // ends after so many; 0 = no bound
	Observe  func(took time.Duration, err error)
}

// Result counts what Run did.
type Result struct {
	Committed int64 `json:"committed"`
	Conflicts int64 `json:"conflicts"` // transactions that gave up after their retries
	Unknown   int64 `json:"unknown"`   // outcomes that were lost
	Failed    int64 `json:"failed"`    // anything else; see Errors
	// LongestStall is the longest time between the ends of two commits of one
	// worker: what a writer had to wait at worst.
	LongestStall time.Duration `json:"longest_stall_ns"`
	Elapsed      time.Duration `json:"elapsed_ns"`
	Errors       []string      `json:"errors,omitempty"` // the first few
}

// Run moves money at random until the options or ctx say stop; that is no error.
func (b *Bank) Run(ctx context.Context, opts RunOptions) Result {
	if opts.Duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, opts.Duration)
		defer cancel()
	}
	var committed, conflicts, unknown, failed, stall atomic.Int64
	var mu sync.Mutex
	var errs []string
	started := time.Now()
	var wg sync.WaitGroup
	for w := range max(opts.Workers, 1) {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(started.UnixNano()), uint64(w)))
			last := time.Now()
			for n := 0; ctx.Err() == nil && (opts.Moves == 0 || committed.Load() < opts.Moves); n++ {
				move := strconv.FormatInt(started.UnixNano(), 36) + "-" + strconv.Itoa(w) + "-" + strconv.Itoa(n)
				begun := time.Now()
				// The move itself is not cut off in the middle by the end of the run.
				err := b.Move(context.WithoutCancel(ctx), rng, move)
				now := time.Now()
				if opts.Observe != nil {
					opts.Observe(now.Sub(begun), err)
				}
				switch {
				case err == nil:
					committed.Add(1)
					if gap := int64(now.Sub(last)); gap > stall.Load() {
						stall.Store(gap)
					}
					last = now
				case errors.Is(err, stillpoint.ErrUnknownOutcome):
					unknown.Add(1)
				case errors.Is(err, stillpoint.ErrConflict):
					conflicts.Add(1)
				default:
					failed.Add(1)
					mu.Lock()
					if len(errs) < 5 {
						errs = append(errs, err.Error())
					}
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	return Result{committed.Load(), conflicts.Load(), unknown.Load(), failed.Load(), time.Duration(stall.Load()), time.Since(started), errs}
}

// Move moves a random amount between two random accounts, under an id that must
// be new.
func (b *Bank) Move(ctx context.Context, rng *rand.Rand, move string) error {
	from, to := rng.IntN(len(b.branches)*b.accounts), rng.IntN(len(b.branches)*b.accounts-1)
	if to >= from {
		to++
	}
	return b.Transfer(ctx, from/b.accounts, int64(from%b.accounts), to/b.accounts, int64(to%b.accounts), 1+rng.Int64N(10), move)
}

// Transfer moves an amount between two accounts of branches given by number,
// under an id that must be new.
func (b *Bank) Transfer(ctx context.Context, fromBranch int, srcID int64, toBranch int, dstID, amount int64, move string) error {
	src, dst := b.branches[fromBranch], b.branches[toBranch]
	return b.db.Transact(ctx, func(tx *stillpoint.Tx) error {
		var a, c Account
		if err := tx.GetAll(src.accounts.Into(&a, srcID), dst.accounts.Into(&c, dstID)); err != nil {
			return err
		}
		a.Balance -= amount
		c.Balance += amount
		if err := src.accounts.Put(tx, a); err != nil {
			return err
		}
		if err := dst.accounts.Put(tx, c); err != nil {
			return err
		}
		if err := src.history.Insert(tx, Entry{srcID, move + "-out", -amount}); err != nil {
			return err
		}
		return dst.history.Insert(tx, Entry{dstID, move + "-in", amount})
	})
}

// Report is what Verify found.
type Report struct {
	Accounts int64    `json:"accounts"`
	History  int64    `json:"history"`
	Total    int64    `json:"total"`
	Want     int64    `json:"want"`
	Wrong    []string `json:"wrong,omitempty"` // accounts that do not equal their history, as "namespace.table (id)"; the first 20
	WrongN   int64    `json:"wrong_count"`
}

// OK tells whether no money is missing and every account equals its history.
func (r Report) OK() bool { return r.Total == r.Want && r.WrongN == 0 }

// String says the same in words.
func (r Report) String() string {
	if r.OK() {
		return fmt.Sprintf("%d of %d; every one of %d accounts equals its history of %d entries", r.Total, r.Want, r.Accounts, r.History)
	}
	return fmt.Sprintf("%d of %d; %d accounts differ from their history %v", r.Total, r.Want, r.WrongN, r.Wrong)
}

// Verify adds up all accounts and compares each with its history. It reads as
// of now: run it when nobody writes.
func (b *Bank) Verify(ctx context.Context) (Report, error) {
	r := Report{Want: b.Want()}
	var opened int64
	for _, br := range b.branches {
		n, err := b.verifyBranch(ctx, br, &r)
		if err != nil {
			return r, fmt.Errorf("verifying %s: %w", br.namespace, err)
		}
		opened += n
	}
	r.Want = max(r.Want, opened) // an earlier run may have opened more accounts
	slices.Sort(r.Wrong)
	return r, nil
}

// verifyBranch returns the money that its accounts were opened with.
func (b *Bank) verifyBranch(ctx context.Context, br branch, r *Report) (opened int64, err error) {
	err = b.db.View(ctx, func(tx *stillpoint.Tx) error {
		diff := make(map[int64]int64, b.accounts) // balance minus history
		for a, err := range br.accounts.Scan(tx) {
			if err != nil {
				return err
			}
			r.Accounts++
			r.Total += a.Balance
			diff[a.ID] += a.Balance
		}
		for e, err := range br.history.Scan(tx) {
			if err != nil {
				return err
			}
			r.History++
			if e.Move == openMove {
				opened += e.Amount
			}
			diff[e.Account] -= e.Amount
		}
		for id, d := range diff {
			if d != 0 {
				r.WrongN++
				if len(r.Wrong) < 20 {
					r.Wrong = append(r.Wrong, fmt.Sprintf("%s.%s (%d) by %d", br.namespace, AccountsTable, id, d))
				}
			}
		}
		return nil
	}, stillpoint.Attempts(1), stillpoint.AtIsolation(stillpoint.Snapshot))
	return opened, err
}

// VerifyWhenQuiet is Verify beside others who may still be moving money: what is
// wrong counts only if the same is seen twice in a row. After patience it
// gives up with ErrConflict.
func (b *Bank) VerifyWhenQuiet(ctx context.Context, patience time.Duration) (Report, error) {
	deadline := time.Now().Add(patience)
	var last string
	for {
		r, err := b.Verify(ctx)
		if err != nil || r.OK() {
			return r, err
		}
		if r.String() == last {
			return r, nil
		}
		if time.Now().After(deadline) {
			return r, &stillpoint.Error{Class: stillpoint.ErrConflict, Op: "verify the bank", Detail: "others are still moving money, so nothing can be said of the total",
				Hint: "Verify again when they have ended"}
		}
		last = r.String()
		select {
		case <-ctx.Done():
			return r, context.Cause(ctx)
		case <-time.After(500 * time.Millisecond):
		}
	}
}
