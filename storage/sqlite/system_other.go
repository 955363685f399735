//go:build !linux

package sqlite

import "github.com/stillpoint-db/stillpoint/storage"

// What this system does not tell is not found.

func othersOf(string) []storage.Session { return nil }

func freeSpace(string) (int64, bool) { return 0, false }

func networkFileSystem(string) string { return "" }
