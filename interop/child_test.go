//go:build java && servers && failpoints

package interop

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/stillpoint-db/stillpoint"
	"github.com/stillpoint-db/stillpoint/internal/failpoint"
	"github.com/stillpoint-db/stillpoint/internal/workload"
)

// kind is what a child process has to do.
type kind string

const (
	moving      kind = ""            // one move of money
	conflicting kind = "conflicting" // one that another transaction comes before, when its other half is prepared already
	reading     kind = "reading"     // all accounts, which settles what is met in doubt
	recovering  kind = "recovering"  // settle all that is in doubt
)

// errand is what a child process does, in which it may be killed.
type errand struct {
	Kind       kind
	Properties map[string]string
	FromBranch string
	From       int64
	ToBranch   string
	To         int64
	Amount     int64
	Move       string // its id, new each time
}

const envErrand = "STILLPOINT_INTEROP_ERRAND"

// childMain runs the errand, if this process is a child.
func childMain() bool {
	text := os.Getenv(envErrand)
	if text == "" {
		return false
	}
	var e errand
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		panic(err)
	}
	if err := e.run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return true
}

func (e errand) run(ctx context.Context) error {
	db, err := stillpoint.Open(ctx, stillpoint.Properties(e.Properties))
	if err != nil {
		return err
	}
	accountsOf := func(branch string) *stillpoint.Table[workload.Account] {
		return stillpoint.TableOf[workload.Account](db, branch+"."+workload.AccountsTable)
	}
	historyOf := func(branch string) *stillpoint.Table[workload.Entry] {
		return stillpoint.TableOf[workload.Entry](db, branch+"."+workload.HistoryTable)
	}
	switch e.Kind {
	case reading:
		for _, branch := range []string{e.FromBranch, e.ToBranch} {
			for id := range accounts {
				err := db.Transact(ctx, func(tx *stillpoint.Tx) error { _, err := accountsOf(branch).Get(tx, id); return err })
				if err != nil {
					return err
				}
			}
		}
		return db.Close()
	case recovering:
		_, err := db.Recover(ctx)
		return errors.Join(err, db.Close())
	}
	err = db.Transact(ctx, func(tx *stillpoint.Tx) error {
		var a, b, other workload.Account
		// The third account is only read: under SERIALIZABLE it must be validated,
		// and where it is in another database than the Coordinator, in a step of its own.
		if err := tx.GetAll(accountsOf(e.FromBranch).Into(&a, e.From), accountsOf(e.ToBranch).Into(&b, e.To),
			accountsOf(e.ToBranch).Into(&other, accounts-1)); err != nil {
			return err
		}
		if e.Kind == conflicting {
			if err := e.overtake(ctx); err != nil {
				return err
			}
		}
		a.Balance -= e.Amount
		b.Balance += e.Amount
		if err := accountsOf(e.FromBranch).Put(tx, a); err != nil {
			return err
		}
		if err := accountsOf(e.ToBranch).Put(tx, b); err != nil {
			return err
		}
		// An insert reads nothing; a blind put is read before it is prepared.
		if err := historyOf(e.FromBranch).Insert(tx, workload.Entry{Account: e.From, Move: e.Move + "-out", Amount: -e.Amount}); err != nil {
			return err
		}
		return historyOf(e.ToBranch).Put(tx, workload.Entry{Account: e.To, Move: e.Move + "-in", Amount: e.Amount})
	})
	if err != nil {
		return err
	}
	return db.Close()
}

// overtake moves money of the account that is about to be written.
func (e errand) overtake(ctx context.Context) error {
	db, err := stillpoint.Open(ctx, stillpoint.Properties(e.Properties))
	if err != nil {
		return err
	}
	bank := workload.NewBank(db, []string{e.FromBranch, e.ToBranch}, accounts, initial)
	return errors.Join(bank.Transfer(ctx, 0, e.From, 0, accounts-1, 1, e.Move+"-before"), db.Close())
}

// runKilled runs the errand in a child that kills itself at a step; killed tells
// whether it got there.
func runKilled(t *testing.T, e errand, step string) (killed bool) {
	t.Helper()
	text, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), envErrand+"="+string(text), failpoint.EnvKill+"="+step)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	err = cmd.Run()
	if err == nil {
		return false
	}
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() && status.Signal() == syscall.SIGKILL {
		return true
	}
	t.Fatalf("child to be killed at %s: %v\n%s", step, err, &stderr)
	return false
}
