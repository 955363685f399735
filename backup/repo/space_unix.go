//go:build linux || darwin

package repo

import (
	"io/fs"
	"syscall"
)

// FreeSpace returns the bytes that this user may still write in the file system
// of a folder; -1 where that cannot be told.
func FreeSpace(path string) (int64, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(path, &s); err != nil {
		return -1, &fs.PathError{Op: "statfs", Path: path, Err: err}
	}
	return int64(s.Bavail) * int64(s.Bsize), nil
}
