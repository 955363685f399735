//go:build servers

package testenv

import (
	"context"
	"testing"
)

func TestPostgresAnswersAndSurvivesACrash(t *testing.T) {
	s := StartPostgres(t, "synchronous_commit=off")
	db := s.Database(t)
	s.Exec(t, db, "CREATE TABLE t (a int)", "INSERT INTO t VALUES (7)", "CHECKPOINT")
	s.Crash(t)
	if c, err := s.connect(db); err == nil {
		t.Error("the server answers after its crash")
		_ = c.Close(context.Background())
	}
	s.Start(t)
	if got := s.Exec(t, db, "SHOW synchronous_commit", "SELECT a FROM t"); len(got) != 1 || got[0][0] != "7" {
		t.Errorf("after the crash: %v", got)
	}
}

func TestProxyCountsRoundTripsAndCutsAnswers(t *testing.T) {
	s := Postgres(t)
	p := NewProxy(t, s.Addr())
	through := &PostgresServer{Host: s.Host, Port: p.Port(), User: s.User, Password: s.Password}
	c := through.Connect(t, "postgres")
	before := p.RoundTrips()
	for range 3 {
		if _, err := c.Exec(t.Context(), "SELECT 1").ReadAll(); err != nil {
			t.Fatal(err)
		}
	}
	if n := p.RoundTrips() - before; n != 3 {
		t.Errorf("3 queries made %d round trips", n)
	}
	db := s.Database(t)
	s.Exec(t, db, "CREATE TABLE t (a int)")
	c = through.Connect(t, db)
	hit := p.Arm(CutAnswer, "INSERT")
	if _, err := c.Exec(t.Context(), "INSERT INTO t VALUES (1)").ReadAll(); err == nil {
		t.Error("the answer was not lost")
	}
	<-hit
	c = through.Connect(t, db)
	hit = p.Arm(CutRequest, "INSERT")
	if _, err := c.Exec(t.Context(), "INSERT INTO t VALUES (2)").ReadAll(); err == nil {
		t.Error("the request was not lost")
	}
	<-hit
	if got := s.Exec(t, db, "SELECT a FROM t"); len(got) != 1 || got[0][0] != "1" {
		t.Errorf("the database holds %v, not the row whose answer was lost", got)
	}
}
