//go:build failpoints || servers

package create_test

import (
	"fmt"
	"os"
	"syscall"
)

// small puts an empty file system of 2 MB over a folder, for this process alone,
// if fullEnv says so.
func small(folder string) error {
	if os.Getenv(fullEnv) == "" {
		return nil
	}
	// Keep the mount in the namespace that this process was given.
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "size=2m"); err != nil {
		return fmt.Errorf("mount a small file system: %w", err)
	}
	return nil
}
