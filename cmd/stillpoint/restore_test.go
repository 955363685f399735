package main

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"github.com/stillpoint-db/stillpoint/backup/repo"
)

func TestARestoreGoesOnWithoutWritingToTheRepository(t *testing.T) {
	for _, err := range []error{
		&repo.NoSpaceError{Location: "/backups", Err: syscall.ENOSPC},
		fmt.Errorf("lock /backups: %w", fs.ErrPermission),
		fmt.Errorf("lock /backups: %w", syscall.EROFS),
		fmt.Errorf("lock /backups: %w", syscall.ENOLCK),
		fmt.Errorf("lock /backups: %w", errors.ErrUnsupported),
	} {
		if got := journalElsewhere(err); !strings.Contains(got, "--journal FILE. Nothing was changed") {
			t.Errorf("%v: the way out is %q", err, got)
		}
	}
	if got := journalElsewhere(errors.New("another")); got != "" {
		t.Errorf("another journal is said to help: %q", got)
	}
}
