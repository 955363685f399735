package plan

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/stillpoint-db/stillpoint/backup/manifest"
	"github.com/stillpoint-db/stillpoint/internal/marker"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/multi"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

// look is what was seen through one storage.
type look struct {
	storage    storage.Storage
	seen       []*model.Table // all that are there
	tables     []*model.Table // of those, the ones routed to it and not excluded
	inspection storage.Inspection
	err        error
}

// discover finds the databases behind the storages and the tables in them.
func (p *Plan) discover(ctx context.Context, set *multi.Set, exclude []*exclusion, scratch string) {
	storages := slices.SortedFunc(slices.Values(set.Storages()), func(a, b storage.Storage) int { return strings.Compare(a.Name(), b.Name()) })
	looks := make([]*look, len(storages))
	var wg sync.WaitGroup
	for i, st := range storages {
		looks[i] = &look{storage: st}
		wg.Go(func() { looks[i].seen, looks[i].err = definitions(ctx, st) })
	}
	wg.Wait()
	for _, l := range looks {
		for _, t := range l.seen {
			if t.Name() == marker.TableName {
				p.find(l.storage.Name(), storage.Blocker, "half-restored", t.Name().String(), "a restore into it is not finished: a backup of it would be of no use", "Finish that first: stillpoint restore run")
				continue
			}
			if home := set.Route(t.Name()); home.Name() != l.storage.Name() {
				p.strayed(looks, l, home, t)
			} else if !p.excluded(exclude, t.Name()) {
				l.tables = append(l.tables, t)
			}
		}
	}
	for _, l := range looks {
		wg.Go(func() {
			if l.err == nil {
				l.inspect(ctx, scratch)
			}
		})
	}
	wg.Wait()
	for _, l := range looks {
		p.add(l)
	}
	p.checkPairs()
}

// definitions reads the definitions of all tables of a storage.
func definitions(ctx context.Context, st storage.Storage) ([]*model.Table, error) {
	namespaces, err := st.Admin().Namespaces(ctx)
	if err != nil {
		return nil, err
	}
	var tables []*model.Table
	for _, ns := range namespaces {
		names, err := st.Admin().Tables(ctx, ns)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			t, err := st.Admin().Table(ctx, name)
			if errors.Is(err, model.ErrNotFound) {
				continue // dropped meanwhile
			}
			if err != nil {
				return nil, err
			}
			tables = append(tables, t)
		}
	}
	return tables, nil
}

// strayed notes a table that is in a storage other than the one which the
// configuration looks for it in, unless that one holds it too: then both are
// the same database, or this one is a leftover which nobody reads.
func (p *Plan) strayed(looks []*look, l *look, home storage.Storage, t *model.Table) {
	for _, other := range looks {
		if other.storage.Name() == home.Name() && slices.ContainsFunc(other.seen, func(u *model.Table) bool { return u.Name() == t.Name() }) {
			return
		}
	}
	p.find(l.storage.Name(), storage.Warning, "not-routed", t.Name().String(),
		fmt.Sprintf("%s is there, but the configuration looks for it in %q: it is left out", t.Name(), home.Name()), "")
}

// inspect asks the storage what a backup must know.
func (l *look) inspect(ctx context.Context, scratch string) {
	var names []model.TableName
	for _, t := range l.tables {
		names = append(names, t.Name())
	}
	i, ok := l.storage.(storage.Inspector)
	if !ok {
		var first model.TableName
		if len(names) > 0 {
			first = names[0]
		}
		l.inspection = storage.Inspection{Engine: l.storage.Capabilities(first).Engine, Bytes: -1}
		return
	}
	l.inspection, l.err = i.Inspect(ctx, storage.InspectOptions{Tables: names, Backup: true, Scratch: scratch})
}

// add adds what was seen through a storage to its database.
func (p *Plan) add(l *look) {
	name, in := l.storage.Name(), l.inspection
	if l.err != nil {
		code := "unreachable"
		if !errors.Is(l.err, model.ErrUnavailable) {
			code = "unreadable"
		}
		p.findError(name, code, name, l.err)
		p.Databases = append(p.Databases, &Database{Name: name, Engine: in.Engine, Bytes: -1, Mechanism: None, Storage: l.storage, Tables: []*Table{}})
		return
	}
	for _, f := range in.Findings {
		p.found(name, f)
	}
	if len(l.seen) == 0 {
		p.find(name, storage.Warning, noTables, name, fmt.Sprintf("storage %q holds no ScalarDB table at all: nothing of it will be in the backup", name), "is it the right database?")
	}
	var d *Database
	same := func(d *Database) bool {
		return in.Identity != "" && d.Identity == in.Identity && d.instance == in.Instance
	}
	if i := slices.IndexFunc(p.Databases, same); i >= 0 {
		d = p.Databases[i]
		d.Aliases = append(d.Aliases, name)
		p.find(name, storage.Info, "same-database", name, fmt.Sprintf("%q and %q are the same database, which is copied once", d.Name, name), "")
		if d.Bytes >= 0 && in.Bytes >= 0 {
			d.Bytes += in.Bytes
		} else {
			d.Bytes = -1
		}
	} else {
		d = &Database{Name: name, Engine: in.Engine, Version: in.Version, Endpoint: in.Endpoint, Identity: in.Identity,
			Bytes: in.Bytes, Mechanism: None, Storage: l.storage, Tables: []*Table{}, instance: in.Instance}
		p.Databases = append(p.Databases, d)
	}
	for _, t := range l.tables {
		d.Tables = append(d.Tables, p.table(name, t, in.Tables))
	}
	slices.SortFunc(d.Tables, func(a, b *Table) int { return a.Definition.Name().Compare(b.Definition.Name()) })
}

// table classifies a table.
func (p *Plan) table(store string, t *model.Table, infos []storage.TableInfo) *Table {
	pt := &Table{ID: t.Name().String(), Storage: store, Rows: -1, Bytes: -1, Definition: t}
	switch {
	case t.Name() == p.Coordinator.Table:
		pt.Kind = manifest.CoordinatorOf
	case record.IsTransactional(t):
		pt.Kind = manifest.Transactional
	default:
		pt.Kind = manifest.Plain
		p.find(store, storage.Warning, "not-transactional", pt.ID,
			pt.ID+" is not transactional: its copy is consistent within its own database only", "leave it out with --exclude "+pt.ID)
	}
	if i := slices.IndexFunc(infos, func(in storage.TableInfo) bool { return in.Name == t.Name() }); i >= 0 {
		pt.Rows, pt.Bytes = infos[i].Rows, infos[i].Bytes
	}
	return pt
}

// checkPairs refuses tables whose transaction columns are kept in a table of
// their own.
func (p *Plan) checkPairs() {
	const suffix = "_tx_metadata"
	for _, d := range p.Databases {
		for _, t := range d.Tables {
			base, ok := strings.CutSuffix(t.Definition.Name().Name, suffix)
			if !ok || t.Definition.Position(record.TxID) < 0 || t.Definition.Position(record.TxState) < 0 {
				continue
			}
			name := model.TableName{Namespace: t.Definition.Name().Namespace, Name: base}
			p.find(t.Storage, storage.Blocker, "decoupled-metadata", t.ID,
				fmt.Sprintf("%s keeps its transaction columns apart, in %s; such tables cannot be backed up yet", name, t.ID),
				"create the table without transaction-metadata-decoupling, or leave both parts out with --exclude")
		}
	}
}
