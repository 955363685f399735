package sqlite

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/stillpoint-db/stillpoint/storage"
)

// othersOf lists the other processes that have the file open, as far as this
// one may look.
func othersOf(path string) []storage.Session {
	var file syscall.Stat_t
	if syscall.Stat(path, &file) != nil {
		return nil
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var out []storage.Session
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() || !hasOpen(e.Name(), file) {
			continue
		}
		out = append(out, storage.Session{ID: e.Name(), App: command(e.Name())})
	}
	return out
}

func hasOpen(pid string, file syscall.Stat_t) bool {
	fds, err := os.ReadDir(filepath.Join("/proc", pid, "fd"))
	if err != nil {
		return false // gone, or not ours to see
	}
	for _, fd := range fds {
		var st syscall.Stat_t
		if syscall.Stat(filepath.Join("/proc", pid, "fd", fd.Name()), &st) == nil && st.Dev == file.Dev && st.Ino == file.Ino {
			return true
		}
	}
	return false
}

// command is the name of a process; not its arguments, which may hold secrets.
func command(pid string) string {
	b, err := os.ReadFile(filepath.Join("/proc", pid, "comm"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

func freeSpace(folder string) (int64, bool) {
	var st syscall.Statfs_t
	if syscall.Statfs(folder, &st) != nil {
		return 0, false
	}
	return int64(st.Bavail) * st.Bsize, true
}

// networkFileSystem names the network file system that holds the file, if it is
// a known one.
func networkFileSystem(path string) string {
	var st syscall.Statfs_t
	if syscall.Statfs(path, &st) != nil {
		return ""
	}
	switch uint32(st.Type) {
	case 0x6969:
		return "NFS"
	case 0x517b, 0xff534d42, 0xfe534d42:
		return "SMB"
	case 0x01021997:
		return "9P"
	}
	return ""
}
