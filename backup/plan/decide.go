package plan

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/stillpoint-db/stillpoint/backup/manifest"
	"github.com/stillpoint-db/stillpoint/backup/repo"
	"github.com/stillpoint-db/stillpoint/internal/progress"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/multi"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

// has tells whether the database holds a table of one of the kinds.
func (d *Database) has(kinds ...manifest.Kind) bool {
	return slices.ContainsFunc(d.Tables, func(t *Table) bool { return slices.Contains(kinds, t.Kind) })
}

// checkCoordinator looks that the Coordinator's table is there and is one.
func (p *Plan) checkCoordinator(set *multi.Set) {
	name := p.Coordinator.Table
	home := set.Route(name).Name()
	db := p.Database(home)
	if i := slices.IndexFunc(db.Tables, func(t *Table) bool { return t.Kind == manifest.CoordinatorOf }); i >= 0 {
		p.Coordinator.Storage = db.Name
		if err := record.CheckCoordinatorTable(db.Tables[i].Definition); err != nil {
			p.findError(home, "coordinator-unusable", name.String(), err)
		}
		return
	}
	if !slices.ContainsFunc(p.Databases, func(d *Database) bool { return d.has(manifest.Transactional) }) {
		return
	}
	p.Coordinator.Storage = db.Name
	switch {
	case slices.Contains(p.Excluded, name.String()):
		p.find(home, storage.Blocker, "coordinator-excluded", name.String(), fmt.Sprintf("without the Coordinator's table %s nothing that is in doubt could be settled after a restore", name), "do not exclude it")
	case slices.ContainsFunc(p.Findings, func(f Finding) bool { return f.Storage == home && f.Code == "unreachable" }):
		// Said already.
	default:
		p.find(home, storage.Blocker, "coordinator-missing", name.String(), fmt.Sprintf("the Coordinator's table %s is not there", name),
			"create it with: stillpoint schema create --coordinator; or name its namespace in scalar.db.consensus_commit.coordinator.namespace")
	}
}

// checkOtherCoordinators refuses a second table that may be a Coordinator's. What
// it decides is not fenced by its lock, and after a restore the Coordinator of the
// configuration would be asked about it, and know nothing.
func (p *Plan) checkOtherCoordinators() {
	if !slices.ContainsFunc(p.Databases, func(d *Database) bool { return d.has(manifest.Transactional) }) {
		return
	}
	for _, d := range p.Databases {
		for _, t := range d.Tables {
			if t.Kind == manifest.Plain && record.CheckCoordinatorTable(t.Definition) == nil {
				p.find(t.Storage, storage.Blocker, "second-coordinator", t.ID,
					fmt.Sprintf("%s is a Coordinator's table too, and the configuration names %s: a backup of tables whose transactions it decides could be torn", t.ID, p.Coordinator.Table),
					"if your applications use it, set scalar.db.consensus_commit.coordinator.namespace="+t.Definition.Name().Namespace+
						"; otherwise leave it out, with the tables of those who do, if there are any: --exclude "+t.ID)
			}
		}
	}
}

// decide chooses the strategy and looks that every database can do its part.
func (p *Plan) decide() {
	var all, tx []*Database
	for _, d := range p.Databases {
		if len(d.Tables) == 0 {
			continue
		}
		all = append(all, d)
		if d.has(manifest.Transactional, manifest.CoordinatorOf) {
			tx = append(tx, d)
		}
	}
	rest := ""
	if n := len(all) - len(tx); n > 0 && len(tx) > 0 {
		rest = "; databases without any are copied by themselves"
	}
	mechanism := Alone
	switch {
	case len(all) == 0:
		p.Strategy, p.Why = manifest.Each, "there is no table to back up"
		if len(p.blockers()) == 0 {
			p.find("", storage.Blocker, "nothing-there", "", "there is no table to back up", "create tables with: stillpoint schema create --schema FILE --coordinator")
		}
	case len(tx) == 0:
		p.Strategy, p.Why = manifest.Each, "no table is transactional, so each database is copied by itself"
	case len(tx) == 1:
		p.Strategy, p.Why = manifest.Snapshot, fmt.Sprintf("all transactional tables are in one database (%s): one snapshot of it, no pause%s", tx[0].Name, rest)
	default:
		mechanism = UnderFence
		p.Strategy = manifest.Fenced
		p.Why = fmt.Sprintf("transactions span %d databases that can lock writers out for a moment: snapshots under one commit fence, no pause%s", len(tx), rest)
	}
	for _, d := range all {
		d.Mechanism = Independent
		if slices.Contains(tx, d) {
			d.Mechanism = mechanism
		}
		can := d.Storage.Capabilities(d.Tables[0].Definition.Name())
		if _, ok := d.Storage.(storage.Snapshotter); !ok || !can.Snapshots {
			p.find(d.Name, storage.Blocker, "no-snapshot", d.Name, fmt.Sprintf("%s has no snapshots that can be read at leisure", d.Engine), "")
		}
		if _, ok := d.Storage.(storage.Fencer); d.Mechanism == UnderFence && (!ok || !can.Fences) {
			p.find(d.Name, storage.Blocker, "no-fence", d.Name, fmt.Sprintf("%s has no lock that holds all of its writers, so several databases cannot be brought to one moment", d.Engine), "")
		}
	}
}

// prove has every database show that its lock holds a second session's write.
func (p *Plan) prove(ctx context.Context, budget time.Duration) {
	if budget <= 0 {
		budget = 30 * time.Second
	}
	for _, d := range p.Databases {
		if d.Mechanism != UnderFence {
			continue
		}
		err := proveOne(ctx, d, budget)
		if busy, is := errors.AsType[*storage.FenceBusyError](err); is {
			p.find(d.Name, storage.Blocker, "fence-busy", d.Name, fmt.Sprintf("its lock was not granted within %v: %v", budget, busy), "end what holds the lock, or try at a quieter time")
		} else if err != nil {
			p.findError(d.Name, "fence-unproven", d.Name, err)
		}
	}
}

func proveOne(ctx context.Context, d *Database, budget time.Duration) error {
	begin, pause := time.Now(), 50*time.Millisecond
	for {
		err := d.Storage.(storage.Fencer).ProveFence(ctx, storage.FenceOptions{Tables: d.CommitPoints()})
		if _, busy := errors.AsType[*storage.FenceBusyError](err); !busy {
			return err
		}
		rest := pause/2 + rand.N(pause)
		if time.Since(begin)+rest > budget {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(rest):
			pause = min(2*pause, time.Second)
		}
	}
}

// checkScratch looks that data can be staged.
func (p *Plan) checkScratch(folder string) {
	if err := repo.CheckWritable(folder); err != nil {
		p.find("", storage.Blocker, "scratch-unusable", folder, err.Error(), "give another folder for staged data with --scratch")
	}
}

// checkSpace compares what the backup takes, as far as that can be told, with
// the room that there is.
func (p *Plan) checkSpace(ctx context.Context, opts Options) {
	if opts.Repository == nil {
		return
	}
	var data int64
	for _, d := range p.Databases {
		data += max(0, d.Bytes)
	}
	where := opts.Repository.Location()
	var free int64
	_, err := opts.Repository.List(ctx)
	if err == nil || errors.Is(err, model.ErrNotFound) { // it will be made
		free, err = opts.Repository.Free(ctx)
	}
	// Rows compress to a quarter at best, and hardly ever grow.
	switch {
	case err != nil:
		p.findError("", "repository-unusable", where, err)
	case free >= 0 && free < data/4:
		p.find("", storage.Blocker, "no-space", where, fmt.Sprintf("the tables hold about %s, and %s has %s left", progress.Size(data), where, progress.Size(free)), "make room, or give another --repo")
	case free >= 0 && free < data:
		p.find("", storage.Warning, "little-space", where, fmt.Sprintf("the tables hold about %s before compression, and %s has %s left", progress.Size(data), where, progress.Size(free)), "")
	}
}
