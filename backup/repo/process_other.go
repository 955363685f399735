//go:build !unix

package repo

import "os"

// lockFile has no lock of the system to take here; what is written in the file
// has to do.
func lockFile(*os.File) (bool, error) { return true, nil }

func processExists(pid int) bool {
	p, err := os.FindProcess(pid)
	if err != nil {
		return false
	}
	_ = p.Release()
	return true
}

func bootID() string     { return "" }
func startOf(int) string { return "" }
