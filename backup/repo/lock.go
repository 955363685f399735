package repo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/stillpoint-db/stillpoint/internal/failpoint"
	"github.com/stillpoint-db/stillpoint/model"
)

// owner says who holds a lock. The lock of a process that is provably gone is
// nobody's.
type owner struct {
	Purpose string    `json:"purpose"`
	Host    string    `json:"host"`
	PID     int       `json:"pid"`
	Boot    string    `json:"boot,omitempty"`  // of the host; "" = not known
	Start   string    `json:"start,omitempty"` // of the process, in the host's own units; "" = not known
	Since   time.Time `json:"since"`
}

func thisProcess(purpose string) owner {
	host, _ := os.Hostname() // "" is as good as any name that nobody else has
	pid := os.Getpid()
	return owner{purpose, host, pid, bootID(), startOf(pid), time.Now().UTC().Truncate(time.Second)}
}

// gone tells whether the owner is certainly dead, as seen from me, who has the
// system's lock.
func (o owner) gone(me owner) bool {
	switch {
	case o.Host != me.Host:
		// A container of this machine has a host name of its own; while it lived,
		// it would have the system's lock. One that ran elsewhere may live.
		return o.Boot != "" && o.Boot == me.Boot
	case o.Boot != "" && me.Boot != "" && o.Boot != me.Boot:
		return true
	case !processExists(o.PID):
		return true
	}
	start := startOf(o.PID)
	return o.Start != "" && start != "" && o.Start != start
}

// folderLock implements Lock. The operating system's lock on the open file
// keeps processes of one machine apart, and ends with them; what is written in
// the file tells people, and other machines, who it is.
type folderLock struct {
	r *Folder

	mu sync.Mutex
	f  *os.File // nil once released
}

// Lock implements Repository.
func (r *Folder) Lock(_ context.Context, purpose string) (Lock, error) {
	if err := r.make(); err != nil {
		return nil, err
	}
	path := filepath.Join(r.root, "lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return nil, r.trouble("lock", err)
	}
	got, err := lockFile(f)
	if err == nil {
		err = r.claim(f, path, got, thisProcess(purpose))
	} else {
		err = r.trouble("lock", err)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	failpoint.Here("backup.repository.locked")
	return &folderLock{r: r, f: f}, nil
}

// claim writes our name into the lock file, unless it is somebody else's.
func (r *Folder) claim(f *os.File, path string, got bool, me owner) error {
	b, err := io.ReadAll(io.LimitReader(f, 1<<16))
	if err != nil {
		return r.trouble("lock", err)
	}
	var o owner
	switch {
	case !got:
		_ = json.Unmarshal(b, &o) // the owner may be writing it just now
		return r.lockedBy(o, "")
	case len(b) > 0 && json.Unmarshal(b, &o) == nil && !o.gone(me):
		return r.lockedBy(o, "If that process is gone, delete "+path)
	}
	b, err = json.Marshal(me)
	if err != nil {
		return err
	}
	if err := f.Truncate(0); err != nil {
		return r.trouble("lock", err)
	}
	if _, err := f.WriteAt(b, 0); err != nil {
		return r.trouble("lock", err)
	}
	return r.trouble("lock", f.Sync())
}

func (r *Folder) lockedBy(o owner, hint string) error {
	who := "another run"
	if o.PID != 0 {
		who = fmt.Sprintf("%q, process %d on %s, since %s", o.Purpose, o.PID, o.Host, o.Since.Format(time.RFC3339))
	}
	if hint == "" {
		hint = "Wait until it is done"
	}
	return &model.Error{Class: model.ErrLocked, Detail: fmt.Sprintf("repository %s is locked by %s", r.root, who), Hint: hint}
}

// Release implements Lock.
func (l *folderLock) Release() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.f == nil {
		return nil
	}
	err := errors.Join(l.f.Truncate(0), l.f.Close()) // closing ends the system's lock
	l.f = nil
	return l.r.trouble("unlock", err)
}
