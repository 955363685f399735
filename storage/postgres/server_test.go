//go:build servers

package postgres

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stillpoint-db/stillpoint/internal/testenv"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

func TestAReplicaIsNoPlaceForAFence(t *testing.T) {
	primary := testenv.StartPostgres(t)
	d := openOn(t, configOf(primary, primary.Database(t)))
	table := accounts(t, d)
	standby := primary.Standby(t)
	replica := openOn(t, configOf(standby, databaseOf(d)))
	opts := fenceOf(table.Name())
	if err := d.ProveFence(t.Context(), opts); err != nil {
		t.Errorf("primary: %v", err)
	}
	if err := replica.ProveFence(t.Context(), opts); !errors.Is(err, model.ErrRefused) || !strings.Contains(err.Error(), "replica") {
		t.Errorf("prove: %v", err)
	}
	if err := fenceOnly(replica, opts); err == nil {
		t.Error("a fence was taken on the replica")
	}
	in := inspect(t, replica, both(table.Name()))
	if f := finding(in, "replica"); f == nil || f.Severity != storage.Blocker {
		t.Errorf("inspection: %+v", in.Findings)
	}
	for end := time.Now().Add(2 * time.Minute); len(primary.Exec(t, "postgres", "SELECT 1 FROM pg_stat_replication")) == 0 && time.Now().Before(end); {
		time.Sleep(5 * time.Millisecond) // it answers before it follows
	}
	at := inspect(t, d, both(table.Name()))
	if at.Identity != in.Identity {
		t.Errorf("primary %q and replica %q are the same database", at.Identity, in.Identity)
	}
	if f := finding(at, "replicas"); f == nil || f.Severity != storage.Info {
		t.Errorf("inspection of the primary: %+v", at.Findings)
	}
	err := replica.Mutate(t.Context(), storage.Batch{Mutations: []storage.Mutation{insert(table, "a", 1)}})
	if storage.OutcomeOf(err) != storage.NotApplied || !strings.Contains(model.Hint(err), "primary") {
		t.Errorf("a write: %v", err)
	}
}

// A commit that waits for a standby that does not come is decided already, and
// holds its locks until it is let go.
func TestACommitHangingInReplicationKeepsTheFenceOut(t *testing.T) {
	s := testenv.StartPostgres(t)
	d := openOn(t, configOf(s, s.Database(t)))
	table := accounts(t, d)
	s.Set(t, "synchronous_standby_names", "nobody")
	s.WaitForSetting(t, "synchronous_standby_names", "nobody")
	hangs := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		hangs <- d.Mutate(ctx, storage.Batch{Mutations: []storage.Mutation{insert(table, "a", 1)}})
	}()
	for len(s.Exec(t, databaseOf(d), "SET synchronous_commit = local", "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'")) == 0 {
		time.Sleep(5 * time.Millisecond)
	}
	if busy := busyFence(t, d, table.Name(), 0); len(busy.Holders) != 1 {
		t.Errorf("fence: %v", busy)
	}
	cancel()
	if err := <-hangs; storage.OutcomeOf(err) != storage.Applied && storage.OutcomeOf(err) != storage.Unknown {
		t.Errorf("the commit that was given up: %v", err)
	}
	if got := balances(t, d, table, "a"); got[0] != 1 {
		t.Errorf("it left %v", got)
	}
}

// A fence whose owner is frozen ends by itself.
func TestAFenceOfAFrozenOwnerEnds(t *testing.T) {
	defer func(d time.Duration) { fenceIdle = d }(fenceIdle)
	fenceIdle = shippedIdle
	d := openFresh(t)
	table := accounts(t, d)
	f, err := d.Fence(t.Context(), fenceOf(table.Name()))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Release(context.Background())
	apply(t, d, insert(table, "a", 1)) // waits until the server ends the fence
	if err := f.Alive(t.Context()); err == nil {
		t.Error("the fence that let a write pass says that it is alive")
	}
}

func TestTLS(t *testing.T) {
	s := testenv.StartPostgres(t)
	cert, key := certificate(t, s)
	s.Set(t, "ssl_cert_file", cert)
	s.Set(t, "ssl_key_file", key)
	s.Set(t, "ssl", "on")
	s.WaitForSetting(t, "ssl", "on")
	cfg := configOf(s, s.Database(t))
	plain := cfg.URL
	cfg.URL = plain + "?sslmode=verify-full&sslrootcert=" + cert
	d := openOn(t, cfg)
	table := accounts(t, d)
	apply(t, d, insert(table, "a", 1), insert(table, "b", 2))
	if got := s.Exec(t, databaseOf(d), "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE ssl AND application_name LIKE '%stillpoint/%'"); got[0][0] == "0" {
		t.Error("the session is not encrypted")
	}
	// Giving up in the middle works over TLS too.
	holder := s.Connect(t, databaseOf(d))
	if _, err := holder.Exec(t.Context(), "BEGIN; SELECT * FROM bank.accounts FOR UPDATE").ReadAll(); err != nil {
		t.Fatal(err)
	}
	err := d.Mutate(t.Context(), storage.Batch{Mutations: []storage.Mutation{updateIf(table, "a", 1, 5)}, Deadline: time.Now().Add(50 * time.Millisecond)})
	if storage.OutcomeOf(err) != storage.NotApplied {
		t.Errorf("deadline: %v", err)
	}
	time.Sleep(2 * checkAfter)
	if got := balances(t, d, table, "a", "b"); got[0] != 1 || got[1] != 2 {
		t.Errorf("read %v", got)
	}
	cfg.URL = plain + "?ssl=true" // verify-full against the system's authorities
	if _, err := open(t.Context(), cfg); !errors.Is(err, model.ErrUnavailable) || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a certificate of an unknown authority: %v", err)
	}
	cfg.URL = plain + "?sslmode=verify-full&sslrootcert=/no/such/file"
	if _, err := open(t.Context(), cfg); !errors.Is(err, model.ErrBadArgument) || !strings.Contains(err.Error(), "/no/such/file") || strings.Contains(err.Error(), s.Password) {
		t.Errorf("a root certificate that is not there: %v", err)
	}
}

// certificate makes a self-signed certificate for 127.0.0.1 and its key.
func certificate(t *testing.T, s *testenv.PostgresServer) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, data []byte) string {
		path := filepath.Join(s.Dir(), name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}), 0o600); err != nil {
			t.Fatal(err)
		}
		s.Give(t, path)
		return path
	}
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "EC PRIVATE KEY", keyDER)
}

// A vacuum holds a lock that a fence conflicts with, for hours on a large table.
func TestAnAutovacuumGivesWayToAFence(t *testing.T) {
	// The server's own patience with a vacuum in the way of somebody is without end.
	s := testenv.StartPostgres(t, "deadlock_timeout=1h", "autovacuum_naptime=1s", "autovacuum_vacuum_cost_delay=100ms", "autovacuum_vacuum_cost_limit=1", "autovacuum_vacuum_threshold=10")
	d := openOn(t, configOf(s, s.Database(t)))
	table := accounts(t, d)
	s.Exec(t, databaseOf(d), "INSERT INTO bank.accounts SELECT i::text, i, repeat('x', 900) FROM generate_series(1, 20000) i", "UPDATE bank.accounts SET balance = 0")
	for len(s.Exec(t, databaseOf(d), "SELECT 1 FROM pg_locks WHERE relation = 'bank.accounts'::regclass AND mode = 'ShareUpdateExclusiveLock' AND granted")) == 0 {
		time.Sleep(20 * time.Millisecond)
	}
	if err := fenceOnly(d, fenceOf(table.Name())); err != nil {
		t.Errorf("fence: %v", err)
	}
}

func TestSessionsEndedWhileIdleCostNothing(t *testing.T) {
	d := openFresh(t)
	table := accounts(t, d)
	for i := range 10 {
		apply(t, d, storage.Mutation{Table: table, Key: key("a"), Set: []storage.Assignment{balance(int32(i))}})
		sql(t, d, "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
	}
	if got := balances(t, d, table, "a"); got[0] != 9 {
		t.Errorf("read %v", got)
	}
}
