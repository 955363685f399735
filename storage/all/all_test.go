package all_test

import (
	"slices"
	"testing"

	"github.com/stillpoint-db/stillpoint/config"
	"github.com/stillpoint-db/stillpoint/storage"
	_ "github.com/stillpoint-db/stillpoint/storage/all"
)

func TestEveryDriverThatAURLCanNameIsRegistered(t *testing.T) {
	for _, url := range []string{"jdbc:sqlite:x", "jdbc:postgresql://h/d", "jdbc:mysql://h/", "jdbc:mariadb://h/"} {
		name, err := config.DriverOf(url)
		if err != nil || !slices.Contains(storage.Drivers(), name) {
			t.Errorf("%s: driver %q, %v; registered are %v", url, name, err, storage.Drivers())
		}
	}
}
