package repo_test

import (
	"errors"
	"io/fs"
	"testing"

	"github.com/stillpoint-db/stillpoint/backup/repo"
	"github.com/stillpoint-db/stillpoint/model"
)

// TestAFolderThatNobodyMayWriteToIsNoRepository asks of a folder in which root
// cannot make files either.
func TestAFolderThatNobodyMayWriteToIsNoRepository(t *testing.T) {
	if n, err := repo.InFolder(t.TempDir()).Free(t.Context()); err != nil || n <= 0 {
		t.Errorf("%d, %v", n, err)
	}
	if _, err := repo.InFolder("/proc/sys/backups").Free(t.Context()); !errors.Is(err, fs.ErrPermission) || !errors.Is(err, model.ErrUnavailable) {
		t.Error(err)
	}
}
