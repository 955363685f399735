package restore

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/stillpoint-db/stillpoint/internal/marker"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

// planner looks at the targets and makes a plan.
type planner struct {
	opts   Options
	plan   *Plan
	places map[string]powers // by the backup's storage name
	order  []string          // the backup's storage names
	exists map[model.TableName]*model.Table
	rows   map[model.TableName]int64
	broken map[model.TableName]error // why a table that is there cannot be read
}

// Make looks at the backup and at the targets, and says what a restore would
// do; if a restore of this backup into these databases is under way, it returns
// the plan of that one. It changes nothing. What forbids the restore is in Plan.Err, not in the
// error; an error means that no plan could be made.
func Make(ctx context.Context, opts Options) (*Plan, error) {
	p, err := newPlanner(ctx, opts)
	if err != nil {
		return nil, err
	}
	j, err := underWay(ctx, opts, journalName(p.plan.Places), p)
	_, unsaid := errors.AsType[*unsaidError](err)
	switch {
	case unsaid || err == nil && j == nil:
		return p.plan, nil
	case err != nil:
		return nil, err
	}
	return j.Plan, nil
}

func newPlanner(ctx context.Context, opts Options) (*planner, error) {
	p := &planner{opts: opts, places: map[string]powers{}, exists: map[model.TableName]*model.Table{}, rows: map[model.TableName]int64{}, broken: map[model.TableName]error{},
		plan: &Plan{ID: newID(time.Now()), Backup: opts.Backup.ID(), Moment: opts.Backup.Moment().UTC(), Made: time.Now().UTC().Truncate(time.Second),
			Findings: []Finding{}, Sessions: []Connected{}}}
	if err := p.findPlaces(); err != nil {
		return nil, err
	}
	if err := p.inspect(ctx); err != nil {
		return nil, err
	}
	if err := p.look(ctx); err != nil {
		return nil, err
	}
	p.steps()
	return p, nil
}

func newID(now time.Time) string {
	var b [2]byte
	_, _ = rand.Read(b[:]) // never fails
	return "restore-" + now.UTC().Format("20060102T150405Z") + "-" + hex.EncodeToString(b[:])
}

func (p *planner) find(code string, s storage.Severity, subject, fix, format string, args ...any) {
	p.found(storage.Finding{Code: code, Severity: s, Subject: subject, Text: fmt.Sprintf(format, args...), Fix: fix})
}

func (p *planner) found(fs ...storage.Finding) {
	for _, f := range fs {
		p.plan.Findings = append(p.plan.Findings, Finding{ID: f.Code + " " + f.Subject, Finding: f})
	}
}

// findPlaces maps the backup's storages to targets.
func (p *planner) findPlaces() error {
	tables := p.opts.Backup.Tables()
	for _, t := range tables {
		if _, done := p.places[t.Storage]; done {
			continue
		}
		p.places[t.Storage] = powers{}
		p.order = append(p.order, t.Storage)
	}
	for old := range p.opts.Target.Into {
		if _, ok := p.places[old]; !ok {
			return model.Errorf(model.ErrBadArgument, "--into names storage %q, which is not in backup %s (it has %q)", old, p.opts.Backup.ID(), p.order)
		}
	}
	for _, from := range p.order {
		s, err := p.opts.Target.place(from, len(p.order) == 1)
		if err != nil {
			return err
		}
		pw, err := powersOf(s)
		if err != nil {
			return err
		}
		p.places[from] = pw
	}
	return nil
}

// targets lists the distinct target storages, in order.
func (p *planner) targets() []powers {
	var out []powers
	seen := map[string]bool{}
	for _, from := range p.order {
		if t := p.places[from]; !seen[t.Name()] {
			seen[t.Name()] = true
			out = append(out, t)
		}
	}
	return out
}

func (p *planner) byName() map[string]powers {
	m := map[string]powers{}
	for _, t := range p.targets() {
		m[t.Name()] = t
	}
	return m
}

// inspect asks each target what it is, what it forbids and who is there.
func (p *planner) inspect(ctx context.Context) error {
	found := map[string]storage.Inspection{}
	for _, t := range p.targets() {
		var names []model.TableName
		for _, bt := range p.opts.Backup.Tables() {
			if p.places[bt.Storage].Name() == t.Name() {
				names = append(names, bt.Table.Name())
			}
		}
		in, err := t.inspector.Inspect(ctx, storage.InspectOptions{Tables: names, Restore: true})
		if err != nil {
			return fmt.Errorf("look at storage %q: %w", t.Name(), err)
		}
		found[t.Name()] = in
		p.found(in.Findings...)
		sessions, err := t.connected(ctx)
		if err != nil {
			return fmt.Errorf("list the sessions of storage %q: %w", t.Name(), err)
		}
		for _, s := range sessions {
			p.plan.Sessions = append(p.plan.Sessions, Connected{t.Name(), s})
		}
	}
	for _, from := range p.order {
		t := p.places[from]
		in := found[t.Name()]
		p.plan.Places = append(p.plan.Places, Place{ID: from, Storage: t.Name(), Engine: in.Engine, Endpoint: in.Endpoint, Identity: in.Identity})
	}
	if n := len(p.plan.Sessions); n > 0 && !p.opts.TerminateSessions {
		p.find("connected", storage.Blocker, p.plan.Sessions[0].Storage, "Stop those applications, or end their sessions with --terminate-sessions", "%s", describeSessions(p.plan.Sessions))
	}
	return nil
}

// look compares the backup's tables with what is in the targets.
func (p *planner) look(ctx context.Context) error {
	for _, t := range p.targets() {
		marks, err := t.marks(ctx)
		if err != nil {
			return err
		}
		for _, m := range marks {
			p.find("half-restored", storage.Warning, t.Name(), "", "storage %q bears the mark of a restore of backup %s that was begun %s on %s and not finished", t.Name(), m.Backup, m.Begun, m.Host)
		}
	}
	for _, bt := range p.opts.Backup.Tables() {
		if err := p.lookAt(ctx, bt); err != nil {
			return fmt.Errorf("look at table %s in storage %q: %w", bt.Table.Name(), p.places[bt.Storage].Name(), err)
		}
	}
	return p.strangers(ctx)
}

func (p *planner) lookAt(ctx context.Context, bt BackupTable) error {
	name, t := bt.Table.Name(), p.places[bt.Storage]
	if route := p.opts.Target.Route; route != nil && route(name) != t.Name() {
		sev, fix := storage.Blocker, fmt.Sprintf("If it shall go to %q nevertheless, say --into %s=%s", t.Name(), bt.Storage, t.Name())
		if _, said := p.opts.Target.Into[bt.Storage]; said {
			sev, fix = storage.Warning, ""
		}
		p.find("routed-elsewhere", sev, name.String(), fix, "%s goes to storage %q, but clients of %s look for it in %q", name, t.Name(), p.opts.Target.Label, route(name))
	}
	if bt.Coordinator && p.opts.Target.Coordinator != (model.TableName{}) && p.opts.Target.Coordinator != name {
		p.find("other-coordinator", storage.Blocker, name.String(), "Set scalar.db.consensus_commit.coordinator.namespace="+name.Namespace,
			"the backup's Coordinator is %s, but clients of %s use %s", name, p.opts.Target.Label, p.opts.Target.Coordinator)
	}
	if err := t.Admin().CheckTable(ctx, bt.Table); err != nil {
		p.find("definition", storage.Blocker, name.String(), "", "table %s cannot be made in storage %q: %v", name, t.Name(), err)
		return nil
	}
	have, err := t.Admin().Table(ctx, name)
	if errors.Is(err, model.ErrNotFound) {
		return nil
	}
	var n int64
	if err == nil {
		n, err = t.count(ctx, have)
	} else {
		have = bt.Table // for all that can be told
	}
	if err != nil && transient(ctx, err) {
		return err
	}
	p.exists[name] = have
	if err != nil {
		p.broken[name] = err
		switch {
		case errors.Is(err, model.ErrNotFound): // lost: there is nothing to replace
			p.find("lost-table", storage.Warning, name.String(), "", "%s is not in %q, though the metadata there knows it", name, t.Name())
		case !p.opts.Replace:
			p.find("broken-table", storage.Blocker, name.String(), "--replace drops it and makes it anew", "%s in %q cannot be read, because it is not what the metadata says: %v", name, t.Name(), err)
		}
		return nil
	}
	p.rows[name] = n
	p.plan.Destroys += n
	switch {
	case p.opts.Replace:
	case n > 0:
		p.find("data-in-the-way", storage.Blocker, name.String(), "--replace drops them, --into MAP restores elsewhere",
			"refusing to restore over data: %s in %q holds %s", name, t.Name(), counted(n))
	case !have.Equal(bt.Table):
		p.find("other-definition", storage.Blocker, name.String(), "--replace drops it",
			"%s in %q is empty, and defined otherwise than in the backup: %s", name, t.Name(), difference(bt.Table, have))
	}
	return nil
}

// strangers warns of tables that the backup does not hold: in namespaces that it
// restores of all, elsewhere in the targets of those whose transactions the
// Coordinator decides.
func (p *planner) strangers(ctx context.Context) error {
	in := map[string]map[string]bool{} // storage to namespaces
	ours := map[model.TableName]bool{marker.TableName: true}
	for _, bt := range p.opts.Backup.Tables() {
		t := p.places[bt.Storage].Name()
		if in[t] == nil {
			in[t] = map[string]bool{}
		}
		in[t][bt.Table.Name().Namespace] = true
		ours[bt.Table.Name()] = true
	}
	for _, t := range p.targets() {
		namespaces, err := t.Admin().Namespaces(ctx)
		if err != nil {
			return err
		}
		for _, ns := range namespaces {
			names, err := t.Admin().Tables(ctx, ns)
			if err != nil {
				return err
			}
			for _, name := range names {
				if !ours[name] && (in[t.Name()][ns] || p.decidedByCoordinator(ctx, t, name)) {
					p.find("not-in-backup", storage.Warning, name.String(), "", "%s in %q is not in the backup and stays as it is; what is in doubt in it will be undone, because the Coordinator's rows are replaced", name, t.Name())
				}
			}
		}
	}
	return nil
}

// decidedByCoordinator tells whether a table outside of the backup is transactional
// and may be decided by the Coordinator that is replaced.
func (p *planner) decidedByCoordinator(ctx context.Context, t powers, name model.TableName) bool {
	if !slices.ContainsFunc(p.opts.Backup.Tables(), func(bt BackupTable) bool { return bt.Coordinator }) {
		return false
	}
	def, err := t.Admin().Table(ctx, name)
	return err == nil && record.IsTransactional(def) // what cannot be read is not for a warning
}

// steps writes the plan down.
func (p *planner) steps() {
	b := p.opts.Backup
	var total, bytes int64
	for _, t := range b.Tables() {
		total, bytes = total+t.Rows, bytes+t.Bytes
	}
	p.plan.Tables, p.plan.Rows, p.plan.Bytes = len(b.Tables()), total, bytes
	p.add(Step{Kind: VerifyBackup, Text: fmt.Sprintf("read all of backup %s and verify it: %s in %d tables, %s", b.ID(), rowCount(total), len(b.Tables()), size(bytes)), Rows: total, Bytes: bytes, Seconds: seconds(total/4, bytes/4)})
	for _, t := range p.targets() {
		n := 0
		for _, s := range p.plan.Sessions {
			if s.Storage == t.Name() {
				n++
			}
		}
		s := Step{Kind: EndSessions, Storage: t.Name(), Text: fmt.Sprintf("make sure that nobody else is connected to %q", t.Name())}
		if p.opts.TerminateSessions {
			s.Text = fmt.Sprintf("end all other sessions of %q (%d now)", t.Name(), n)
			if n > 0 {
				s.Destroys, s.Clients = "what those sessions have not committed", "their connections break"
			}
		}
		p.add(s)
	}
	for _, t := range p.targets() {
		p.add(Step{Kind: Mark, Storage: t.Name(), Text: fmt.Sprintf("mark %q as half restored (table %s)", t.Name(), marker.TableName), Clients: "from here until the last step, check and backup say that this database is half restored"})
	}
	p.clearing()
	p.filling()
	p.add(Step{Kind: Check, Text: "read everything back, compare it with what was loaded, and check that it is consistent", Rows: total, Bytes: bytes, Seconds: seconds(total/2, bytes/2)})
	for _, t := range p.targets() {
		p.add(Step{Kind: Unmark, Storage: t.Name(), Text: fmt.Sprintf("remove the mark from %q", t.Name()), Clients: "they may use it"})
	}
}

// right tells whether the table that is there may be emptied and filled.
func (p *planner) right(bt BackupTable) bool {
	name := bt.Table.Name()
	return p.exists[name] != nil && p.broken[name] == nil && p.exists[name].Equal(bt.Table)
}

// clearing adds the steps that destroy, the Coordinator's first.
func (p *planner) clearing() {
	for _, coordinator := range []bool{true, false} {
		for _, bt := range p.opts.Backup.Tables() {
			have, name, to := p.exists[bt.Table.Name()], bt.Table.Name(), p.places[bt.Storage].Name()
			if bt.Coordinator != coordinator || have == nil {
				continue
			}
			s := Step{Kind: Clear, Storage: to, Table: name.String(), Text: fmt.Sprintf("empty %s in %q", name, to), Rows: p.rows[bt.Table.Name()]}
			if s.Rows > 0 {
				s.Destroys = "the " + counted(s.Rows) + " in it"
			}
			switch {
			case coordinator:
				s.Kind, s.Text = WithdrawCoordinator, fmt.Sprintf("drop the Coordinator's table %s in %q", name, to)
				s.Clients = "no transaction can be decided until the table is there again: every client fails"
			case errors.Is(p.broken[name], model.ErrNotFound):
				s.Drop, s.Text = true, fmt.Sprintf("forget %s in %q: the metadata knows it, and it is not there", name, to)
			case p.broken[name] != nil:
				s.Drop, s.Text = true, fmt.Sprintf("drop %s in %q, which cannot be read: %v", name, to, p.broken[name])
				s.Destroys = "the table, all rows in it and the rights on it"
			case !p.right(bt):
				s.Drop, s.Text = true, fmt.Sprintf("drop %s in %q: %s", name, to, difference(bt.Table, have))
				s.Destroys = "the table, its " + counted(s.Rows) + " and the rights on it"
			}
			p.add(s)
		}
	}
}

// filling adds the steps that make and fill tables, the Coordinator's last.
func (p *planner) filling() {
	for _, bt := range p.opts.Backup.Tables() {
		name, to := bt.Table.Name(), p.places[bt.Storage].Name()
		if bt.Coordinator || p.right(bt) {
			continue
		}
		p.add(Step{Kind: Create, Storage: to, Table: name.String(), Text: fmt.Sprintf("make table %s in %q", name, to)})
	}
	for _, coordinator := range []bool{false, true} {
		for _, bt := range p.opts.Backup.Tables() {
			if bt.Coordinator != coordinator {
				continue
			}
			name, to := bt.Table.Name(), p.places[bt.Storage].Name()
			s := Step{Kind: Load, Storage: to, Table: name.String(), Rows: bt.Rows, Bytes: bt.Bytes, Seconds: seconds(bt.Rows, bt.Bytes),
				Text: fmt.Sprintf("load %s into %s in %q", rowCount(bt.Rows), name, to)}
			if coordinator {
				s.Kind = LoadCoordinator
				s.Text = fmt.Sprintf("make the Coordinator's table %s in %q, load %s into it, add ABORTED for transactions that were undone", name, to, rowCount(bt.Rows))
			}
			p.add(s)
		}
	}
}

func (p *planner) add(s Step) {
	s.ID = strconv.Itoa(len(p.plan.Steps) + 1)
	p.plan.Seconds += s.Seconds
	p.plan.Steps = append(p.plan.Steps, s)
}
