// Package all registers every storage, for programs that want to leave the
// choice to their configuration:
//
//	import _ "github.com/stillpoint-db/stillpoint/storage/all"
//
// A program that always uses one kind of database imports that storage alone and
// carries no other driver.
package all

import (
	_ "github.com/stillpoint-db/stillpoint/storage/mysql"    // registers "mysql"
	_ "github.com/stillpoint-db/stillpoint/storage/postgres" // registers "postgres"
	_ "github.com/stillpoint-db/stillpoint/storage/sqlite"   // registers "sqlite"
)
