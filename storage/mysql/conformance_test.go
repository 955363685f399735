//go:build servers

package mysql

import (
	"strings"
	"testing"

	"github.com/stillpoint-db/stillpoint/internal/testenv"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/storagetest"
)

func TestConformance(t *testing.T) {
	for _, way := range []string{"mariadb", "mysql"} {
		t.Run(way, func(t *testing.T) {
			server := testenv.NewMariaDB(t, testenv.MariaDBOptions{})
			openAt := func(t testing.TB, addr string) storage.Storage {
				s := openURL(t, "jdbc:"+way+"://"+addr+"/?sslMode=disable")
				if way == "mysql" {
					asMySQL(s)
				}
				return s
			}
			storagetest.Run(t, func(t testing.TB) storage.Storage { return openAt(t, server.Addr()) }, storagetest.Options{
				Second:    func(t testing.TB, _ storage.Storage) storage.Storage { return openAt(t, server.Addr()) },
				Server:    server.Addr(),
				Through:   func(t testing.TB, _ storage.Storage, addr string) storage.Storage { return openAt(t, addr) },
				LongNames: []string{strings.Repeat("n", 65), strings.Repeat("é", 65), "blank ", "🙂"},
			})
		})
	}
}
