//go:build servers

package postgres

import (
	"strings"
	"testing"

	"github.com/stillpoint-db/stillpoint/internal/testenv"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/storagetest"
)

func TestConformance(t *testing.T) {
	for _, isolation := range []string{"", "REPEATABLE_READ"} {
		t.Run("isolation="+isolation, func(t *testing.T) {
			s := testenv.Postgres(t)
			again := func(t testing.TB, of storage.Storage, addr string) storage.Storage {
				cfg := configOf(s, databaseOf(of.(*db)))
				cfg.URL = strings.Replace(cfg.URL, s.Addr(), addr, 1)
				cfg.Properties = map[string]string{propIsolation: isolation}
				return openOn(t, cfg)
			}
			storagetest.Run(t, func(t testing.TB) storage.Storage {
				cfg := configOf(s, s.Database(t))
				cfg.Properties = map[string]string{propIsolation: isolation}
				return openOn(t, cfg)
			}, storagetest.Options{
				Second:    func(t testing.TB, of storage.Storage) storage.Storage { return again(t, of, s.Addr()) },
				Server:    s.Addr(),
				Through:   again,
				LongNames: []string{strings.Repeat("n", 64), strings.Repeat("ä", 32)},
			})
		})
	}
}
