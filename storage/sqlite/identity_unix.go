//go:build unix

package sqlite

import (
	"fmt"
	"io/fs"
	"syscall"
)

// fileIdentity names a file by device and inode.
func fileIdentity(real string, info fs.FileInfo) string {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return fmt.Sprintf("sqlite:%d:%d:%s", st.Dev, st.Ino, real)
	}
	return "sqlite:" + real
}
