package restore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stillpoint-db/stillpoint/backup/repo"
	"github.com/stillpoint-db/stillpoint/model"
)

// Journal keeps the state of a restore. It must outlive the process and the
// targets, and the same command must find it again.
type Journal interface {
	// Load returns what was saved last under a name: model.ErrNotFound if
	// nothing was.
	Load(ctx context.Context, name string) ([]byte, error)
	// Save replaces it in one step, durably.
	Save(ctx context.Context, name string, data []byte) error
}

// Beside keeps journals as notes of a backup.
func Beside(b repo.Backup) Journal { return beside{b} }

type beside struct{ b repo.Backup }

func (j beside) Load(ctx context.Context, name string) ([]byte, error) { return j.b.Note(ctx, name) }
func (j beside) Save(ctx context.Context, name string, data []byte) error {
	return j.b.PutNote(ctx, name, data)
}

// InFile keeps one journal in a file of its own, whatever its name.
func InFile(path string) Journal { return inFile{path} }

type inFile struct{ path string }

func (j inFile) trouble(err error) error {
	return &model.Error{Class: model.ErrUnavailable, Op: "keep the journal in", Subject: j.path, Err: err, Hint: "Give a place with room that may be written to with --journal"}
}

// Load implements Journal.
func (j inFile) Load(context.Context, string) ([]byte, error) {
	b, err := os.ReadFile(j.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, model.Errorf(model.ErrNotFound, "there is no journal %s", j.path)
	}
	if err != nil {
		return nil, j.trouble(err)
	}
	return b, nil
}

// Save implements Journal.
func (j inFile) Save(_ context.Context, _ string, data []byte) error {
	tmp := j.path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return j.trouble(err)
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return j.trouble(err)
	}
	if err := os.Rename(tmp, j.path); err != nil {
		return j.trouble(err)
	}
	dir, err := os.Open(filepath.Dir(j.path))
	if err != nil {
		return j.trouble(err)
	}
	if err := errors.Join(dir.Sync(), dir.Close()); err != nil {
		return j.trouble(err)
	}
	return nil
}

// journalFormat is the version of the document.
const journalFormat = 1

// journal is the document. Its save method may be called from several
// goroutines; between saves only the goroutine that owns a step touches that
// step's outcome, through record.
type journal struct {
	Format   int                     `json:"format"`
	Plan     *Plan                   `json:"plan"`
	Outcomes map[string]*stepOutcome `json:"outcomes"` // by the step's id; done steps only
	Finished bool                    `json:"finished"`

	mu    sync.Mutex // guards the fields above while steps run at once
	store Journal
	name  string
}

// stepOutcome is what a finished step leaves for those after it and for the
// report.
type stepOutcome struct {
	At      time.Time        `json:"at"`
	Rows    int64            `json:"rows,omitempty"`   // loaded
	Digest  string           `json:"digest,omitempty"` // of the rows loaded
	Actions map[string]int64 `json:"actions,omitempty"`
	Settled []Settled        `json:"settled,omitempty"`
	Ended   int              `json:"ended,omitempty"` // sessions
	Check   json.RawMessage  `json:"check,omitempty"` // a check.Report
}

// journalName derives the name under which the same command finds the journal:
// from the databases, and nothing else.
func journalName(places []Place) string {
	var ids []string
	for _, p := range places {
		ids = append(ids, p.ID+"\x00"+p.Identity)
	}
	slices.Sort(ids)
	sum := sha256.Sum256([]byte(strings.Join(ids, "\x01")))
	return journalPrefix + hex.EncodeToString(sum[:8])
}

// journalPrefix begins the names of journals among the notes of a backup.
const journalPrefix = "restore-"

// loadJournal returns the journal of a restore under way; nil if there is none.
func loadJournal(ctx context.Context, store Journal, name string) (*journal, error) {
	data, err := store.Load(ctx, name)
	if errors.Is(err, model.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	j, err := decodeJournal(data)
	if err != nil {
		return nil, err
	}
	if j.Finished {
		return nil, nil
	}
	j.store, j.name = store, name
	return j, nil
}

func decodeJournal(data []byte) (*journal, error) {
	j := &journal{}
	if err := json.Unmarshal(data, j); err != nil {
		return nil, badJournal("cannot be read: %v", err)
	}
	if j.Format != journalFormat {
		return nil, model.Errorf(model.ErrRefused, "the journal of the restore has format %d; this version of stillpoint knows %d", j.Format, journalFormat)
	}
	if j.Plan == nil || len(j.Plan.Steps) == 0 {
		return nil, badJournal("has no plan")
	}
	if j.Outcomes == nil {
		j.Outcomes = map[string]*stepOutcome{}
	}
	for id, o := range j.Outcomes {
		if o == nil {
			return nil, badJournal("has no outcome for step %s", id)
		}
	}
	return j, nil
}

// JournalError says that a journal is not what was written. Its class is
// model.ErrDamaged, though the backup is no worse for it.
type JournalError struct{ Reason string }

func badJournal(format string, args ...any) error { return &JournalError{fmt.Sprintf(format, args...)} }

// Error implements error.
func (e *JournalError) Error() string {
	return "the journal of the restore " + e.Reason + ". The backup is not affected, and nothing was changed: to begin anew, give another journal with --journal FILE"
}

// Unwrap returns the class.
func (e *JournalError) Unwrap() error { return model.ErrDamaged }

// record notes that a step is done, durably.
func (j *journal) record(ctx context.Context, step string, o *stepOutcome) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	o.At = time.Now().UTC()
	j.Outcomes[step] = o
	if err := j.save(ctx); err != nil {
		delete(j.Outcomes, step)
		return err
	}
	return nil
}

// save writes the journal; j.mu is held, or nobody else has j yet.
func (j *journal) save(ctx context.Context) error {
	data, err := json.MarshalIndent(j, "", " ")
	if err != nil {
		return fmt.Errorf("encode the journal: %w", err)
	}
	return j.store.Save(ctx, j.name, data)
}

// done tells whether a step is recorded.
func (j *journal) done(step string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.Outcomes[step] != nil
}

// forget takes back that steps are done, durably.
func (j *journal) forget(ctx context.Context, which func(Step) bool) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, s := range j.Plan.Steps {
		if which(s) {
			delete(j.Outcomes, s.ID)
		}
	}
	return j.save(ctx)
}
