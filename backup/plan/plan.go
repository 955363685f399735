// Package plan decides how a set of databases can be backed up so that they
// show one moment, and finds everything that stands in the way before anything
// is touched.
//
// The decision, for the databases that hold transactional tables or the
// Coordinator's:
//
//	none            each database is copied by itself
//	one             one snapshot of it, no pause
//	several         a snapshot of each, opened under the commit fence, if every one of them
//	                can lock writers out and was seen to do so; otherwise refused
//
// Two storages that reach the same database count as one.
package plan

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/stillpoint-db/stillpoint/backup/manifest"
	"github.com/stillpoint-db/stillpoint/backup/repo"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/multi"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

// Options say what is to be backed up, and where to.
type Options struct {
	// CoordinatorNamespace is the configured one; "" = the default one.
	CoordinatorNamespace string
	// OnePhase tells whether the configuration allows one-phase commits.
	OnePhase bool
	// Exclude names tables to leave out: "namespace.table", or "namespace.*".
	Exclude []string
	// AcceptLost lets a backup be made without a database that is empty now and
	// is in the last one.
	AcceptLost bool
	// Repository is where the backup would go; nil = not asked for space.
	Repository repo.Repository
	// Scratch is the folder for staged data; "" = the system's temporary one.
	Scratch string
	// ProofBudget bounds how long the proof of a lock is tried while others
	// are in the way; 0 = 30 s.
	ProofBudget time.Duration
}

// ScratchFolder returns Scratch, or the system's temporary folder.
func (o Options) ScratchFolder() string {
	if o.Scratch != "" {
		return o.Scratch
	}
	return os.TempDir()
}

// Plan is what a backup would do. It holds the storages that it was made of,
// and is of use as long as they are open.
type Plan struct {
	Strategy  manifest.Strategy `json:"strategy"`
	Why       string            `json:"why"`
	Databases []*Database       `json:"storages"`
	Excluded  []string          `json:"excluded,omitempty"`
	Findings  []Finding         `json:"findings"`

	// Coordinator is the Coordinator's table; its Storage is "" if no table
	// is transactional.
	Coordinator Coordinator `json:"coordinator"`
}

// Coordinator says where decisions are made.
type Coordinator struct {
	Storage  string          `json:"storage"` // the Name of its Database
	Table    model.TableName `json:"-"`
	OnePhase bool            `json:"one_phase_commit"`
}

// Finding is a finding with the storage that it is about; "" = the whole.
type Finding struct {
	ID      string `json:"id"` // code and subject
	Storage string `json:"storage,omitempty"`
	storage.Finding
}

// Mechanism says how a database is copied.
type Mechanism string

// The mechanisms.
const (
	Alone       Mechanism = "snapshot"
	UnderFence  Mechanism = "snapshot under commit fence"
	Independent Mechanism = "snapshot by itself"
	None        Mechanism = "nothing to copy"
)

// Database is one database of the plan.
type Database struct {
	Name      string    `json:"id"`                // of the storage; of the first one by name, if several reach it
	Aliases   []string  `json:"aliases,omitempty"` // the other ones
	Engine    string    `json:"engine"`
	Version   string    `json:"version,omitempty"`
	Endpoint  string    `json:"endpoint,omitempty"`
	Identity  string    `json:"identity,omitempty"`
	Bytes     int64     `json:"bytes"` // estimate; -1 = unknown
	Mechanism Mechanism `json:"mechanism"`
	Tables    []*Table  `json:"tables"`

	Storage storage.Storage `json:"-"`

	instance string // of the running server
}

// Table is one table of the plan.
type Table struct {
	ID      string        `json:"id"` // namespace.table
	Storage string        `json:"storage"`
	Kind    manifest.Kind `json:"kind"`
	Rows    int64         `json:"rows"`  // estimate; -1 = unknown
	Bytes   int64         `json:"bytes"` // estimate; -1 = unknown

	Definition *model.Table `json:"-"`
}

// Names returns the names of the tables.
func (d *Database) Names() []model.TableName {
	names := make([]model.TableName, len(d.Tables))
	for i, t := range d.Tables {
		names[i] = t.Definition.Name()
	}
	return names
}

// CommitPoints returns the tables in which a commit point can lie: the
// Coordinator's, and every transactional one, since one-phase commits may
// happen in them.
func (d *Database) CommitPoints() []model.TableName {
	var names []model.TableName
	for _, t := range d.Tables {
		if t.Kind != manifest.Plain {
			names = append(names, t.Definition.Name())
		}
	}
	return names
}

// Make looks at the databases of a set and makes the plan for backing them up.
// It changes nothing. What speaks against the backup is in the plan's findings
// and Refusal; an error means that ctx ended or the options are wrong.
func Make(ctx context.Context, set *multi.Set, opts Options) (*Plan, error) {
	exclude, err := parseExclude(opts.Exclude)
	if err != nil {
		return nil, err
	}
	p := &Plan{Findings: []Finding{}}
	p.Coordinator = Coordinator{Table: record.CoordinatorName(opts.CoordinatorNamespace), OnePhase: opts.OnePhase}
	p.discover(ctx, set, exclude, opts.ScratchFolder())
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p.unused(exclude)
	p.checkCoordinator(set)
	p.checkOtherCoordinators()
	p.decide()
	if p.Strategy == manifest.Fenced && len(p.blockers()) == 0 {
		p.prove(ctx, opts.ProofBudget)
	}
	p.checkScratch(opts.ScratchFolder())
	p.checkSpace(ctx, opts)
	p.checkGone(ctx, opts)
	slices.SortStableFunc(p.Findings, func(a, b Finding) int { return int(b.Severity) - int(a.Severity) })
	return p, ctx.Err()
}

// find adds a finding.
func (p *Plan) find(store string, severity storage.Severity, code, subject, text, fix string) {
	p.found(store, storage.Finding{Code: code, Severity: severity, Subject: subject, Text: text, Fix: fix})
}

func (p *Plan) found(store string, f storage.Finding) {
	p.Findings = append(p.Findings, Finding{strings.TrimSuffix(f.Code+":"+f.Subject, ":"), store, f})
}

// nothingChanged ends every refusal.
const nothingChanged = "Nothing was changed"

// findError adds a blocker that an error tells of.
func (p *Plan) findError(store, code, subject string, err error) {
	fix := model.Hint(err)
	text := strings.TrimSuffix(strings.TrimSuffix(err.Error(), fix), ". ")
	p.find(store, storage.Blocker, code, subject, text, strings.TrimSuffix(fix, ". "+nothingChanged))
}

func (p *Plan) blockers() (list []Finding) {
	for _, f := range p.Findings {
		if f.Severity == storage.Blocker {
			list = append(list, f)
		}
	}
	return list
}

// Refusal returns why the backup must not begin, all reasons in one error of
// class model.ErrRefused; nil if it may.
func (p *Plan) Refusal() error {
	blockers := p.blockers()
	if len(blockers) == 0 {
		return nil
	}
	var reasons []string
	for _, f := range blockers {
		reasons = append(reasons, f.String())
	}
	return &model.Error{Class: model.ErrRefused, Op: "cannot start the backup", Detail: strings.Join(reasons, "; "), Hint: nothingChanged}
}

// String renders a finding for people, as in "my: bank.log is not …: fix".
func (f Finding) String() string {
	var b strings.Builder
	if f.Storage != "" {
		fmt.Fprintf(&b, "%s: ", f.Storage)
	}
	if f.Subject != "" && f.Subject != f.Storage && !strings.Contains(f.Text, f.Subject) {
		fmt.Fprintf(&b, "%s: ", f.Subject)
	}
	b.WriteString(f.Text)
	if f.Fix != "" {
		fmt.Fprintf(&b, " (%s)", strings.TrimSuffix(f.Fix, "."))
	}
	return b.String()
}

// Database finds a database by the name of any storage that reaches it; nil if
// there is none.
func (p *Plan) Database(storageName string) *Database {
	for _, d := range p.Databases {
		if d.Name == storageName || slices.Contains(d.Aliases, storageName) {
			return d
		}
	}
	return nil
}
