package txn

import (
	"context"
	"time"

	"github.com/stillpoint-db/stillpoint/internal/mutant"
)

// preparation is what a decision stands on: records that were seen prepared.
type preparation struct {
	groups []*group
	seen   time.Time // when they were last known to be there, or before that
}

// trusted is how long prepared records are taken to be there without a look.
const trusted = 2 * time.Second

// stillPrepared looks whether the prepared records are still there, if that was
// last known some time ago. Other transactions cannot take them away without
// writing ABORTED, which the decision would meet. But this process may have been
// frozen, and the databases have been restored meanwhile to a moment before the
// preparation: no row of the Coordinator's table tells of it then, and a decision
// would make that half of the transaction true which it writes itself.
func (tx *Tx) stillPrepared(ctx context.Context, p *preparation) error {
	now := tx.m.opts.Now()
	if len(p.groups) == 0 || now.Sub(p.seen) < trusted || mutant.On("txn.trust-preparation") {
		return nil
	}
	var fs []fetched
	for _, g := range p.groups {
		for _, e := range g.entries {
			fs = append(fs, fetched{table: e.table, key: e.key})
		}
	}
	if err := tx.m.fetchRaw(ctx, fs); err != nil {
		return tx.failed("commit", nil, "nothing of it is committed", err)
	}
	for i := range fs {
		if f := &fs[i]; f.row == nil || f.table.IsCommitted(f.row) || f.table.WriterID(f.row) != tx.id {
			return tx.conflict("commit", "what it had prepared of "+f.String()+" is gone: it was silent for too long, or the database was restored meanwhile", nil)
		}
	}
	p.seen = now
	return nil
}
