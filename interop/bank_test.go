//go:build java && servers && failpoints

package interop

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stillpoint-db/stillpoint"
	"github.com/stillpoint-db/stillpoint/check"
	"github.com/stillpoint-db/stillpoint/config"
	"github.com/stillpoint-db/stillpoint/internal/javapeer"
	"github.com/stillpoint-db/stillpoint/internal/workload"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage/multi"
	"github.com/stillpoint-db/stillpoint/txn"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

const (
	accounts = 80
	initial  = 1000
)

func openBank(t *testing.T, w world, more map[string]string) (*stillpoint.DB, *workload.Bank) {
	t.Helper()
	db := w.open(t, more)
	bank := workload.NewBank(db, w.namespaces, accounts, initial)
	if err := bank.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	return db, bank
}

// wantRight fails the test unless all money is there, every account equals its
// history, the invariants hold, and nothing is left in doubt.
func wantRight(t *testing.T, w world, bank *workload.Bank) {
	t.Helper()
	r, err := bank.Verify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !r.OK() {
		t.Errorf("the bank is wrong: %s", r)
	}
	settle(t, w)
	cfg, err := config.FromMap(w.properties)
	if err != nil {
		t.Fatal(err)
	}
	set, err := config.Open(t.Context(), cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	report, err := check.Run(t.Context(), check.NewDatabases(w.name, set, ""), check.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := report.Err(); err != nil {
		t.Error(err)
	}
	wantDecisionsKept(t, w, set)
}

// wantDecisionsKept fails the test unless every transaction that the Coordinator
// calls committed has written its rows of history, and no aborted one has any. A
// bank is right, too, if both sides of a committed move were taken back.
func wantDecisionsKept(t *testing.T, w world, set *multi.Set) {
	t.Helper()
	rows := func(name model.TableName, f func(*model.Row)) {
		store := set.Route(name)
		table, err := store.Admin().Table(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		for row, err := range check.ScanAll(t.Context(), store, table) {
			if err != nil {
				t.Fatal(err)
			}
			f(row)
		}
	}
	written := map[string]int{}
	for _, ns := range w.namespaces {
		rows(model.TableName{Namespace: ns, Name: workload.HistoryTable}, func(r *model.Row) { written[r.Get(record.TxID).Str()]++ })
	}
	committed, aborted := 0, 0
	rows(record.CoordinatorName(""), func(r *model.Row) {
		id := r.Get(record.TxID).Str()
		switch record.State(r.Get(record.TxState).Int64()) {
		case record.Committed:
			if committed++; written[id] < 2 {
				t.Errorf("transaction %s is committed and has %d rows of history; want both sides of its move", id, written[id])
			}
		case record.Aborted:
			if aborted++; written[id] > 0 {
				t.Errorf("transaction %s is aborted and has %d rows of history", id, written[id])
			}
		}
	})
	t.Logf("the Coordinator's table has %d committed and %d aborted transactions", committed, aborted)
}

// settle settles all records in doubt; their writers are known to be dead.
func settle(t *testing.T, w world) txn.RecoverReport {
	t.Helper()
	cfg, err := config.FromMap(w.properties)
	if err != nil {
		t.Fatal(err)
	}
	set, err := config.Open(t.Context(), cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	m, err := txn.Open(t.Context(), set, txn.Defaults())
	if err != nil {
		t.Fatal(err)
	}
	report, err := m.RecoverAll(t.Context(), txn.RecoverOptions{IgnoreLease: true})
	if err = errors.Join(err, m.Close(context.Background())); err != nil {
		t.Fatal(err)
	}
	return report
}

func number(t *testing.T, s string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// worlds for moves of money: each engine alone, and two together.
var worlds = map[string]func(*testing.T) world{"SQLite": sqlite, "PostgreSQL": postgres, "MariaDB": mariadb, "PostgreSQL+MariaDB": both}

func TestBothMoveMoneyAtOnce(t *testing.T) {
	for _, level := range []string{"SNAPSHOT", "SERIALIZABLE"} {
		t.Run(level, func(t *testing.T) {
			each(t, worlds, func(t *testing.T, w world) {
				iso := map[string]string{"scalar.db.consensus_commit.isolation_level": level}
				_, bank := openBank(t, w, iso)
				peer := w.java(t, iso)
				const enough = 50
				threads := "4"
				if w.name == "SQLite" { // Java's writers stall behind busy_timeout when there are many
					threads = "1"
				}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				ours := make(chan workload.Result, 1)
				var committed atomic.Int64
				go func() {
					ours <- bank.Run(ctx, workload.RunOptions{Workers: 4, Observe: func(_ time.Duration, err error) {
						if err == nil {
							committed.Add(1)
						}
					}})
				}()
				// Rounds of Java's until both have done enough, whoever is the quicker one.
				var theirs [3]int64
				for end := time.Now().Add(10 * time.Minute); time.Now().Before(end) && (theirs[0] < enough || committed.Load() < enough); {
					for i, n := range peer.Do(t, "transfers", strings.Join(w.namespaces, ","), strconv.Itoa(accounts), threads, "60000", strconv.Itoa(enough)) {
						theirs[i] += number(t, n)
					}
				}
				cancel()
				us := <-ours
				t.Logf("Go: %d committed, %d gave up; Java: %d committed, %d conflicts, %d other", us.Committed, us.Conflicts, theirs[0], theirs[1], theirs[2])
				if us.Failed > 0 {
					t.Errorf("Go transfers failed: %v", us.Errors)
				}
				if theirs[0] < enough || us.Committed < enough {
					t.Errorf("too few to mean something: Java %d, Go %d", theirs[0], us.Committed)
				}
				wantRight(t, w, bank)
			})
		})
	}
}

func TestGoRecoversWhatADyingJavaLeaves(t *testing.T) {
	each(t, worlds, func(t *testing.T, w world) {
		_, bank := openBank(t, w, nil)
		last := w.namespaces[len(w.namespaces)-1]
		probe := javapeer.Start(t, w.stepping())
		probe.Do(t, "move", "bank", "0", last, "1", "1")
		steps := int(number(t, probe.Do(t, "writes")[0]))
		if steps < 3 {
			t.Fatalf("a move of Java's has %d writes; expected prepare, state and commit", steps)
		}
		probe.Kill()
		for n := 1; n <= steps; n++ {
			for _, after := range []bool{false, true} {
				peer := javapeer.Start(t, w.stepping())
				peer.Arm(t, n, after)
				if answer, err := peer.Try("move", "bank", fmt.Sprint(2*n), last, fmt.Sprint(2*n+1), "7"); !errors.Is(err, io.EOF) {
					t.Fatalf("Java was to die at write %d, but answered %v, %v", n, answer, err)
				}
				peer.WaitDead()
				report := settle(t, w)
				t.Logf("killed at write %d of %d, after = %v: %d rolled forward, %d rolled back", n, steps, after, report.RolledForward, report.RolledBack)
			}
		}
		wantRight(t, w, bank)
	})
}

// steps lists the fail points of the transaction manager from its source.
func steps(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../txn/*.go")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	call := regexp.MustCompile(`failpoint\.Here\("(txn\.[^"]+)"\)`)
	for _, f := range files {
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range call.FindAllStringSubmatch(string(src), -1) {
			out = append(out, m[1])
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// elsewhere are the steps that no process of this test comes by: after the answer
// to a deciding write was lost, which the tests of the transaction manager see to.
var elsewhere = regexp.MustCompile(`^txn\.decide\.force$`)

// onTheWay tells which steps are on the way of a process that recovers.
var onTheWay = map[kind]*regexp.Regexp{
	reading:    regexp.MustCompile(`^txn\.(resolve|expire|settle)\.`),
	recovering: regexp.MustCompile(`^txn\.recover\.`),
}

func TestJavaRecoversWhatADyingGoLeaves(t *testing.T) {
	var mu sync.Mutex
	reached := map[string]bool{} // guarded by mu
	t.Run("engines", func(t *testing.T) {
		each(t, worlds, func(t *testing.T, w world) {
			t.Parallel() // most of it is waiting until Java gives a silent writer up
			_, bank := openBank(t, w, nil)
			last := w.namespaces[len(w.namespaces)-1]
			account := int64(0)
			kill := func(e errand, step string) bool {
				if !runKilled(t, e, step) {
					return false
				}
				mu.Lock()
				defer mu.Unlock()
				reached[step] = true
				return true
			}
			for i, settings := range []map[string]string{
				nil,
				{"scalar.db.consensus_commit.one_phase_commit.enabled": "false"},
				{"scalar.db.consensus_commit.isolation_level": "SERIALIZABLE", "scalar.db.consensus_commit.one_phase_commit.enabled": "false"},
			} {
				for _, step := range steps(t) {
					e := errand{moving, w.with(settings), "bank", account % accounts, last, (account + 1) % accounts, 3, fmt.Sprintf("errand-%d-%s", i, step)}
					if kill(e, step) {
						account += 2
					}
				}
			}
			if len(w.namespaces) > 1 { // in one database nothing is prepared before the conflict shows
				for _, step := range []string{"txn.abort.before", "txn.abort.after", "txn.settle.before", "txn.settle.after"} {
					e := errand{conflicting, w.properties, "bank", account % accounts, last, (account + 1) % accounts, 3, "conflict-" + step}
					if !kill(e, step) {
						t.Errorf("a transaction that was overtaken does not come by %s", step)
					}
					account += 2
				}
			}
			if account > accounts-1 {
				t.Fatal("more kills than accounts; open more")
			}
			// Both leave a silent writer alone for 15 s.
			time.Sleep(16 * time.Second)
			for _, k := range []kind{recovering, reading} {
				for _, step := range steps(t) {
					if onTheWay[k].MatchString(step) {
						kill(errand{Kind: k, Properties: w.properties, FromBranch: "bank", ToBranch: last}, step)
					}
				}
			}
			peer := w.java(t, nil)
			for _, ns := range w.namespaces {
				for _, table := range []string{workload.AccountsTable, workload.HistoryTable} {
					javaReads(t, peer, ns, table)
				}
			}
			for i := range account {
				peer.Do(t, "move", "bank", fmt.Sprint(i), last, fmt.Sprint((i+1)%accounts), "1")
			}
			peer.Kill()
			wantRight(t, w, bank)
		})
	})
	for _, step := range steps(t) {
		if !reached[step] && !elsewhere.MatchString(step) {
			t.Errorf("no process was killed at %s: a step without a kill", step)
		}
	}
}

// javaReads reads a whole table, again while records are being recovered.
func javaReads(t *testing.T, peer *javapeer.Peer, namespace, table string) {
	t.Helper()
	var err error
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) { // the node recovers in the background
		if _, err = peer.Try("dump", namespace, table, filepath.Join(t.TempDir(), "dump")); err == nil {
			return
		}
	}
	t.Fatal(err)
}
