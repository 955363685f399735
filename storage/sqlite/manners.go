package sqlite

import (
	"time"

	"github.com/stillpoint-db/stillpoint/storage/sqlite/internal/capi"
)

// A writer that keeps the file busy without a gap would starve other
// processes, whose SQLite polls for the lock every 1 to 100 ms and gives up in
// the end. So it pauses now and then: seldom while nobody else is known to
// write, and for a tenth of its time while somebody does.
const (
	pause        = time.Millisecond
	aloneStretch = 64 * time.Millisecond // of writing between pauses
	mixedStretch = 8 * time.Millisecond
	foreignFor   = 5 * time.Second // how long a commit of somebody else is remembered
	foreignEvery = 8               // transactions between looks for one
)

// manners keeps a writer from starving other processes.
type manners struct {
	since   time.Time // begin of the stretch without a gap
	last    time.Time // end of the last transaction
	foreign time.Time // until when somebody else counts as writing
	version string
	count   int
}

// before is called before a transaction begins.
func (m *manners) before() {
	now := time.Now()
	if now.Sub(m.last) > pause {
		m.since = now
		return
	}
	stretch := aloneStretch
	if now.Before(m.foreign) {
		stretch = mixedStretch
	}
	if now.Sub(m.since) >= stretch {
		time.Sleep(pause)
		m.since = time.Now()
	}
}

// begun is called in a transaction that has just begun.
func (m *manners) begun(c *capi.Conn) {
	if m.count++; m.count%foreignEvery != 0 {
		return
	}
	v, err := dataVersion(c)
	if err != nil {
		return // a hint only
	}
	if m.version != "" && v != m.version {
		m.foreign = time.Now().Add(foreignFor)
	}
	m.version = v
}

// after is called when a transaction is over.
func (m *manners) after() { m.last = time.Now() }
