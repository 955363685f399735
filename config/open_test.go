package config_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stillpoint-db/stillpoint/config"
	"github.com/stillpoint-db/stillpoint/model"
	_ "github.com/stillpoint-db/stillpoint/storage/memory"
	_ "github.com/stillpoint-db/stillpoint/storage/sqlite"
)

const memories = `
scalar.db.storage=multi-storage
scalar.db.multi_storage.storages=a,b
scalar.db.multi_storage.storages.a.storage=memory
scalar.db.multi_storage.storages.b.storage=memory
scalar.db.multi_storage.namespace_mapping=x:a,y:b
scalar.db.multi_storage.default_storage=b
scalar.db.something_else=1
`

func TestOpenMakesASetOfAllStorages(t *testing.T) {
	var log bytes.Buffer
	set, err := config.Open(t.Context(), mustParse(t, memories), slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	for ns, want := range map[string]string{"x": "a", "y": "b", "z": "b"} {
		if got := set.Route(model.TableName{Namespace: ns, Name: "t"}).Name(); got != want {
			t.Errorf("%s is in %s", ns, got)
		}
	}
	if n := strings.Count(log.String(), "something_else is not a known property"); n != 1 {
		t.Errorf("the warning was logged %d times:\n%s", n, &log)
	}
	if err := set.Close(); err != nil {
		t.Error(err)
	}
	if _, err := set.Storages()[0].Admin().Namespaces(t.Context()); !errors.Is(err, model.ErrUnavailable) {
		t.Errorf("a storage works after the set was closed: %v", err)
	}
}

func TestOpenNamesTheStorageThatFailed(t *testing.T) {
	cfg := mustParse(t, strings.Replace(memories, "storages.b.storage=memory", "storages.b.storage=jdbc\nscalar.db.multi_storage.storages.b.contact_points=jdbc:mysql://127.0.0.1/", 1))
	_, err := config.Open(context.Background(), cfg, nil)
	if err == nil || !strings.Contains(err.Error(), `"b"`) || !strings.Contains(err.Error(), "storage/mysql") {
		t.Errorf("%v", err)
	}
	if !errors.Is(err, model.ErrBadArgument) || model.Hint(err) == "" {
		t.Errorf("class or hint of %v", err)
	}
}

// TestAWarningNamesItsStorageOnce: the logger that a driver is given names it.
func TestAWarningNamesItsStorageOnce(t *testing.T) {
	var log bytes.Buffer
	cfg, err := config.ForURL("jdbc:sqlite:"+filepath.Join(t.TempDir(), "x.db")+"?foo=bar", "", "")
	if err != nil {
		t.Fatal(err)
	}
	set, err := config.Open(t.Context(), cfg, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	if err := set.Close(); err != nil {
		t.Error(err)
	}
	if strings.Count(log.String(), "storage=db") != 1 || !strings.Contains(log.String(), "parameter=foo") {
		t.Errorf("%s", &log)
	}
}

func TestOpenByURL(t *testing.T) {
	cfg, err := config.ForURL("jdbc:sqlite:x.db", "u", "p")
	if err != nil || cfg.Validate() != nil || cfg.Storages[0].Driver != "sqlite" || cfg.Storages[0].Name != "db" {
		t.Errorf("%+v %v", cfg, err)
	}
	if _, err := config.ForURL("mongodb://h:pw1", "", ""); !errors.Is(err, model.ErrBadArgument) || strings.Contains(err.Error(), "pw1") {
		t.Error(err)
	}
}
