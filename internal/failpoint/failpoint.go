// Package failpoint marks the steps of long work (backup, restore, commit) so
// that a test can kill or freeze the process at each of them. A step is a call
//
//	failpoint.Here("backup.fence.released")
//
// with a literal name, so that a test can list all steps from the source.
// Without the build tag "failpoints" a step is nothing at all.
package failpoint
