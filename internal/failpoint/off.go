//go:build !failpoints

package failpoint

// Enabled tells whether this build has fail points.
const Enabled = false

// Here marks a step. It does nothing in this build.
func Here(string) {}
