package sqlite

import (
	"time"

	"github.com/stillpoint-db/stillpoint/storage/sqlite/internal/capi"
)

// A writer that keeps the file busy without a gap would starve other
// processes, whose SQLite polls for the lock every 1 to 100 ms and gives up in
// the end. So it pauses now and then, that each of their polls has a chance:
// seldom while nobody else is known to have the file open, more often while
// somebody has, and most often while somebody writes.
const (
	pause        = time.Millisecond
	aloneStretch = 64 * time.Millisecond // of writing between pauses
	openStretch  = 32 * time.Millisecond
	mixedStretch = 8 * time.Millisecond
	foreignFor   = 5 * time.Second // how long a commit of somebody else is remembered
	foreignEvery = 8               // transactions between looks for one
	lookEvery    = 2 * time.Second // of writing, between looks for processes that have the file open
)

// manners keeps a writer from starving other processes.
type manners struct {
	since   time.Time     // begin of the stretch without a gap
	last    time.Time     // end of the last transaction
	waited  time.Duration // for the lock, before this stretch: so long it may last at least
	foreign time.Time     // until when somebody else counts as writing
	looked  time.Time     // when it was last seen who has the file open
	shared  bool          // somebody had
	version string
	count   int
	own     uint64 // commits of this connection
	known   uint64 // commits of this process's other connections, at the last look
}

// before is called before a transaction begins.
func (m *manners) before(path string) {
	now := time.Now()
	if now.Sub(m.last) > pause {
		m.since = now
		return
	}
	stretch := aloneStretch
	switch {
	case now.Before(m.foreign):
		stretch = mixedStretch
	case m.shared:
		stretch = openStretch
	}
	if now.Sub(m.since) < max(stretch, m.waited) {
		return
	}
	m.waited = 0
	if now.Sub(m.looked) >= lookEvery { // a pause in itself, of some milliseconds
		m.shared = len(othersOf(path)) > 0
		m.looked = time.Now()
	} else {
		time.Sleep(pause)
	}
	m.since = time.Now()
}

// got is called when the lock is there after others had it, tried for since
// some time.
func (m *manners) got(tried time.Time) {
	m.since = time.Now()
	m.waited = min(m.since.Sub(tried), aloneStretch)
}

// begun is called in a transaction that has just begun. The version changes
// when any other connection commits; those of this process take turns with this
// one anyway.
func (m *manners) begun(c *capi.Conn, f *file) {
	if m.count++; m.count%foreignEvery != 0 {
		return
	}
	v, err := dataVersion(c)
	if err != nil {
		return // a hint only
	}
	kin := f.commits.Load() - m.own
	if m.version != "" && v != m.version && kin == m.known {
		m.foreign = time.Now().Add(foreignFor)
	}
	m.version, m.known = v, kin
}

// committed is called after a commit, before the next one can begin its turn.
func (m *manners) committed(f *file) {
	m.own++
	f.commits.Add(1)
}

// after is called when a transaction is over.
func (m *manners) after() { m.last = time.Now() }
