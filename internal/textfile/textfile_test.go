package textfile_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stillpoint-db/stillpoint/internal/textfile"
	"github.com/stillpoint-db/stillpoint/model"
)

func TestOnlyWhatCanBeMeantIsRead(t *testing.T) {
	dir := t.TempDir()
	small := filepath.Join(dir, "small")
	if err := os.WriteFile(small, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if data, err := textfile.Read("read it", small); err != nil || string(data) != "x" {
		t.Errorf("%q, %v", data, err)
	}
	for path, class := range map[string]error{
		filepath.Join(dir, "none"): model.ErrNotFound,
		dir:                        model.ErrBadArgument,
		"/dev/zero":                model.ErrBadArgument,
	} {
		if _, err := textfile.Read("read it", path); !errors.Is(err, class) {
			t.Errorf("%s: %v; want class %v", path, err, class)
		}
	}
}
