package sqlite

import (
	"testing"

	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/storagetest"
)

func TestConformance(t *testing.T) {
	storagetest.Run(t, func(t testing.TB) storage.Storage { return fresh(t) }, storagetest.Options{
		Second:    func(t testing.TB, s storage.Storage) storage.Storage { return open(t, s.(*Storage).set.path) },
		LongNames: []string{"a$b"},
	})
}
