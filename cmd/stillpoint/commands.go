package main

import "github.com/spf13/cobra"

// commands makes the commands, in the order of the help. Each has a file of its
// own, with its options, its help and its run function.
var commands = []func(*app) *cobra.Command{
	schemaCommand,
	backupCommand,
	checkCommand,
	restoreCommand,
	recoverCommand,
	benchCommand,
	demoCommand,
	txCommand,
	versionCommand,
}
