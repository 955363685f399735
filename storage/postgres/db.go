package postgres

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/internal/sqldb"
)

func init() { storage.Register("postgres", driver{}) }

type driver struct{}

// Open implements storage.Driver.
func (driver) Open(ctx context.Context, cfg storage.Config) (storage.Storage, error) {
	d, err := open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return d, nil
}

// db is one database as a storage. It has every power.
type db struct {
	name     string
	user     string
	endpoint string
	log      *slog.Logger
	pool     *pool
	single   *sqldb.Builder          // texts whose guards are told by a count of rows
	batch    *sqldb.Builder          // texts whose guards fail the flight
	admin    *sqldb.Admin            // each statement on its own
	wide     sync.Map                // model.TableName to uint32: see pageRows
	foreign  sync.Map                // names of unique constraints beside the primary key: see keyConstraint
	spare    atomic.Pointer[session] // for the next fence: see WarmFence
	closing  sync.Once
}

var (
	_ storage.Storage     = (*db)(nil)
	_ storage.Fencer      = (*db)(nil)
	_ storage.Snapshotter = (*db)(nil)
	_ storage.Loader      = (*db)(nil)
	_ storage.Inspector   = (*db)(nil)
)

func open(ctx context.Context, cfg storage.Config) (*db, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s, err := parseConfig(cfg)
	if err != nil {
		return nil, &model.Error{Class: model.ErrBadArgument, Op: "open storage", Subject: "\"" + cfg.Name + "\"", Err: err}
	}
	one, many := dialects()
	d := &db{name: cfg.Name, user: s.pg.User, endpoint: s.endpoint, log: cfg.Logger, pool: newPool(s.pg, s.size),
		single: sqldb.NewBuilder(one), batch: sqldb.NewBuilder(many)}
	d.admin = sqldb.NewAdmin(one, s.metadata, executor{db: d})
	c, err := d.pool.acquire(ctx) // the server answered the settings of the session
	if err != nil {
		return nil, d.notSent(err)
	}
	d.pool.release(c)
	return d, nil
}

// dialects returns the dialect of mutations that are alone in their flight and
// that of those in company, whose failing guard must fail the flight.
func dialects() (one, many *sqldb.Dialect) {
	a, b := sqldb.PostgreSQL, sqldb.PostgreSQL
	a.InsertSkips = true
	b.Wrap = func(st sqldb.Statement) string {
		switch {
		case st.Insert || st.Guard == storage.Always:
			return st.SQL // a duplicate key fails the flight
		case st.Query && st.Guard == storage.NotExists:
			return "SELECT 1/(1-count(*)) FROM (" + st.SQL + ") AS s"
		case st.Query:
			return "SELECT 1/count(*) FROM (" + st.SQL + ") AS s"
		}
		return "WITH u AS (" + st.SQL + " RETURNING 1) SELECT 1/count(*) FROM u"
	}
	return &a, &b
}

// Name implements storage.Storage.
func (d *db) Name() string { return d.name }

// Capabilities implements storage.Storage.
func (d *db) Capabilities(model.TableName) storage.Capabilities {
	return storage.Capabilities{Engine: "PostgreSQL", BatchedReads: true, CopyColumns: true, LockedChecks: true, AtomicScan: true,
		Snapshots: true, Fences: true, Loads: true}
}

// Unit implements storage.Storage: the whole database is one.
func (d *db) Unit(model.TableName, model.Key) storage.Unit { return storage.Unit{Storage: d.name} }

// Close implements storage.Storage.
func (d *db) Close() error {
	d.closing.Do(func() {
		if s := d.spare.Swap(nil); s != nil {
			s.close()
		}
		d.pool.close()
	})
	return nil
}
