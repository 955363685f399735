//go:build servers

package mysql

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stillpoint-db/stillpoint/internal/testenv"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

func TestAnAnswerThatIsLostLeavesTheOutcomeUnknown(t *testing.T) {
	for _, way := range []string{"compound", "text"} {
		t.Run(way, func(t *testing.T) {
			s, proxy := proxied(t)
			if way == "text" {
				asMySQL(s)
			}
			table := newTable(t, s, testenv.MariaDB(t).Namespace(t), "t")
			for i, c := range []struct {
				kind    testenv.FaultKind
				batch   int
				applied bool
			}{{testenv.CutAnswer, 1, true}, {testenv.CutAnswer, 2, true}, {testenv.CutRequest, 1, false}, {testenv.CutRequest, 2, false}} {
				ks := []string{fmt.Sprint(i, "warm"), fmt.Sprint(i, "warm2"), fmt.Sprint(i, "a"), fmt.Sprint(i, "b")}
				var ms [2][]storage.Mutation
				for j, k := range ks {
					ms[j/2] = append(ms[j/2], put(table, k, 1, notExists))
				}
				mustMutate(t, s, ms[0][:c.batch]...)
				hit := proxy.Arm(c.kind, "")
				err := s.Mutate(context.Background(), batch(ms[1][:c.batch]...))
				<-hit
				if storage.OutcomeOf(err) != storage.Unknown || !errors.Is(err, model.ErrUnknownOutcome) {
					t.Fatalf("fault %d: %v", c.kind, err)
				}
				if v := valueOf(t, s, table, ks[2]); v.IsSet() != c.applied {
					t.Fatalf("fault %d: the row is %v", c.kind, v)
				}
			}
		})
	}
}

func TestAClientThatStopsInTheMiddleOfARefusedBatchHoldsNoLock(t *testing.T) {
	for _, way := range []string{"compound", "text"} {
		t.Run(way, func(t *testing.T) {
			s, proxy := proxied(t)
			if way == "text" {
				asMySQL(s)
			}
			direct := open(t)
			table := newTable(t, direct, testenv.MariaDB(t).Namespace(t), "t")
			mustMutate(t, s, put(table, "warm", 1, notExists), put(table, "warm2", 1, notExists))
			mustMutate(t, direct, put(table, "a", 1, notExists), put(table, "b", 1, notExists))
			failing := batch(put(table, "a", 2, vIs(1)), put(table, "b", 1, vIs(7)))
			if err := s.Mutate(context.Background(), failing); storage.OutcomeOf(err) != storage.ConditionFailed {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			hit := proxy.Arm(testenv.HoldAnswer, "")
			done := make(chan error, 1)
			go func() { done <- s.Mutate(ctx, failing) }()
			<-hit
			// The client never hears the answer, and says nothing more. A lock that
			// stayed would fail the write after rowLockWait.
			if err := direct.Mutate(context.Background(), batch(put(table, "a", 5, vIs(1)), put(table, "b", 5, vIs(1)))); err != nil {
				t.Fatal(err)
			}
			cancel()
			if err := <-done; storage.OutcomeOf(err) != storage.Unknown {
				t.Fatal(err)
			}
		})
	}
}

func TestAWriteThatIsGivenUpIsEndedOnTheServer(t *testing.T) {
	bothWays(t, func(t *testing.T, s *Store, table *model.Table) {
		mustMutate(t, s, put(table, "a", 1, notExists), put(table, "b", 1, notExists))
		tx, err := testenv.MariaDB(t).DB().Begin()
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback()
		if _, err := tx.Exec("SELECT * FROM " + s.dialect.Table(table.Name()) + " WHERE k='b' FOR UPDATE"); err != nil {
			t.Fatal(err)
		}
		b := batch(put(table, "a", 2, vIs(1)), put(table, "b", 2, vIs(1)))
		for wait := 200 * time.Millisecond; ; wait *= 2 {
			b.Deadline = time.Now().Add(wait)
			err = s.Mutate(context.Background(), b)
			if storage.OutcomeOf(err) == storage.Unknown {
				break
			}
			if storage.OutcomeOf(err) != storage.NotApplied || wait > 5*time.Second { // a busy machine has not sent it in time
				t.Fatal(err)
			}
		}
		s.ends.Wait()
		// The row that the batch had locked before it waited is free again,
		// though the other is still locked.
		if err := s.Mutate(context.Background(), batch(put(table, "a", 3, vIs(1)))); err != nil {
			t.Fatal(err)
		}
		b.Deadline = time.Now().Add(-time.Second)
		if err := s.Mutate(context.Background(), b); storage.OutcomeOf(err) != storage.NotApplied {
			t.Fatalf("after its deadline: %v", err)
		}
	})
}

func TestALockThatIsNotGrantedIsAConflictAndNothingIsApplied(t *testing.T) {
	bothWays(t, func(t *testing.T, s *Store, table *model.Table) {
		s.opts.rowLockWait = 1
		s.pool.dropIdle()
		mustMutate(t, s, put(table, "a", 1, notExists), put(table, "b", 1, notExists))
		tx, err := testenv.MariaDB(t).DB().Begin()
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback()
		if _, err := tx.Exec("SELECT * FROM " + s.dialect.Table(table.Name()) + " WHERE k='b' FOR UPDATE"); err != nil {
			t.Fatal(err)
		}
		for _, ms := range [][]storage.Mutation{{put(table, "a", 2, vIs(1)), put(table, "b", 2, vIs(1))}, {put(table, "b", 2, vIs(1))}} {
			err = s.Mutate(context.Background(), batch(ms...))
			if storage.OutcomeOf(err) != storage.NotApplied || !errors.Is(err, model.ErrConflict) {
				t.Fatal(err)
			}
		}
		if v := valueOf(t, s, table, "a"); v != model.IntValue(1) {
			t.Fatalf("a is %v", v)
		}
		mustMutate(t, s, put(table, "a", 3, vIs(1)))
	})
}

func TestADeadlockIsAConflictAndNothingOfTheVictimIsApplied(t *testing.T) {
	bothWays(t, func(t *testing.T, s *Store, table *model.Table) {
		const workers, rounds = 8, 60
		mustMutate(t, s, put(table, "a", 0, notExists), put(table, "b", 0, notExists))
		var mu sync.Mutex
		applied, conflicts := int32(0), 0
		var wg sync.WaitGroup
		for w := range workers {
			wg.Go(func() {
				for range rounds {
					a, b := valueOf(t, s, table, "a"), valueOf(t, s, table, "b")
					ms := []storage.Mutation{
						put(table, "a", int32(a.Int64())+1, vIs(int32(a.Int64()))),
						put(table, "b", int32(b.Int64())+1, vIs(int32(b.Int64()))),
					}
					if w%2 == 1 {
						ms[0], ms[1] = ms[1], ms[0]
					}
					err := s.Mutate(context.Background(), batch(ms...))
					mu.Lock()
					switch storage.OutcomeOf(err) {
					case storage.Applied:
						applied++
					case storage.NotApplied:
						conflicts++
					case storage.ConditionFailed:
					default:
						t.Error(err)
					}
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		a, b := valueOf(t, s, table, "a"), valueOf(t, s, table, "b")
		if a != model.IntValue(applied) || b != model.IntValue(applied) || applied == 0 {
			t.Fatalf("%d batches were applied; a=%v b=%v", applied, a, b)
		}
		t.Logf("%d applied, %d deadlocks", applied, conflicts)
	})
}

func TestAStorageOutlivesARestartOfItsServer(t *testing.T) {
	server := testenv.NewMariaDB(t, testenv.MariaDBOptions{})
	s := openURL(t, server.URL())
	table := newTable(t, s, "ns", "t")
	mustMutate(t, s, put(table, "a", 1, notExists), put(table, "b", 1, notExists))
	var wg sync.WaitGroup // several idle sessions
	for range 8 {
		wg.Go(func() { valueOf(t, s, table, "a") })
	}
	wg.Wait()
	server.Kill(t)
	_, err := s.Get(context.Background(), []storage.Get{{Table: table, Key: key("a", 1)}})
	if !errors.Is(err, model.ErrUnavailable) || !strings.Contains(err.Error(), "cannot be reached") {
		t.Fatal(err)
	}
	if err := s.Mutate(context.Background(), batch(put(table, "a", 2, vIs(1)))); storage.OutcomeOf(err) != storage.NotApplied || !errors.Is(err, model.ErrUnavailable) {
		t.Fatal(err)
	}
	server.Start(t)
	mustMutate(t, s, put(table, "a", 2, vIs(1)), put(table, "b", 2, vIs(1)))
	server.Restart(t)
	// The sessions are stale, which shows before anything is sent.
	mustMutate(t, s, put(table, "a", 3, vIs(2)), put(table, "b", 3, vIs(2)))
	server.Restart(t)
	if v := valueOf(t, s, table, "a"); v != model.IntValue(3) {
		t.Fatal(v)
	}
}

func TestASessionKeepsOnlySoManyStatements(t *testing.T) {
	server := testenv.NewMariaDB(t, testenv.MariaDBOptions{Flags: []string{"--max-prepared-stmt-count=40"}})
	s := openURL(t, server.URL(), property(propMaxTotal, "1"))
	table := newTable(t, s, "ns", "t")
	for n := 1; n <= 60; n++ { // 60 shapes, more than the server keeps
		ms := make([]storage.Mutation, n)
		for i := range ms {
			ms[i] = put(table, fmt.Sprint(n, "-", i), 1, notExists)
		}
		mustMutate(t, s, ms...)
	}
	ses, err := s.lend(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer s.giveBack(context.Background(), ses)
	if len(ses.stmts) > 40 || len(ses.stmts) != ses.lru.Len() {
		t.Fatalf("%d statements, %d in the list", len(ses.stmts), ses.lru.Len())
	}
}

func TestErrorsOfOpeningAreClearAndHoldNoSecret(t *testing.T) {
	server := testenv.MariaDB(t)
	user, password := server.User(t)
	port, err := testenv.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	const secret = "sesame-open-81"
	for _, c := range []struct {
		url, user, password string
		class               error
		want                string
	}{
		{server.URL(), user, secret, model.ErrUnavailable, "refuses user"},
		{server.URL() + "?user=" + user + "&password=" + secret, "", "", model.ErrUnavailable, "refuses user"},
		{server.URL(), user, "${env:" + secret + "}", model.ErrUnavailable, "still holds a placeholder"},
		{server.URL() + "nowhere", user, password, model.ErrUnavailable, "nowhere"},
		{fmt.Sprintf("jdbc:mysql://127.0.0.1:%d/", port), user, secret, model.ErrUnavailable, "cannot be reached"},
		{"jdbc:mysql://no-such-host..invalid/", user, secret, model.ErrUnavailable, "cannot be reached"},
		{server.URL() + "?sslMode=verify-full", user, secret, model.ErrUnavailable, "TLS"},
		{server.URL() + "?sslMode=bogus&password=" + secret, user, secret, model.ErrBadArgument, "sslMode"},
		{server.URL() + "?keyStore=/x&keyStorePassword=" + secret, user, secret, model.ErrBadArgument, "keystore"},
		{"jdbc:mariadb://a,b/?password=" + secret, user, secret, model.ErrBadArgument, "2 hosts"},
		{"jdbc:postgresql://a/b?password=" + secret, user, secret, model.ErrBadArgument, "postgresql"},
	} {
		_, err := storage.Open(context.Background(), storage.Config{Name: "bank", Driver: DriverName, URL: c.url, User: c.user, Password: storage.Secret(c.password)})
		if !errors.Is(err, c.class) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.url, err)
			continue
		}
		if text := fmt.Sprintf("%v %+v %#v", err, err, err); strings.Contains(text, secret) || strings.Contains(text, password) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", c.url, err)
		}
	}
}

// TestABatchThatIsLostBeforeItIsSentIsRepeatedOnlySoon: a process that was frozen
// meanwhile must not send it into a database that has been restored.
func TestABatchThatIsLostBeforeItIsSentIsRepeatedOnlySoon(t *testing.T) {
	defer func(d time.Duration) { repeatWithin = d }(repeatWithin)
	for _, within := range []time.Duration{0, time.Hour} {
		repeatWithin = within
		s, proxy := proxied(t)
		table := newTable(t, s, testenv.MariaDB(t).Namespace(t), "t")
		hit := proxy.Arm(testenv.CutAnswer, "INSERT INTO") // of the preparation
		err := s.Mutate(context.Background(), batch(put(table, "a", 1, notExists)))
		<-hit
		want := storage.Applied
		if within == 0 {
			want = storage.NotApplied
		}
		if storage.OutcomeOf(err) != want {
			t.Errorf("within %v: %v", within, err)
		}
		if v := valueOf(t, s, table, "a"); v.IsSet() != (within > 0) {
			t.Errorf("within %v: left %v", within, v)
		}
	}
}
