package leak

import (
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { Main(m) }

func TestWhatEndsLateIsNoLeakAndWhatStaysIsOne(t *testing.T) {
	before := goleak.IgnoreCurrent()
	late, stays := make(chan struct{}), make(chan struct{})
	go func() { <-late }()
	time.AfterFunc(time.Second, func() { close(late) })
	None(t, before)
	go func() { <-stays }()
	if err := goleak.Find(before); err == nil {
		t.Error("a goroutine that stays is not found")
	}
	close(stays)
}
