package config_test

import (
	"errors"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stillpoint-db/stillpoint/config"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/multi"
)

const one = "scalar.db.storage=jdbc\nscalar.db.contact_points=jdbc:sqlite:bank.db\n"

func mustParse(t *testing.T, text string) *config.Config {
	t.Helper()
	cfg, err := config.Parse("prod.properties", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func TestOneStorageIsNamedDB(t *testing.T) {
	cfg := mustParse(t, one+"scalar.db.username=app\nscalar.db.password=s3cret\n")
	want := []storage.Config{{Name: "db", Driver: "sqlite", URL: "jdbc:sqlite:bank.db", User: "app", Password: "s3cret", Properties: map[string]string{}}}
	if diff := cmp.Diff(want, cfg.Storages); diff != "" {
		t.Error(diff)
	}
	if len(cfg.Notices) > 0 {
		t.Error(cfg.Notices)
	}
}

func TestDefaultsHoldWhereNothingIsGiven(t *testing.T) {
	got, want := mustParse(t, one), config.Default()
	want.Storages = got.Storages
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAnExplicitValueWins(t *testing.T) {
	cfg := mustParse(t, one+`
scalar.db.consensus_commit.isolation_level=serializable
scalar.db.consensus_commit.one_phase_commit.enabled=FALSE
scalar.db.consensus_commit.async_commit.enabled=false
scalar.db.consensus_commit.parallel_executor_count=3
scalar.db.consensus_commit.coordinator.namespace=coord
scalar.db.metadata.cache_expiration_time_secs=-5
scalar.db.cross_partition_scan.enabled=false
stillpoint.async_commit.backlog=7
`)
	want := config.Default()
	want.Storages = cfg.Storages
	tr := &want.Transaction
	tr.Isolation, tr.CoordinatorNamespace, tr.AsyncBacklog = config.Serializable, "coord", 7
	tr.OnePhaseCommit, tr.AsyncCommit, tr.Parallelism = false, false, 3
	want.MetadataExpiration = -time.Second
	want.CrossPartitionScan = config.CrossPartitionScan{}
	if diff := cmp.Diff(want, cfg); diff != "" {
		t.Error(diff)
	}
}

func TestOldNameOfTheIsolationLevelIsRead(t *testing.T) {
	if got := mustParse(t, one+"scalar.db.isolation_level=SERIALIZABLE").Transaction.Isolation; got != config.Serializable {
		t.Error(got)
	}
	both := one + "scalar.db.isolation_level=SERIALIZABLE\nscalar.db.consensus_commit.isolation_level=READ_COMMITTED"
	if got := mustParse(t, both).Transaction.Isolation; got != config.ReadCommitted {
		t.Error(got)
	}
}

const several = `
scalar.db.storage=multi-storage
scalar.db.multi_storage.storages=pg, my
scalar.db.username=everybody
scalar.db.jdbc.table_metadata.schema=meta
scalar.db.multi_storage.storages.pg.storage=jdbc
scalar.db.multi_storage.storages.pg.contact_points=jdbc:postgresql://127.0.0.1:5432/bank
scalar.db.multi_storage.storages.pg.jdbc.connection_pool.max_total=12
scalar.db.multi_storage.storages.my.storage=jdbc
scalar.db.multi_storage.storages.my.contact_points=jdbc:mariadb://127.0.0.1:3306/
scalar.db.multi_storage.storages.my.username=scalar
scalar.db.multi_storage.storages.my.password=pw
scalar.db.multi_storage.storages.my.jdbc.table_metadata.schema=other
stillpoint.storages.my.collation=accept
scalar.db.multi_storage.namespace_mapping=bank:pg, vault:my,coordinator:pg
scalar.db.multi_storage.table_mapping=bank.log:my
scalar.db.multi_storage.default_storage=pg
`

func TestSeveralStoragesInheritWhatIsGlobal(t *testing.T) {
	cfg := mustParse(t, several)
	want := []storage.Config{
		{Name: "pg", Driver: "postgres", URL: "jdbc:postgresql://127.0.0.1:5432/bank", User: "everybody",
			Properties: map[string]string{"scalar.db.jdbc.table_metadata.schema": "meta", "scalar.db.jdbc.connection_pool.max_total": "12"}},
		{Name: "my", Driver: "mysql", URL: "jdbc:mariadb://127.0.0.1:3306/", User: "scalar", Password: "pw",
			Properties: map[string]string{"scalar.db.jdbc.table_metadata.schema": "other", "stillpoint.collation": "accept"}},
	}
	if diff := cmp.Diff(want, cfg.Storages); diff != "" {
		t.Error(diff)
	}
	routing := multi.Routing{Default: "pg", Namespaces: map[string]string{"bank": "pg", "vault": "my", "coordinator": "pg"},
		Tables: map[model.TableName]string{{Namespace: "bank", Name: "log"}: "my"}}
	if diff := cmp.Diff(routing, cfg.Routing); diff != "" {
		t.Error(diff)
	}
	if len(cfg.Notices) > 0 {
		t.Error(cfg.Notices)
	}
}

func TestWrongFilesAreRefusedWithTheLineAndTheWayOut(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", "scalar.db.storage is not set. Set it to jdbc"},
		{one + "scalar.db.consensus_commit.isolation_levl=SNAPSHOT", "prod.properties:3: scalar.db.consensus_commit.isolation_levl is not a known property; did you mean scalar.db.consensus_commit.isolation_level?"},
		{one + "scalar.db.consensus-commit.isolation-level=SNAPSHOT", "did you mean scalar.db.consensus_commit.isolation_level?"},
		{one + "scalar.db.consensus_commit.one_phase_commit=true", "did you mean scalar.db.consensus_commit.one_phase_commit.enabled?"},
		{one + "scalar.db.consensus_commit.parallel_comit.enabled=true", "did you mean scalar.db.consensus_commit.parallel_commit.enabled?"},
		{one + "scalar.db.user_name=x", "did you mean scalar.db.username?"},
		{one + "scalar.db.jdbc.connection_pool.max_totl=3", "did you mean scalar.db.jdbc.connection_pool.max_total?"},
		{one + "scalar.db.isolation_levl=SERIALIZABLE", "did you mean scalar.db.isolation_level?"},
		{one + "scalar.db.metadata.cache_expiration_time=60", "did you mean scalar.db.metadata.cache_expiration_time_secs?"},
		{one + "stillpoint.colation=accept", "did you mean stillpoint.collation?"},
		{one + "stillpoint.speed=11", "prod.properties:3: stillpoint.speed is not a known property; those that begin with stillpoint. are stillpoint.async_commit.backlog"},
		{one + "stillpoint.collation=maybe", `prod.properties:3: stillpoint.collation: "maybe" is not accept, the only value there is`},
		{one + "scalar.db.consensus_commit.isolation_level=CHAOS", `"CHAOS" is not an isolation level`},
		{one + "scalar.db.consensus_commit.async_commit.enabled=yes", `"yes" is neither true nor false`},
		{one + "scalar.db.scan_fetch_size=0", "0 is less than 1"},
		{one + "scalar.db.contact_port=-1", "-1 is less than 0"},
		{one + "scalar.db.scan_fetch_size=99999999999", "out of range"},
		{one + "scalar.db.transaction_manager=jdbc", "consensus-commit only"},
		{one + "scalar.db.cross_partition_scan.enabled=false\nscalar.db.cross_partition_scan.ordering.enabled=true", "it needs scalar.db.cross_partition_scan.enabled=true"},
		{one + "a=\\u12", `prod.properties:3: value of a: \u needs four hexadecimal digits`},
		{"scalar.db.storage=jdbc", `storage "db" has no JDBC URL: set scalar.db.contact_points`},
		{"scalar.db.storage=cassandra", "prod.properties:1: scalar.db.storage: cassandra is not supported"},
		{"scalar.db.storage=jdbcc", `"jdbcc" is not a kind of storage`},
		{"scalar.db.storage=jdbc\nscalar.db.contact_points=jdbc:oracle:thin:scott/tiger@h", "databases of jdbc:oracle: are not supported"},
		{"scalar.db.storage=jdbc\nscalar.db.contact_points=postgres://u:pw@h/db", "begins with postgres: is not a JDBC URL"},
		{"scalar.db.storage=jdbc\nscalar.db.contact_points=jdbc:postgresql://a,b/db", `holds 2 values and one is used; a comma that belongs to the URL is written \\,`},
		{"scalar.db.storage=multi-storage", "storages names none"},
		{strings.Replace(several, "storages.my.storage=jdbc", "storages.my.storage=", 1), `storage "my" has no kind: set scalar.db.multi_storage.storages.my.storage=jdbc`},
		{strings.Replace(several, "vault:my", "vault:mi", 1), `there is no storage "mi"`},
		{strings.Replace(several, "vault:my", "vault", 1), `"vault" is not of the form namespace:storage`},
		{strings.Replace(several, "vault:my", "bank:my", 1), "namespace bank is mapped twice"},
		{strings.Replace(several, "bank.log:my", "log:my", 1), `"log" is not a table name`},
		{strings.Replace(several, "default_storage=pg", "default_storage=", 1), "default_storage is not set"},
		{strings.Replace(several, "storages=pg, my", "storages=pg, my, pg", 1), `names "pg" twice`},
		{several + "scalar.db.multi_storage.storages.mi.storage=jdbc", `there is no storage "mi"`},
		{several + "scalar.db.multi_storage.storages.my.user_name=x", "did you mean scalar.db.multi_storage.storages.my.username?"},
		{several + "stillpoint.storages.my.colation=accept", "did you mean stillpoint.storages.my.collation?"},
		{several + "scalar.db.multi_storage.storages.pg.jdbc.connection_pool.max_idle=-1", "-1 is less than 0"},
	} {
		_, err := config.Parse("prod.properties", []byte(c.text))
		switch {
		case err == nil:
			t.Errorf("%q: accepted; want %q", c.text, c.want)
		case !strings.Contains(err.Error(), c.want):
			t.Errorf("%q:\n got %v\nwant %s", c.text, err, c.want)
		case !errors.Is(err, model.ErrBadArgument):
			t.Errorf("%q: class of %v", c.text, err)
		}
	}
}

func TestAllMistakesAreReportedAtOnce(t *testing.T) {
	_, err := config.Parse("p", []byte(one+"scalar.db.usernam=x\nstillpoint.x=1\nscalar.db.scan_fetch_size=a"))
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("%v", err)
	}
	twice := strings.NewReplacer("storages=pg, my", "storages=pg, my, pg", "default_storage=pg", "default_storage=q").Replace(several)
	if _, err := config.Parse("p", []byte(twice)); err == nil || !strings.Contains(err.Error(), "twice") || !strings.Contains(err.Error(), `no storage "q"`) {
		t.Errorf("%v", err)
	}
}

func TestErrorsShowNoSecret(t *testing.T) {
	for _, text := range []string{
		"scalar.db.storage=jdbc\nscalar.db.contact_points=jdbc:oracle:thin:scott/hunter2@h\nscalar.db.password=hunter2",
		"scalar.db.storage=jdbc\nscalar.db.contact_points=postgres://scott:hunter2@h/x\nscalar.db.password=hunter2",
		"scalar.db.storage=jdbc\nscalar.db.contact_points=hunter2\nscalar.db.passwort=hunter2",
	} {
		if _, err := config.Parse("p", []byte(text)); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v", err)
		}
	}
}

func TestPropertiesOfOthersAreIgnoredAndSaidOnce(t *testing.T) {
	cfg := mustParse(t, one+`
scalar.db.server.port=60051
scalar.db.cluster.node.standalone_mode.enabled=true
scalar.db.sql.connection_mode=direct
scalar.db.cosmos.consistency_level=STRONG
scalar.db.consensus_commit.coordinator.group_commit.enabled=true
scalar.db.consensus_commit.serializable_strategy=EXTRA_READ
scalar.db.consensus_commit.parallel_commit.enabled=true
scalar.db.brand_new_thing=1
logging.level=INFO
`)
	var got []string
	for _, n := range cfg.Notices {
		got = append(got, n.Level.String()+" "+n.Text)
	}
	want := []string{
		"INFO prod.properties:8: scalar.db.consensus_commit.coordinator.group_commit.enabled is ignored: commits are not grouped here; the groups of other managers are understood",
		"INFO prod.properties:9: scalar.db.consensus_commit.serializable_strategy is ignored: ScalarDB itself ignores it since 3.16",
		"WARN prod.properties:11: scalar.db.brand_new_thing is not a known property and is ignored",
		"INFO prod.properties: properties of other ScalarDB products are ignored: scalar.db.server.port, scalar.db.cluster.node.standalone_mode.enabled, scalar.db.sql.connection_mode, scalar.db.cosmos.consistency_level",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestWhatHasNoEffectIsAWarning(t *testing.T) {
	cfg := mustParse(t, several+"scalar.db.multi_storage.storages.pg.scan_fetch_size=3\nscalar.db.username=again\n")
	if len(cfg.Notices) != 2 || cfg.Notices[0].Level != slog.LevelWarn || !strings.Contains(cfg.Notices[1].Text, "has no effect") {
		t.Error(cfg.Notices)
	}
	if cfg.Storages[0].User != "again" {
		t.Errorf("the last of two values does not count: %q", cfg.Storages[0].User)
	}
}

func TestAnUnsetVariableIsAWarningThatNamesIt(t *testing.T) {
	cfg := mustParse(t, "scalar.db.storage=memory\nscalar.db.password=${env:STILLPOINT_T_UNSET}\nscalar.db.username=${env:STILLPOINT_T_UNSET:-app}$${env:STILLPOINT_T_UNSET}\n")
	if len(cfg.Notices) != 1 || cfg.Notices[0].Level != slog.LevelWarn || !strings.Contains(cfg.Notices[0].Text, "scalar.db.password: the environment variable STILLPOINT_T_UNSET is not set") {
		t.Error(cfg.Notices)
	}
}

func TestPlaceholders(t *testing.T) {
	t.Setenv("STILLPOINT_T_USER", "app")
	t.Setenv("STILLPOINT_T_EMPTY", "")
	t.Setenv("STILLPOINT_T_NESTED", "${env:STILLPOINT_T_USER}2")
	t.Setenv("STILLPOINT_T_LOOP", "${env:STILLPOINT_T_LOOP}")
	for _, c := range []struct{ in, want string }{
		{"  ${env:STILLPOINT_T_USER}  ", "app"},
		{"a${env:STILLPOINT_T_USER}b${env:STILLPOINT_T_USER}", "aappbapp"},
		{"${env:STILLPOINT_T_NONE}", "${env:STILLPOINT_T_NONE}"},
		{"${env:STILLPOINT_T_NONE:-x}", "x"},
		{"${env:STILLPOINT_T_NONE:-}", ""},
		{"${env:STILLPOINT_T_EMPTY:-x}", ""},
		{"${env:STILLPOINT_T_NESTED}", "app2"},
		{"${env:STILLPOINT_T_NONE:-a:-b}", "a:-b"},
		{"${sys:user.name}", "${sys:user.name}"},
		{"${sys:user.name:-x}", "x"},
		{"$${env:STILLPOINT_T_USER}", "${env:STILLPOINT_T_USER}"},
		{"${env:STILLPOINT_T_USER", "${env:STILLPOINT_T_USER"},
		{"$", "$"},
	} {
		cfg := mustParse(t, one+"scalar.db.username="+c.in)
		if got := cfg.Storages[0].User; got != c.want {
			t.Errorf("%q: got %q, want %q", c.in, got, c.want)
		}
	}
	if _, err := config.Parse("p", []byte(one+"scalar.db.username=${env:STILLPOINT_T_LOOP}")); err == nil || !strings.Contains(err.Error(), "leads back to itself") {
		t.Errorf("%v", err)
	}
}

func TestListsKeepEscapedCommas(t *testing.T) {
	cfg := mustParse(t, "scalar.db.storage=jdbc\nscalar.db.contact_points=jdbc:postgresql://a:1\\\\,b:2/db")
	if got := cfg.Storages[0].URL; got != "jdbc:postgresql://a:1,b:2/db" {
		t.Error(got)
	}
}

func TestMapMeansWhatTheFileMeans(t *testing.T) {
	got, err := config.FromMap(map[string]string{"scalar.db.storage": "jdbc", "scalar.db.contact_points": "jdbc:sqlite:bank.db"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(mustParse(t, one), got); diff != "" {
		t.Error(diff)
	}
}

func TestMissingFileIsNotFound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.properties")
	if _, err := config.Load(path); !errors.Is(err, model.ErrNotFound) || !strings.Contains(err.Error(), path) {
		t.Error(err)
	}
	if err := os.WriteFile(path, []byte(one), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := config.Load(path); err != nil {
		t.Error(err)
	}
}

// FuzzParse looks for files that panic, or that pass and make no sense.
func FuzzParse(f *testing.F) {
	for _, s := range []string{one, several, "scalar.db.storage=multi-storage\nscalar.db.multi_storage.storages=a", "stillpoint.x=${env:X:-${", "scalar.db.multi_storage.storages..x=1"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		cfg, err := config.Parse("f", data)
		if err != nil {
			if !errors.Is(err, model.ErrBadArgument) {
				t.Fatalf("class of %v", err)
			}
			return
		}
		if err := cfg.Validate(); err != nil {
			t.Fatalf("accepted, but not valid: %v", err)
		}
		names := map[string]bool{}
		for _, s := range cfg.Storages {
			names[s.Name] = true
			if _, has := s.Properties["scalar.db.password"]; has || s.Driver == "" {
				t.Fatalf("%+v", s)
			}
		}
		for _, name := range slices.Collect(maps.Values(cfg.Routing.Namespaces)) {
			if !names[name] {
				t.Fatalf("routed to %q", name)
			}
		}
	})
}
