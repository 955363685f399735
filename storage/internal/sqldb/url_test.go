package sqldb

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stillpoint-db/stillpoint/model"
)

func TestParseURLTakesEachKindApart(t *testing.T) {
	none := map[string]string{}
	for in, want := range map[string]URL{
		"jdbc:sqlite:/var/a b.db?busy_timeout=5000&journal_mode=WAL": {Engine: "sqlite", Path: "/var/a b.db", Params: map[string]string{"busy_timeout": "5000", "journal_mode": "WAL"}},
		"jdbc:sqlite:file:bank.db":                                   {Engine: "sqlite", Path: "bank.db", Params: none},
		"jdbc:sqlite:file:a%20b%25.db?cache=shared":                  {Engine: "sqlite", Path: "a b%.db", Params: map[string]string{"cache": "shared"}},
		"jdbc:sqlite:file:///var/bank.db":                            {Engine: "sqlite", Path: "/var/bank.db", Params: none},
		"jdbc:sqlite:file://localhost/var/bank.db":                   {Engine: "sqlite", Path: "/var/bank.db", Params: none},
		"jdbc:sqlite:a%20b.db":                                       {Engine: "sqlite", Path: "a%20b.db", Params: none},
		"jdbc:postgresql://db:5433/bank":                             {Engine: "postgresql", Hosts: []Host{{"db", 5433}}, Database: "bank", Params: none},
		"jdbc:postgresql:bank":                                       {Engine: "postgresql", Hosts: []Host{{"localhost", 0}}, Database: "bank", Params: none},
		"jdbc:postgresql://a,b:2/":                                   {Engine: "postgresql", Hosts: []Host{{"a", 0}, {"b", 2}}, Params: none},
		"jdbc:postgresql:///bank?options=-c%20x+y":                   {Engine: "postgresql", Hosts: []Host{{"localhost", 0}}, Database: "bank", Params: map[string]string{"options": "-c x y"}},
		"jdbc:mysql://[::1]:3307/":                                   {Engine: "mysql", Hosts: []Host{{"::1", 3307}}, Params: none},
		"jdbc:mariadb://h/d%C3%A9?password=a+b%26c&tls=&":            {Engine: "mariadb", Hosts: []Host{{"h", 0}}, Database: "dé", Params: map[string]string{"password": "a+b&c", "tls": ""}},
	} {
		got, err := ParseURL(in)
		if err != nil {
			t.Errorf("%s: %v", in, err)
		} else if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", in, diff)
		}
	}
}

func TestParseURLRefusesWithoutShowingSecrets(t *testing.T) {
	for _, in := range []string{
		"", "bank.db", "sqlite:bank.db", "jdbc:sqlite:", "jdbc:sqlite::memory:", "jdbc:oracle:thin:@hush", "jdbc:mysql:replication://a,b/",
		"jdbc:postgresql://u:hush@h/d", "jdbc:postgresql://h:0/d", "jdbc:postgresql://h:99999/d", "jdbc:postgresql://h/a/b", "jdbc:mysql://[::1/x",
		"jdbc:mysql://h/d?%zz=hush", "jdbc:mysql://h/d?password=hush%z", "jdbc:postgresql://a,,b/d",
		"jdbc:mysql://u:hush/x@h/d", "jdbc:postgresql://u:hush,x@h/d", "jdbc:sqlite:file://server/a.db", "jdbc:sqlite:file:%zz.db",
	} {
		_, err := ParseURL(in)
		if !errors.Is(err, model.ErrBadArgument) {
			t.Errorf("%q: %v", in, err)
		} else if strings.Contains(err.Error(), "hush") {
			t.Errorf("%q: the error shows a secret: %v", in, err)
		}
	}
}

func FuzzParseURL(f *testing.F) {
	f.Add("jdbc:sqlite:/a.db?x=y")
	f.Add("jdbc:postgresql://a:1,[::1]:2/db?ssl=true&x=%20")
	f.Add("jdbc:mysql://h/?a=b&&c")
	f.Fuzz(func(t *testing.T, s string) {
		u, err := ParseURL(s)
		switch {
		case err != nil:
			if !errors.Is(err, model.ErrBadArgument) {
				t.Fatalf("class of %v", err)
			}
		case u.Engine == "sqlite" && (u.Path == "" || len(u.Hosts) > 0), u.Engine != "sqlite" && (len(u.Hosts) == 0 || u.Hosts[0].Name == ""):
			t.Fatalf("%q gave %+v", s, u)
		}
	})
}
