//go:build !unix

package sqlite

import "io/fs"

// fileIdentity names a file by its real path.
func fileIdentity(real string, _ fs.FileInfo) string { return "sqlite:" + real }
