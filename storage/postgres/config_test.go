package postgres

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

func parse(t testing.TB, url string, properties map[string]string) (*settings, string, error) {
	t.Helper()
	var log bytes.Buffer
	s, err := parseConfig(storage.Config{Name: "pg", URL: url, User: "u", Password: "pass-word", Properties: properties, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if strings.Contains(log.String(), "pass-word") || err != nil && strings.Contains(err.Error(), "pass-word") {
		t.Errorf("%s: the password shows: %v %s", url, err, &log)
	}
	return s, log.String(), err
}

func TestURLParametersBecomeSettings(t *testing.T) {
	s, log, err := parse(t, "jdbc:postgresql://db1.example:6000,[::1]/my%20bank?sslmode=disable&connectTimeout=3&ApplicationName=shop&user=other&reWriteBatchedInserts=true&sslResponseTimeout=5000",
		map[string]string{propPoolSize: "7", propIsolation: "REPEATABLE_READ", propMetadata: "meta"})
	if err != nil {
		t.Fatal(err)
	}
	if s.pg.Host != "db1.example" || s.pg.Port != 6000 || s.pg.Database != "my bank" || s.pg.User != "u" || s.pg.Password != "pass-word" || s.pg.TLSConfig != nil {
		t.Errorf("%+v", s.pg)
	}
	if len(s.pg.Fallbacks) != 1 || s.pg.Fallbacks[0].Host != "::1" || s.pg.Fallbacks[0].Port != 5432 {
		t.Errorf("second host: %+v", s.pg.Fallbacks)
	}
	if s.pg.ConnectTimeout != 3*time.Second || s.size != 7 || s.metadata != "meta" || s.endpoint != "PostgreSQL db1.example:6000,[::1]:5432/my bank" {
		t.Errorf("%+v", s)
	}
	if app := s.pg.RuntimeParams["application_name"]; app != "shop "+ownMark() {
		t.Errorf("application_name %q", app)
	}
	if log != "" {
		t.Errorf("a parameter that only tunes pgjdbc is worth no word: %s", log)
	}
}

func TestAParameterThatCannotBeHonouredIsAWarning(t *testing.T) {
	_, log, err := parse(t, "jdbc:postgresql://h/d?loadBalanceHosts=true&socketTimeout=5", nil)
	if err != nil || strings.Count(log, "level=WARN") != 2 || !strings.Contains(log, "loadBalanceHosts") {
		t.Errorf("%v: %s", err, log)
	}
}

func TestBadConfigurationsAreRefused(t *testing.T) {
	for url, want := range map[string]string{
		"jdbc:postgresql://h/d?sslfactory=com.example.Trust":    "sslfactory",
		"jdbc:postgresql://h/d?sslhostnameverifier=x":           "sslhostnameverifier",
		"jdbc:postgresql://h/d?sslUnheardOf=1":                  "sslUnheardOf",
		"jdbc:postgresql://h/d?sslmode=maybe":                   "sslmode",
		"jdbc:postgresql://h/d?sslkey=client.pk8":               "PEM",
		"jdbc:postgresql://h/d?sslrootcert=/no/such/file":       "/no/such/file",
		"jdbc:postgresql://h/d?gssEncMode=require":              "gssEncMode",
		"jdbc:postgresql://h/d?connectTimeout=soon":             "connectTimeout",
		"jdbc:postgresql://h/d?targetServerType=fastest":        "targetServerType",
		"jdbc:postgresql://h/d?password=pass-word&sslmode=nope": "sslmode",
		"jdbc:mysql://h/d":                                      "mysql",
		"postgres://u:pass-word@h/d":                            "JDBC",
		"jdbc:postgresql://u@h/d":                               "malformed",
		"jdbc:postgresql://h:99999999/d":                        "port",
	} {
		if _, _, err := parse(t, url, nil); !errors.Is(err, model.ErrBadArgument) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", url, err)
		}
	}
	for _, p := range []map[string]string{{propPoolSize: "many"}, {propPoolSize: "0"}, {propIsolation: "CHAOS"}} {
		if _, _, err := parse(t, "jdbc:postgresql://h/d", p); !errors.Is(err, model.ErrBadArgument) {
			t.Errorf("%v: %v", p, err)
		}
	}
}

func TestSecurityOfConnections(t *testing.T) {
	for params, verified := range map[string]bool{"sslmode=require": false, "ssl=true": true, "ssl": true, "sslmode=verify-full": true} {
		s, _, err := parse(t, "jdbc:postgresql://h/d?"+params, nil)
		if err != nil {
			t.Errorf("%s: %v", params, err)
			continue
		}
		if s.pg.TLSConfig == nil || len(s.pg.Fallbacks) > 0 || (s.pg.TLSConfig.ServerName == "h" && !s.pg.TLSConfig.InsecureSkipVerify) != verified {
			t.Errorf("%s: TLS %+v, fallbacks %d", params, s.pg.TLSConfig, len(s.pg.Fallbacks))
		}
	}
	s, _, err := parse(t, "jdbc:postgresql://h/d?ssl=false", nil)
	if err != nil || len(s.pg.Fallbacks) != 1 {
		t.Errorf("ssl=false: %v, %+v", err, s)
	}
}

func TestTheMarkOfOurSessionsIsNeverCutOff(t *testing.T) {
	name := applicationName(strings.Repeat("x", 100), ownMark())
	if len(name) > 63 || !strings.HasSuffix(name, " "+ownMark()) {
		t.Errorf("%q", name)
	}
}

func TestAServerWithoutTheLockIsRefused(t *testing.T) {
	d := &db{name: "pg"}
	for _, code := range []string{codeNotSupported, codeSyntax} {
		if err := d.fenceError(t.Context(), nil, &pgconn.PgError{Code: code}); !errors.Is(err, model.ErrRefused) {
			t.Errorf("%s: %v", code, err)
		}
	}
}

// A connection pooler that loses its server after the request was passed on answers
// in the server's place; the batch may be applied.
func TestAPoolerThatLostItsServerLeavesTheOutcomeUnknown(t *testing.T) {
	d := &db{name: "pg"}
	for code, want := range map[string]storage.Outcome{
		"08P01": storage.Unknown, "08006": storage.Unknown, "08007": storage.Unknown, "40003": storage.Unknown,
		"57P01": storage.NotApplied, "53100": storage.NotApplied, "40001": storage.NotApplied, "22003": storage.Refused,
	} {
		e := &flightError{server: &pgconn.PgError{Code: code}, sent: true}
		e.err = e.server
		if err := d.mutateError(&session{}, &storage.Batch{}, e); storage.OutcomeOf(err) != want {
			t.Errorf("%s: %v", code, err)
		}
	}
}
