package sqlite

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestABusyWriterLeavesGaps has a writer that is never idle, and looks how long it
// goes on without leaving the file to others.
func TestABusyWriterLeavesGaps(t *testing.T) {
	for name, c := range map[string]struct {
		know    func(*manners)
		longest time.Duration
	}{
		"nobody else is known":     {func(*manners) {}, aloneStretch},
		"somebody has it open":     {func(m *manners) { m.shared = true }, openStretch},
		"somebody writes":          {func(m *manners) { m.foreign = time.Now().Add(time.Hour) }, mixedStretch},
		"it has waited for others": {func(m *manners) { m.foreign = time.Now().Add(time.Hour); m.got(time.Now().Add(-20 * time.Millisecond)) }, 20 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const work = time.Millisecond
				m := manners{looked: time.Now().Add(time.Hour)} // files are not looked for
				c.know(&m)
				began, gaps := time.Now(), 0
				for range 500 {
					before := time.Now()
					m.before("")
					if time.Since(before) >= pause {
						began = time.Now()
						gaps++
					}
					time.Sleep(work)
					m.after()
					if busy := time.Since(began); busy > c.longest+work {
						t.Fatalf("it has been busy for %v without a gap", busy)
					}
				}
				if gaps == 0 || gaps > 500/2 {
					t.Errorf("%d gaps in 500 transactions", gaps)
				}
			})
		})
	}
}
