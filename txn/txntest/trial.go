package txntest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stillpoint-db/stillpoint/internal/history"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/faulty"
	"github.com/stillpoint-db/stillpoint/txn"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

// Bed is where trials run: one or several databases behind one storage.
type Bed struct {
	// Open connects a new process. The storage is closed when the trial ends.
	Open func(ctx context.Context) (storage.Storage, error)
	// Namespaces are those in which the trial may make tables, one for each
	// database that should take part.
	Namespaces []string
}

// Trial is one run of several processes with faults. Everything but the timing
// of real databases follows from the seed.
type Trial struct {
	Seed         uint64
	Processes    int // 0 = 3
	Clients      int // of each process; 0 = 2
	Transactions int // of each client; 0 = 15
	Isolation    txn.Isolation
	Lease        time.Duration // 0 = 60 ms
	NoFaults     bool
}

// Report is what a trial has shown.
type Report struct {
	History   history.History
	Anomalies []history.Anomaly
	Committed int
	Unknown   int
	Crashes   int
}

var trials atomic.Int64

// Run runs the trial. The error is one of the bed or of a transaction that
// failed as none may; anomalies are not errors.
func (tr Trial) Run(ctx context.Context, bed Bed) (rep Report, err error) {
	fill := func(n *int, v int) {
		if *n == 0 {
			*n = v
		}
	}
	fill(&tr.Processes, 3)
	fill(&tr.Clients, 2)
	fill(&tr.Transactions, 15)
	if tr.Lease == 0 {
		tr.Lease = 60 * time.Millisecond
	}
	r := &run{Trial: tr, bed: bed, nonce: fmt.Sprintf("%x%x", time.Now().UnixNano(), trials.Add(1))}
	defer func() { err = errors.Join(err, r.close()) }()
	if err := r.setUp(ctx); err != nil {
		return rep, err
	}
	var wg sync.WaitGroup
	for i := range tr.Processes {
		wg.Go(func() { r.process(ctx, i) })
	}
	wg.Wait()
	r.closeFaulty()
	if err := r.final(ctx); err != nil {
		r.fail(err)
	}
	rep.History = r.load.History.History()
	rep.Crashes = int(r.crashes.Load())
	for _, t := range rep.History {
		switch t.Outcome {
		case history.Committed:
			rep.Committed++
		case history.Unknown:
			rep.Unknown++
		}
	}
	rep.Anomalies = history.Check(rep.History, LevelOf(tr.Isolation))
	return rep, errors.Join(r.errs...)
}

// LevelOf returns what histories under an isolation level are held to.
func LevelOf(i txn.Isolation) history.Level {
	switch i {
	case txn.Serializable:
		return history.StrictSerializable
	case txn.ReadCommitted:
		return history.ReadCommitted
	}
	return history.Snapshot
}

// run is a trial under way.
type run struct {
	Trial
	bed     Bed
	nonce   string
	load    Workload
	crashes atomic.Int64
	ids     atomic.Int64

	mu     sync.Mutex
	open   []storage.Storage
	faulty []*faulty.Storage
	errs   []error
}

func (r *run) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errs = append(r.errs, err)
}

func (r *run) connect(ctx context.Context) (storage.Storage, error) {
	s, err := r.bed.Open(ctx)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open = append(r.open, s)
	return s, nil
}

// closeFaulty waits for what is delivered late.
func (r *run) closeFaulty() {
	for _, f := range r.faulty {
		f.Clear()
		f.Thaw()
		f.Wait()
	}
}

func (r *run) close() error {
	r.closeFaulty()
	var err error
	for _, s := range r.open {
		err = errors.Join(err, s.Close())
	}
	return err
}

func (r *run) setUp(ctx context.Context) error {
	s, err := r.connect(ctx)
	if err != nil {
		return err
	}
	r.load = Workload{Partitions: 2, Rows: 2, Isolation: r.Isolation, History: new(history.Recorder)}
	for _, ns := range r.bed.Namespaces {
		r.load.Tables = append(r.load.Tables, model.TableName{Namespace: ns, Name: "t" + r.nonce})
	}
	_, err = s.Admin().Table(ctx, record.CoordinatorName(""))
	switch {
	case errors.Is(err, model.ErrNotFound):
		err = Create(ctx, s, r.load.Tables...)
	case err == nil:
		err = createTables(ctx, s, r.load.Tables...)
	}
	if err != nil {
		return err
	}
	_, err = r.load.Import(ctx, s, rand.New(rand.NewPCG(r.Seed, 77)), "i"+r.nonce)
	return err
}

// options draws the options of a process's manager.
func (r *run) options(rng *rand.Rand) txn.Options {
	o := txn.Defaults()
	o.Isolation = r.Isolation
	o.OnePhaseCommit = rng.IntN(3) > 0
	o.AsyncCommit = rng.IntN(2) == 0
	if rng.IntN(4) == 0 {
		o.Schedule = txn.Textbook
	}
	o.Lease = r.Lease
	o.Sleep = func(ctx context.Context, d time.Duration) error { // as the manager's own, but faster
		select {
		case <-time.After(d / 20):
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return o
}

// process runs the clients of one process; when it crashes, another takes over.
func (r *run) process(ctx context.Context, i int) {
	rng := rand.New(rand.NewPCG(r.Seed, uint64(i)))
	left := r.Clients * r.Transactions
	for life := 0; left > 0; life++ {
		done, err := r.live(ctx, rng, fmt.Sprintf("%s-%d.%d", r.nonce, i, life), left)
		if err != nil {
			r.fail(err)
			return
		}
		left -= done
	}
}

// live runs one process until its clients have run so many transactions, or it
// crashes.
func (r *run) live(ctx context.Context, rng *rand.Rand, name string, left int) (done int, err error) {
	inner, err := r.connect(ctx)
	if err != nil {
		return 0, err
	}
	s := faulty.New(inner, rng.Uint64())
	r.mu.Lock()
	r.faulty = append(r.faulty, s)
	r.mu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	if !r.NoFaults {
		r.arm(s, rng)
		wg.Go(func() { // thaws whoever is frozen, after a lease
			tick := time.NewTicker(r.Lease + r.Lease/2)
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
					s.Thaw()
				case <-ctx.Done():
					return
				}
			}
		})
	}
	m, err := txn.Open(ctx, s, r.options(rng))
	if err != nil {
		cancel()
		wg.Wait()
		return 0, err
	}
	var ran atomic.Int64
	var clients sync.WaitGroup
	for c := range r.Clients {
		seed := rng.Uint64()
		clients.Go(func() { r.client(ctx, m, s, seed, fmt.Sprintf("%s.%d", name, c), left, &ran) })
	}
	clients.Wait()
	closing, stop := context.WithTimeout(ctx, 2*time.Minute) // a busy machine needs long
	err = m.Close(closing)
	stop()
	cancel()
	wg.Wait()
	select {
	case <-s.Crashed():
		r.crashes.Add(1)
		err = nil
	default:
	}
	return int(ran.Load()), err
}

// client runs transactions one after the other.
func (r *run) client(ctx context.Context, m *txn.Manager, s *faulty.Storage, seed uint64, name string, left int, ran *atomic.Int64) {
	rng := rand.New(rand.NewPCG(seed, 1))
	for range r.Transactions {
		select {
		case <-s.Crashed():
			return
		default:
		}
		if ran.Add(1) > int64(left) {
			return
		}
		id := fmt.Sprintf("%s.%d", name, r.ids.Add(1))
		_, err := r.load.Run(ctx, m, rng, id, nil)
		if err != nil && !Expected(err) {
			r.fail(fmt.Errorf("transaction %s: %w", id, err))
		}
	}
}

// Expected tells an error that a transaction of the workload may meet.
func Expected(err error) bool {
	for _, class := range []error{model.ErrConflict, model.ErrUnavailable, model.ErrUnknownOutcome, context.Canceled} {
		if errors.Is(err, class) {
			return true
		}
	}
	return false
}

// arm lets the writes of a process go wrong.
func (r *run) arm(s *faulty.Storage, rng *rand.Rand) {
	w := faulty.Mutate
	if rng.IntN(2) == 0 {
		e := faulty.CrashBefore
		if rng.IntN(2) == 0 {
			e = faulty.CrashAfter
		}
		s.Add(e.On(w).Nth(5 + rng.IntN(60)))
	}
	coordinator := record.CoordinatorName("")
	s.Add(
		faulty.FreezeBefore.On(w).Table(coordinator).Chance(0.03), // so long that others take it for dead
		faulty.FreezeBefore.On(w).Chance(0.01),
		faulty.FreezeAfter.On(w).Chance(0.01),
		faulty.LoseRequest.On(w).Chance(0.02),
		faulty.LoseAnswer.On(w).Chance(0.03),
		faulty.Late(r.Lease/4).On(w).Chance(0.01),
		faulty.Late(2*r.Lease).On(w).Chance(0.01),
		faulty.Conflict.On(w).Chance(0.02),
		faulty.Unavailable.On(faulty.Any).Chance(0.01),
		faulty.Delay(5*time.Millisecond).On(faulty.Get).Chance(0.1),
		faulty.Delay(time.Millisecond).On(faulty.Any).Chance(0.2),
	)
}

// final reads everything when all is quiet and every lease is over.
func (r *run) final(ctx context.Context) error {
	time.Sleep(2*r.Lease + 10*time.Millisecond) // a lease is real time here
	s, err := r.connect(ctx)
	if err != nil {
		return err
	}
	o := txn.Defaults()
	o.Lease = r.Lease
	m, err := txn.Open(ctx, s, o)
	if err != nil {
		return err
	}
	return errors.Join(r.load.Final(ctx, m, r.nonce+"-final"), m.Close(ctx))
}
