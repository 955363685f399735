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

// CheckWritable tells why this user cannot make files in a folder; nil if nothing
// is known to speak against it. It makes none.
func CheckWritable(folder string) error {
	const writeAndEnter = 2 | 1
	if err := syscall.Access(folder, writeAndEnter); err != nil {
		return &fs.PathError{Op: "write to", Path: folder, Err: err}
	}
	return nil
}
