//go:build java && servers && failpoints

package interop

func childMain() bool { return false }
