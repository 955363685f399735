package restore

import (
	"slices"
	"time"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// Kind says what a step does.
type Kind string

// The kinds, in the order in which they come in a plan. See DESIGN.md.
const (
	VerifyBackup        Kind = "verify-backup"
	EndSessions         Kind = "end-sessions"
	Mark                Kind = "mark"
	WithdrawCoordinator Kind = "withdraw-coordinator"
	Clear               Kind = "clear"
	Create              Kind = "create"
	Load                Kind = "load"
	LoadCoordinator     Kind = "load-coordinator"
	Check               Kind = "check"
	Unmark              Kind = "unmark"
)

// Step is one step of a plan.
type Step struct {
	ID       string `json:"id"` // its number
	Kind     Kind   `json:"kind"`
	Storage  string `json:"storage,omitempty"` // the target
	Table    string `json:"table,omitempty"`
	Text     string `json:"text"`
	Destroys string `json:"destroys,omitempty"`
	Clients  string `json:"clients,omitempty"` // what changes for them
	Rows     int64  `json:"rows,omitempty"`
	Bytes    int64  `json:"bytes,omitempty"`
	Seconds  int64  `json:"about_seconds"`
	// Drop: the table is dropped rather than emptied (Clear).
	Drop bool `json:"drop,omitempty"`
}

// Place is where the tables of one storage of the backup go.
type Place struct {
	ID       string `json:"id"` // the name that the storage had
	Storage  string `json:"storage"`
	Engine   string `json:"engine"`
	Endpoint string `json:"endpoint"`
	Identity string `json:"identity"`
}

// Plan is what a restore will do.
type Plan struct {
	ID       string      `json:"id"` // of the restore
	Backup   string      `json:"backup"`
	Moment   time.Time   `json:"moment"` // of the backup's cut
	Made     time.Time   `json:"made"`
	Places   []Place     `json:"places"`
	Tables   int         `json:"tables"`
	Rows     int64       `json:"rows"`
	Bytes    int64       `json:"bytes"`
	Seconds  int64       `json:"about_seconds"`
	Destroys int64       `json:"destroys_rows"` // rows that are in the way, as far as counted
	Steps    []Step      `json:"steps"`
	Findings []Finding   `json:"findings"`
	Sessions []Connected `json:"sessions"`
	// Done is how many steps are done already: more than 0 if the plan is
	// that of a restore under way.
	Done int `json:"done"`
}

// Finding is something that an operator should know before.
type Finding struct {
	ID string `json:"id"` // code and subject
	storage.Finding
}

// Connected is a session of somebody on a target.
type Connected struct {
	Storage string `json:"storage"`
	storage.Session
}

// Err returns nil if the plan can be executed, and otherwise what forbids it:
// class model.ErrRefused. Nothing has been changed.
func (p *Plan) Err() error {
	for _, f := range p.Findings {
		if f.Severity == storage.Blocker {
			hint := "Nothing was changed"
			if f.Fix != "" {
				hint = f.Fix + ". " + hint
			}
			return &model.Error{Class: model.ErrRefused, Detail: f.Text, Hint: hint}
		}
	}
	return nil
}

// rename gives the targets the names that they have by places now: the same
// databases may be configured under other ones. It is false if they are not the
// same.
func (p *Plan) rename(places []Place) bool {
	now := map[string]string{}
	for _, old := range p.Places {
		i := slices.IndexFunc(places, func(n Place) bool { return n.ID == old.ID && n.Identity == old.Identity })
		if i < 0 {
			return false
		}
		now[old.Storage] = places[i].Storage
	}
	for i, s := range p.Steps {
		name, ok := now[s.Storage]
		if !ok && s.Storage != "" {
			return false
		}
		p.Steps[i].Storage = name
	}
	p.Places = places
	return true
}

// fits checks a plan that was read from a journal against the backup: class
// model.ErrDamaged if it cannot be a plan for it.
func (p *Plan) fits(b Backup) error {
	tables := map[string]bool{}
	for _, t := range b.Tables() {
		tables[t.Table.Name().String()] = true
	}
	seen := map[string]bool{}
	for _, s := range p.Steps {
		needsTable := s.Kind == WithdrawCoordinator || s.Kind == Clear || s.Kind == Create || s.Kind == Load || s.Kind == LoadCoordinator
		needsStorage := needsTable || s.Kind == EndSessions || s.Kind == Mark || s.Kind == Unmark
		if seen[s.ID] || needsTable && !tables[s.Table] || needsStorage && s.Storage == "" {
			return badJournal("has a step %q (%s %s) that cannot be right", s.ID, s.Kind, s.Table)
		}
		seen[s.ID] = true
	}
	return nil
}

// seconds estimates how long so many rows take: an honest order of magnitude for
// a plan, from what small machines do.
func seconds(rows, bytes int64) int64 {
	const rowsPerSecond, bytesPerSecond = 20_000, 15 << 20
	return max(rows/rowsPerSecond, bytes/bytesPerSecond)
}
