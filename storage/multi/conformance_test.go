package multi_test

import (
	"testing"

	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/memory"
	"github.com/stillpoint-db/stillpoint/storage/multi"
	"github.com/stillpoint-db/stillpoint/storage/storagetest"
)

// TestConformance runs the suite over a Set of two databases that share the
// namespaces of the suite between them.
func TestConformance(t *testing.T) {
	databases := map[storage.Storage][2]*memory.Database{}
	over := func(t testing.TB, dbs [2]*memory.Database) storage.Storage {
		set, err := multi.New([]storage.Storage{dbs[0].Open("a", memory.Options{}), dbs[1].Open("b", memory.Options{})},
			multi.Routing{Default: "a", Namespaces: map[string]string{"st2": "b", "st4": "b", "st6": "b", "st8": "b"}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := set.Close(); err != nil {
				t.Error(err)
			}
		})
		databases[set] = dbs
		return set
	}
	storagetest.Run(t,
		func(t testing.TB) storage.Storage {
			return over(t, [2]*memory.Database{memory.NewDatabase(), memory.NewDatabase()})
		},
		storagetest.Options{Second: func(t testing.TB, s storage.Storage) storage.Storage { return over(t, databases[s]) }})
}
