//go:build !linux && !darwin

package repo

import "os"

// FreeSpace returns the bytes that this user may still write in the file system
// of a folder; -1 where that cannot be told.
func FreeSpace(string) (int64, error) { return -1, nil }

// CheckWritable tells why this user cannot make files in a folder; nil if nothing
// is known to speak against it. It makes none.
func CheckWritable(folder string) error {
	_, err := os.Stat(folder)
	return err
}
