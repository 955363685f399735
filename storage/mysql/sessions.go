package mysql

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// own knows the sessions of this process's storages, by what tells their server
// from others.
var own = struct {
	sync.Mutex
	ids map[*Store]map[uint64]struct{}
}{ids: map[*Store]map[uint64]struct{}{}}

func (s *Store) opened(id uint64) {
	own.Lock()
	defer own.Unlock()
	if own.ids[s] == nil {
		own.ids[s] = map[uint64]struct{}{}
	}
	own.ids[s][id] = struct{}{}
}

func (s *Store) closed(id uint64) {
	own.Lock()
	defer own.Unlock()
	if delete(own.ids[s], id); len(own.ids[s]) == 0 {
		delete(own.ids, s)
	}
}

// ours tells whether a session of the server is one of this process.
func (s *Store) ours() map[string]bool {
	own.Lock()
	defer own.Unlock()
	out := map[string]bool{}
	for o, ids := range own.ids {
		if o == s || o.server.identity == s.server.identity {
			for id := range ids {
				out[fmt.Sprint(id)] = true
			}
		}
	}
	return out
}

// Sessions implements storage.Inspector. Without the right PROCESS only those of
// the same user are seen; Inspect says so.
func (s *Store) Sessions(ctx context.Context) (out []storage.Session, err error) {
	var rows [][]string
	err = s.read(ctx, "list the sessions of", func(ses *session) error {
		rows, err = ses.strings(ctx, "SELECT ID, COALESCE(USER,''), COALESCE(HOST,''), COMMAND, COALESCE(STATE,''), COALESCE(LEFT(INFO,200),''), TIME "+
			"FROM information_schema.processlist WHERE ID<>CONNECTION_ID() ORDER BY ID")
		return err
	})
	if err != nil {
		return nil, err
	}
	ours := s.ours()
	var others [][]string
	for _, r := range rows {
		if !ours[r[0]] && !systemThread(r) {
			others = append(others, r)
		}
	}
	return sessionsOf(others), nil
}

// systemThread tells the server's own threads and those of replication.
func systemThread(r []string) bool {
	switch r[1] {
	case "system user", "event_scheduler":
		return true
	}
	switch strings.ToLower(r[3]) {
	case "daemon", "binlog dump", "binlog dump gtid", "killed":
		return true
	}
	return false
}

// terminatePatience is how long sessions may take to end: they roll back first.
const terminatePatience = 10 * time.Second

// TerminateSessions implements storage.Inspector. It returns when the sessions
// that it ended are gone.
func (s *Store) TerminateSessions(ctx context.Context) (int, error) {
	sessions, err := s.Sessions(ctx)
	if err != nil {
		return 0, err
	}
	ended := 0
	for _, o := range sessions {
		err := s.read(ctx, "end a session of", func(ses *session) error {
			err := ses.execText(ctx, "KILL "+o.ID)
			if errorNumber(err) == 1094 { // it has ended by itself
				return nil
			}
			return err
		})
		if err != nil {
			return ended, err
		}
		ended++
	}
	for end := time.Now().Add(terminatePatience); ; {
		left, err := s.present(ctx, sessions)
		switch {
		case err != nil:
			return 0, err
		case left == 0:
			return ended, nil
		case time.Now().After(end):
			return ended - left, model.Errorf(model.ErrUnavailable, "storage %q: %d sessions did not end within %s", s.cfg.Name, left, terminatePatience)
		}
		select {
		case <-ctx.Done():
			return 0, storage.UnavailableError(s.cfg.Name, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// present counts those of some sessions that are still there, ending or not.
func (s *Store) present(ctx context.Context, sessions []storage.Session) (n int, err error) {
	if len(sessions) == 0 {
		return 0, nil
	}
	ids := make([]string, len(sessions))
	for i, o := range sessions {
		ids[i] = o.ID
	}
	err = s.read(ctx, "list the sessions of", func(ses *session) error {
		rows, err := ses.strings(ctx, "SELECT ID FROM information_schema.processlist WHERE ID IN ("+strings.Join(ids, ",")+")")
		n = len(rows)
		return err
	})
	return n, err
}
