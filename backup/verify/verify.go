// Package verify tells whether a backup is still what was written: it reads
// every file, reports every problem and not only the first, and says what can
// still be restored. It needs nothing but the repository.
package verify

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/stillpoint-db/stillpoint/backup/catalog"
	"github.com/stillpoint-db/stillpoint/backup/manifest"
	"github.com/stillpoint-db/stillpoint/backup/repo"
	"github.com/stillpoint-db/stillpoint/model"
)

// Options say how far a backup is verified.
type Options struct {
	// Depth: manifest.Files looks at sizes and checksums only; "" =
	// manifest.Contents. manifest.Trial needs a Trial.
	Depth manifest.Depth
	// Workers is how many files are read at once; 0 = one for each processor.
	Workers int
	// Trial restores the backup into scratch databases and checks them. Its
	// error is a problem of the backup if its class is model.ErrDamaged, tells
	// of the data that was backed up if it is model.ErrInconsistent, and ends
	// the verification otherwise.
	Trial func(ctx context.Context, b *catalog.Backup) error
	// Progress is told how many bytes of files were read; may be nil. It is
	// called from several goroutines.
	Progress func(bytes int64)
	// Version is that of the program, for the record.
	Version string
	// Keys is the most keys whose fingerprints are held in memory; tables that
	// have more are read several times. 0 = 16 million (128 MB).
	Keys int64
}

// Report says what a verification found.
type Report struct {
	ID    string         `json:"backup"`
	Depth manifest.Depth `json:"depth"`
	At    time.Time      `json:"at"`
	Files int            `json:"files"`
	Rows  int64          `json:"rows"` // read; 0 if contents were not
	Size  int64          `json:"stored_bytes"`

	Problems []Problem `json:"problems"`
	// Restorable are the tables that no problem touches; Lost are the others.
	Restorable []string `json:"restorable"`
	Lost       []string `json:"lost"`
	// LastComplete is the newest backup before this one of which no problem
	// is known; "" = none.
	LastComplete string `json:"last_complete,omitempty"`
	// Inconsistent says which rule the data breaks, as it did when it was
	// backed up; "" = none, or it was not looked at. The backup is whole.
	Inconsistent string `json:"inconsistent,omitempty"`
	// Unrecorded says why the result could not be noted beside the backup; ""
	// = it was.
	Unrecorded string `json:"unrecorded,omitempty"`

	repo string // where it lies, for hints
}

// Problem is one thing that is wrong.
type Problem struct {
	ID    string `json:"id"`              // the file; the table; "manifest"; "trial-restore"
	Table string `json:"table,omitempty"` // that is lost by it; "" = none, or all if ID is the manifest
	Where string `json:"where,omitempty"` // in the file
	Text  string `json:"text"`
}

// String renders a problem for people.
func (p Problem) String() string {
	if p.Where != "" {
		return fmt.Sprintf("%s (%s): %s", p.ID, p.Where, p.Text)
	}
	return p.ID + ": " + p.Text
}

// Err returns what the report means: nil, or an error of class model.ErrDamaged
// that names every problem and what can still be restored, or one of class
// model.ErrInconsistent if the backup is whole and its data breaks a rule.
func (r *Report) Err() error {
	if len(r.Problems) == 0 && r.Inconsistent != "" {
		return &model.Error{Class: model.ErrInconsistent, Detail: fmt.Sprintf("backup %s is whole and can be restored, and its data is inconsistent, as it was when it was backed up: %s", r.ID, r.Inconsistent),
			Hint: "See all of it with: stillpoint check --repo " + r.repo + " --backup " + r.ID}
	}
	if len(r.Problems) == 0 {
		return nil
	}
	const most = 10
	var texts []string
	for _, p := range r.Problems[:min(len(r.Problems), most)] {
		texts = append(texts, p.String())
	}
	if n := len(r.Problems) - most; n > 0 {
		texts = append(texts, fmt.Sprintf("and %d more", n))
	}
	still := "nothing"
	switch {
	case len(r.Lost) == 0 && len(r.Restorable) > 0:
		still = "everything"
	case len(r.Restorable) > 0:
		still = "everything but " + strings.Join(r.Lost, ", ")
	}
	last := r.LastComplete
	if last == "" {
		last = "none"
	}
	return &model.Error{Class: model.ErrDamaged, Detail: fmt.Sprintf("backup %s is damaged: %s", r.ID, strings.Join(texts, "; ")),
		Hint: fmt.Sprintf("Still restorable: %s; last complete backup before it: %s", still, last)}
}

// Run verifies a sealed backup, given by its id or as catalog.Latest, and
// records the result beside its manifest if that can be written to. What is wrong
// with the backup is in the report; an error means that it could not be verified: model.ErrNotFound
// if there is no such backup, model.ErrRefused if a later version made it.
func Run(ctx context.Context, r repo.Repository, id string, opts Options) (*Report, error) {
	if opts.Depth == "" {
		opts.Depth = manifest.Contents
	}
	if opts.Keys <= 0 {
		opts.Keys = 16 << 20
	}
	if opts.Workers <= 0 {
		opts.Workers = runtime.GOMAXPROCS(0)
	}
	id, err := catalog.Resolve(ctx, r, id)
	if err != nil {
		return nil, err
	}
	v := &verifier{opts: opts, report: &Report{repo: r.Location(), ID: id, Depth: opts.Depth, At: time.Now().UTC().Truncate(time.Second),
		Problems: []Problem{}, Restorable: []string{}, Lost: []string{}}}
	b, err := catalog.Open(ctx, r, id)
	switch {
	case errors.Is(err, model.ErrDamaged):
		v.add(Problem{ID: "manifest", Text: strings.TrimPrefix(err.Error(), "backup "+id+" is damaged: ")})
	case err != nil:
		return nil, err
	default:
		if err := v.backup(ctx, b); err != nil {
			return nil, err
		}
	}
	if err := v.conclude(ctx, r, b); err != nil {
		return nil, err
	}
	return v.report, nil
}

// backup verifies a backup whose manifest is whole.
func (v *verifier) backup(ctx context.Context, b *catalog.Backup) error {
	v.b = b
	found, err := b.Files().Files(ctx)
	if err != nil {
		return err
	}
	sizes := map[string]int64{}
	for _, f := range found {
		sizes[f.Name] = f.Size
	}
	for _, group := range v.groups(b.Manifest.Tables) {
		if err := v.tables(ctx, group, sizes); err != nil {
			return err
		}
	}
	for name := range sizes {
		v.add(Problem{ID: name, Text: "the file does not belong to the backup"})
	}
	if v.opts.Depth == manifest.Trial && len(v.report.Problems) == 0 {
		return v.trial(ctx)
	}
	return nil
}

// groups cuts the tables into runs that are verified together: as many as have
// no more than Options.Keys keys among them, so that the memory for keys does not
// grow with the number of tables; at least one.
func (v *verifier) groups(tables []manifest.Table) (groups [][]*table) {
	var room int64
	for i := range tables {
		t := v.table(&tables[i])
		keys := min(t.Rows, v.opts.Keys)
		if len(groups) == 0 || keys > room {
			groups, room = append(groups, nil), v.opts.Keys
		}
		last := len(groups) - 1
		groups[last], room = append(groups[last], t), room-keys
	}
	return groups
}

// tables verifies some tables together, and takes their files out of sizes.
func (v *verifier) tables(ctx context.Context, tables []*table, sizes map[string]int64) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(v.opts.Workers)
	for _, t := range tables {
		for j := range t.Files {
			f := &t.Files[j]
			size, there := sizes[f.Name]
			delete(sizes, f.Name)
			if !there {
				v.add(Problem{ID: f.Name, Table: t.name, Text: "the file is missing"})
				t.lose()
				continue
			}
			g.Go(func() error { return v.file(gctx, t, f, size) })
		}
	}
	if err := g.Wait(); err != nil || v.opts.Depth == manifest.Files {
		return err
	}
	for _, t := range tables {
		if err := v.keys(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

// trial restores the backup into scratch and checks it.
func (v *verifier) trial(ctx context.Context) error {
	if v.opts.Trial == nil {
		return model.Errorf(model.ErrBadArgument, "this program has no trial restore")
	}
	err := v.opts.Trial(ctx, v.b)
	switch {
	case errors.Is(err, model.ErrDamaged):
		v.add(Problem{ID: "trial-restore", Text: err.Error()})
	case errors.Is(err, model.ErrInconsistent):
		v.report.Inconsistent = err.Error()
	default:
		return err
	}
	return nil
}

// conclude says what is still restorable, and records the result.
func (v *verifier) conclude(ctx context.Context, r repo.Repository, b *catalog.Backup) error {
	rep := v.report
	slices.SortFunc(rep.Problems, func(x, y Problem) int {
		return strings.Compare(x.ID+"\x00"+x.Where+"\x00"+x.Text, y.ID+"\x00"+y.Where+"\x00"+y.Text)
	})
	if b != nil {
		lost := map[string]bool{}
		for _, p := range rep.Problems {
			lost[p.Table] = true
		}
		for i := range b.Manifest.Tables {
			name := b.Manifest.Tables[i].Name().String()
			if lost[name] {
				rep.Lost = append(rep.Lost, name)
			} else {
				rep.Restorable = append(rep.Restorable, name)
			}
		}
		if err := v.record(ctx, b); err != nil {
			if ctx.Err() != nil {
				return err
			}
			rep.Unrecorded = err.Error() // what was found is true all the same
		}
	}
	if len(rep.Problems) == 0 {
		return nil
	}
	list, err := catalog.List(ctx, r)
	if err != nil {
		return err
	}
	for _, e := range list {
		if e.ID < rep.ID && e.State == repo.Sealed && e.Problem == "" && (e.Verified == nil || e.Verified.Sound) {
			rep.LastComplete = e.ID
		}
	}
	return nil
}

// record notes the result beside the manifest.
func (v *verifier) record(ctx context.Context, b *catalog.Backup) error {
	const most = 20
	rec := manifest.Verified{Depth: v.report.Depth, At: v.report.At, Sound: len(v.report.Problems) == 0, Inconsistent: v.report.Inconsistent, Stillpoint: v.opts.Version}
	for _, p := range v.report.Problems[:min(len(v.report.Problems), most)] {
		rec.Problems = append(rec.Problems, p.String())
	}
	data, err := rec.Encode()
	if err != nil {
		return err
	}
	return b.Files().PutNote(ctx, manifest.VerifiedNote, data)
}
