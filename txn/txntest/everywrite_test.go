package txntest_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stillpoint-db/stillpoint/internal/history"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/faulty"
	"github.com/stillpoint-db/stillpoint/storage/memory"
	"github.com/stillpoint-db/stillpoint/txn"
	"github.com/stillpoint-db/stillpoint/txn/txntest"
)

// way is a way to commit one transfer.
type way struct {
	name    string
	rows    []txntest.Account // the accounts that it touches; the first pays, the others get
	options func(*txn.Options)
}

var ways = []way{
	{"one-phase", []txntest.Account{{DB: 1, ID: 1}, {DB: 1, ID: 2}}, func(*txn.Options) {}},
	{"fused", []txntest.Account{{DB: 0, ID: 1}, {DB: 1, ID: 2}}, func(*txn.Options) {}},
	{"fused over three", []txntest.Account{{DB: 0, ID: 1}, {DB: 1, ID: 2}, {DB: 2, ID: 3}}, func(*txn.Options) {}},
	{"without the Coordinator's database", []txntest.Account{{DB: 1, ID: 1}, {DB: 2, ID: 2}}, func(*txn.Options) {}},
	{"settled before the answer", []txntest.Account{{DB: 0, ID: 1}, {DB: 1, ID: 2}}, func(o *txn.Options) { o.AsyncCommit = false }},
	{"textbook", []txntest.Account{{DB: 0, ID: 1}, {DB: 1, ID: 2}}, func(o *txn.Options) { o.Schedule, o.OnePhaseCommit = txn.Textbook, false }},
	{"serializable", []txntest.Account{{DB: 0, ID: 1}, {DB: 1, ID: 2}}, func(o *txn.Options) { o.Isolation = txn.Serializable }},
}

// TestTransfersSurviveEveryFaultAtEveryWrite lets each write of a transfer fail
// in each way, and looks, as another process and when every lease is over,
// whether the transfer has happened wholly or not at all, and as its client was
// told.
func TestTransfersSurviveEveryFaultAtEveryWrite(t *testing.T) {
	effects := []faulty.Effect{faulty.Conflict, faulty.Unavailable, faulty.LoseRequest, faulty.LoseAnswer, faulty.Late(time.Second), faulty.Late(time.Minute),
		faulty.CrashBefore, faulty.CrashAfter, faulty.Delay(20 * time.Second)}
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			writes, outcomes := 0, map[string]int{}
			for n := 1; n == 1 || n <= writes; n++ {
				for _, e := range effects {
					synctest.Test(t, func(t *testing.T) {
						f := w.try(t, e.On(faulty.Mutate).Nth(n))
						outcomes[f.told+", "+f.found]++
						writes = max(writes, f.writes)
						if f.wrong() {
							t.Errorf("write %d, %s: the client was told %q, and %q", n, e, f.told, f.found)
						}
					})
				}
				// All later ones fail too: the process is cut off.
				for _, e := range []faulty.Effect{faulty.LoseRequest, faulty.LoseAnswer, faulty.Unavailable} {
					synctest.Test(t, func(t *testing.T) {
						count := 0
						f := w.try(t, e.On(faulty.Mutate).If(func(faulty.Call) bool { count++; return count >= n }))
						outcomes[f.told+", "+f.found]++
						if f.wrong() {
							t.Errorf("writes from %d on, %s: the client was told %q, and %q", n, e, f.told, f.found)
						}
					})
				}
			}
			t.Logf("%d writes: %v", writes, outcomes)
			if writes == 0 || outcomes["committed, done"] == 0 {
				t.Error("nothing was shown")
			}
		})
	}
}

// finding is what became of a transfer.
type finding struct {
	writes      int
	told, found string
}

func (f finding) wrong() bool {
	switch {
	case f.found != "done" && f.found != "not done":
		return true
	case f.told == "committed":
		return f.found != "done"
	case f.told == "aborted":
		return f.found != "not done"
	}
	return f.told != "unknown" && f.told != "dead"
}

// try runs one transfer with a fault.
func (w way) try(t *testing.T, rule *faulty.Rule) (f finding) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var dbs []func(context.Context, string) (storage.Storage, error)
	for range 3 {
		dbs = append(dbs, inMemory(memory.Options{}))
	}
	bed := several(dbs...)
	inner, err := bed.Open(ctx)
	if err != nil {
		t.Fatal(err)
	}
	bank := txntest.Bank{Namespaces: bed.Namespaces, Accounts: 4, Opening: 100}
	if err := bank.Create(ctx, inner); err != nil {
		t.Fatal(err)
	}
	s := faulty.New(inner, 1)
	o := txn.Defaults()
	w.options(&o)
	m, err := txn.Open(ctx, s, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := bank.Open(ctx, m); err != nil {
		t.Fatal(err)
	}
	if err := m.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	before := s.Count(faulty.Mutate)
	s.Add(rule)
	go func() { // a dead process does nothing any more
		select {
		case <-s.Crashed():
			cancel()
		case <-ctx.Done():
		}
	}()
	f.told = told(bank.Transfer(ctx, m, "the-transfer", 7, w.rows...))
	closing, stop := context.WithTimeout(t.Context(), time.Hour)
	defer stop()
	_ = m.Close(closing) // fails when it is cut off
	f.writes = s.Count(faulty.Mutate) - before
	select {
	case <-s.Crashed():
		f.told = "dead"
	default:
	}
	s.Wait()
	time.Sleep(time.Minute) // beyond every lease
	f.found = w.look(t, bank, inner)
	return f
}

func told(err error) string {
	switch {
	case err == nil:
		return "committed"
	case errors.Is(err, model.ErrUnknownOutcome):
		return "unknown"
	}
	return "aborted"
}

// look reads everything as another process.
func (w way) look(t *testing.T, bank txntest.Bank, s storage.Storage) string {
	m, err := txn.Open(t.Context(), s, txn.Defaults())
	if err != nil {
		t.Fatal(err)
	}
	st, err := bank.State(t.Context(), m)
	if err != nil {
		return err.Error()
	}
	if err := m.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if as := history.CheckBank(st); len(as) > 0 {
		return fmt.Sprint(as)
	}
	if len(st.Moves) == 0 {
		return "not done"
	}
	return "done"
}
