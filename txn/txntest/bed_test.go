package txntest_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/memory"
	"github.com/stillpoint-db/stillpoint/storage/multi"
	_ "github.com/stillpoint-db/stillpoint/storage/sqlite"
	"github.com/stillpoint-db/stillpoint/txn/record"
	"github.com/stillpoint-db/stillpoint/txn/txntest"
)

// several joins databases to a bed: one with the namespace "wi" for each, the
// Coordinator in the first.
func several(open ...func(ctx context.Context, name string) (storage.Storage, error)) txntest.Bed {
	var b txntest.Bed
	spaces := map[string]string{record.DefaultCoordinatorNamespace: "s0"}
	for i := range open {
		ns := fmt.Sprintf("w%d", i)
		b.Namespaces = append(b.Namespaces, ns)
		spaces[ns] = fmt.Sprintf("s%d", i)
	}
	b.Open = func(ctx context.Context) (storage.Storage, error) {
		var all []storage.Storage
		for i, f := range open {
			s, err := f(ctx, fmt.Sprintf("s%d", i))
			if err != nil {
				for _, s := range all {
					_ = s.Close() // the first error tells more
				}
				return nil, err
			}
			all = append(all, s)
		}
		return multi.New(all, multi.Routing{Default: "s0", Namespaces: spaces})
	}
	return b
}

func inMemory(opts memory.Options) func(context.Context, string) (storage.Storage, error) {
	db := memory.NewDatabase()
	return func(_ context.Context, name string) (storage.Storage, error) { return db.Open(name, opts), nil }
}

func onDriver(driver, url, user, password string) func(context.Context, string) (storage.Storage, error) {
	return func(ctx context.Context, name string) (storage.Storage, error) {
		return storage.Open(ctx, storage.Config{Name: name, Driver: driver, URL: url, User: user, Password: storage.Secret(password)})
	}
}

func onSQLite(t testing.TB) func(context.Context, string) (storage.Storage, error) {
	return onDriver("sqlite", "jdbc:sqlite:"+filepath.Join(t.TempDir(), "data.db"), "", "")
}
