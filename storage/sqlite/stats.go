package sqlite

import "sync/atomic"

// Stats counts what a Storage has written since it was opened.
type Stats struct {
	Asked   uint64 // requests that have reached the writer
	Batches uint64 // applied: Mutate calls, administrative statements, chunks of Load
	Commits uint64 // SQLite transactions that carried them, each synced to disk once
}

type counters struct{ asked, batches, commits atomic.Uint64 }

// Stats returns the counts so far.
func (s *Storage) Stats() Stats {
	c := &s.writer.stats
	return Stats{Asked: c.asked.Load(), Batches: c.batches.Load(), Commits: c.commits.Load()}
}
