package mysql

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

func parse(t *testing.T, url string) *target {
	t.Helper()
	got, err := parseTarget(storage.Config{Name: "bank", URL: url, User: "u", Password: "p", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatalf("%s: %v", url, err)
	}
	return got
}

func TestURLParametersBecomeSettingsOfTheDriver(t *testing.T) {
	got := parse(t, "jdbc:mysql://db.example.com/bank?connectTimeout=1500&socketTimeout=2500&useUnicode=true&characterEncoding=UTF-8&serverTimezone=Asia/Tokyo&user=other&password=x")
	c := got.config
	if c.Addr != "db.example.com:3306" || c.DBName != "bank" || c.Timeout != 1500*time.Millisecond || c.ReadTimeout != 2500*time.Millisecond || c.WriteTimeout != c.ReadTimeout {
		t.Errorf("%+v", c)
	}
	if c.User != "u" || c.Passwd != "p" {
		t.Error("the URL's user went before that of the properties")
	}
	if !c.ClientFoundRows || !c.MultiStatements || c.ParseTime || c.TLS != nil || c.InterpolateParams || c.AllowAllFiles || c.AllowCleartextPasswords {
		t.Errorf("%+v", c)
	}
	if len(got.warnings) != 0 {
		t.Errorf("warnings %q", got.warnings)
	}
	if parse(t, "jdbc:mariadb://[::1]:3307/").config.Addr != "[::1]:3307" {
		t.Error("an IPv6 address is not understood")
	}
}

func TestParametersThatCannotBeHonouredAreWarnings(t *testing.T) {
	got := parse(t, "jdbc:mysql://h/?sessionVariables=sql_mode=''&useAffectedRows=true&characterEncoding=latin1&nonsense=1")
	for _, name := range []string{"sessionVariables", "useAffectedRows", "characterEncoding", "nonsense"} {
		found := false
		for _, w := range got.warnings {
			found = found || strings.Contains(w, name)
		}
		if !found {
			t.Errorf("no warning about %s in %q", name, got.warnings)
		}
	}
}

func TestHowStrictTLSIs(t *testing.T) {
	for params, want := range map[string]struct {
		on, skip, fallback, custom bool
	}{
		"":                                        {},
		"sslMode=disable":                         {},
		"useSSL=false":                            {},
		"sslMode=PREFERRED":                       {on: true, skip: true, fallback: true},
		"sslMode=REQUIRED":                        {on: true, skip: true},
		"sslMode=trust":                           {on: true, skip: true},
		"sslMode=verify-ca":                       {on: true, skip: true, custom: true},
		"sslMode=VERIFY_IDENTITY":                 {on: true},
		"sslMode=verify-full":                     {on: true},
		"useSSL=true":                             {on: true},
		"useSSL=true&trustServerCertificate=1":    {on: true, skip: true},
		"useSSL=1&verifyServerCertificate=0":      {on: true, skip: true},
		"requireSSL=true":                         {on: true},
		"sslMode=verify-full&tlsVersions=TLSv1.3": {on: true},
		"sslMode=trust&fallbackToSystemTrustStore=false":  {on: true, skip: true},
		"useSSL=true&disableSslHostnameVerification=true": {on: true, skip: true, custom: true},
	} {
		c := parse(t, "jdbc:mariadb://db.example.com/?"+params).config
		if (c.TLS != nil) != want.on || c.AllowFallbackToPlaintext != want.fallback {
			t.Errorf("%q: %+v", params, c)
			continue
		}
		if c.TLS == nil {
			continue
		}
		if c.TLS.InsecureSkipVerify != want.skip || (c.TLS.VerifyConnection != nil) != want.custom || c.TLS.ServerName != "db.example.com" || c.TLS.MinVersion < tls.VersionTLS12 {
			t.Errorf("%q: %+v", params, c.TLS)
		}
	}
}

func TestTLSParametersThatCannotBeHonouredAreErrors(t *testing.T) {
	empty := t.TempDir() + "/empty.pem"
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, params := range []string{
		"sslMode=sometimes", "useSSL=perhaps", "keyStore=/x.jks", "trustCertificateKeyStoreUrl=file:/x", "tlsCiphersuites=X", "serverRsaPublicKeyFile=/x",
		"sslMode=verify-ca&serverSslCert=/does/not/exist.pem", "sslMode=verify-ca&serverSslCert=" + empty, "serverSslCert=classpath:ca.pem", "enabledTLSProtocols=TLSv1",
		"sslMode=verify-full&fallbackToSystemTrustStore=false", "fallbackToSystemTrustStore=perhaps",
		"allowPublicKeyRetrieval=false", "sslMode=preferred&allowPublicKeyRetrieval=false", "allowPublicKeyRetrieval=perhaps",
	} {
		_, err := parseTarget(storage.Config{Name: "bank", URL: "jdbc:mysql://h/?" + params})
		if !errors.Is(err, model.ErrBadArgument) {
			t.Errorf("%s: %v", params, err)
		}
	}
}

func TestPropertiesOutOfRangeAreErrors(t *testing.T) {
	for key, value := range map[string]string{
		propMaxTotal: "0", propMaxIdle: "-1", propKeySize: "63", propIsolation: "CHAOS", propCollation: "ignore",
	} {
		_, err := Open(context.Background(), storage.Config{Name: "bank", URL: "jdbc:mysql://h/", Properties: map[string]string{key: value}})
		if !errors.Is(err, model.ErrBadArgument) || !strings.Contains(err.Error(), key) {
			t.Errorf("%s=%s: %v", key, value, err)
		}
	}
	o, warnings, err := parseOptions(storage.Config{Properties: map[string]string{propMaxTotal: "7", propIsolation: "read_uncommitted", propKeySize: "200"}}, true)
	if err != nil || o.maxTotal != 7 || o.maxIdle != 7 || o.keySize != defaultKeySize || o.isolation != readCommitted || len(warnings) != 2 {
		t.Errorf("%+v %q %v", o, warnings, err)
	}
}

func FuzzValuesOfTimes(f *testing.F) {
	for _, s := range []string{"2020-01-02", "12:34:56.123456", "2020-01-02 12:34:56.123", "0000-00-00", "-12:00:00", "838:59:59", "2020-13-40 99:99:99.9999999999", "1000-01-01 00:00:00", "9999-12-31 23:59:59.999"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for typ := model.Date; typ <= model.TimestampTZ; typ++ {
			v, err := value(typ, b)
			if err != nil {
				continue
			}
			if err := v.Check(); err != nil {
				t.Fatalf("%s of %q is %v: %v", typ, b, v, err)
			}
			again, err := value(typ, appendTime(nil, v))
			if err != nil || again != v {
				t.Fatalf("%s of %q is %v, then %v, %v", typ, b, v, again, err)
			}
		}
	})
}

func FuzzPlaceholdersAreFilledOutsideOfQuotes(f *testing.F) {
	f.Add("a", "b")
	f.Add("?'`", `\'?`)
	f.Fuzz(func(t *testing.T, column, text string) {
		if strings.ContainsAny(column, "`'") {
			return // identifiers are quoted by the dialect, which doubles quotes
		}
		sql := "UPDATE `" + column + "` SET c=? WHERE d=? AND e LIKE ? ESCAPE '|'"
		got := string(appendFilled(nil, sql, []model.Value{model.TextValue(text), model.IntValue(1), model.Null(model.Text)}))
		want := "UPDATE `" + column + "` SET c=" + string(appendLiteral(nil, model.TextValue(text))) + " WHERE d=1 AND e LIKE NULL ESCAPE '|'"
		if got != want {
			t.Fatalf("%s\n%s", got, want)
		}
		lit := string(appendLiteral(nil, model.TextValue(text)))
		if strings.ContainsAny(lit, "\\\x00\n\r\x1a") {
			t.Fatalf("%q has a character that some mode reads otherwise", lit)
		}
		if inner, ok := strings.CutPrefix(lit, "'"); ok {
			inner = strings.TrimSuffix(inner, "'")
			if strings.ReplaceAll(inner, "''", "") != strings.ReplaceAll(strings.ReplaceAll(inner, "''", ""), "'", "") {
				t.Fatalf("%q has a quote that ends it", lit)
			}
		}
	})
}
