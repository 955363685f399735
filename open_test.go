package stillpoint_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stillpoint-db/stillpoint"
)

// TestPropertiesAboveAFileMeanWhatTheySay: they go behind the file's text, whatever
// its encoding and however it ends.
func TestPropertiesAboveAFileMeanWhatTheySay(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "latin1.properties")
	must(t, os.WriteFile(file, []byte("# f\xfcr\nscalar.db.storage=jdbc\nscalar.db.contact_points=none \\"), 0o600))
	database := filepath.Join(dir, "b\u00e4nk \U0001f600.db")
	db, err := stillpoint.Open(t.Context(), stillpoint.File(file), stillpoint.WithProperty("scalar.db.contact_points", "jdbc:sqlite:"+database))
	must(t, err)
	must(t, db.Close())
	if _, err := os.Stat(database); err != nil {
		t.Error(err)
	}
}
