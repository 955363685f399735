package testenv

import (
	"os"
	"sync"
	"testing"
)

var atExit = struct {
	sync.Mutex
	funcs []func()
}{}

// AtExit runs f when Main ends. Servers that a whole test binary shares stop
// themselves this way.
func AtExit(f func()) {
	atExit.Lock()
	defer atExit.Unlock()
	atExit.funcs = append(atExit.funcs, f)
}

// Main runs the tests of a binary and then stops the servers they started:
//
//	func TestMain(m *testing.M) { testenv.Main(m) }
func Main(m *testing.M) {
	code := m.Run()
	atExit.Lock()
	defer atExit.Unlock()
	for i := len(atExit.funcs) - 1; i >= 0; i-- {
		atExit.funcs[i]()
	}
	os.Exit(code)
}
