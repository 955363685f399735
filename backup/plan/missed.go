package plan

import (
	"context"
	"errors"
	"slices"

	"github.com/stillpoint-db/stillpoint/internal/marker"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage/multi"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

// Missed lists the transactional tables that are there now and that the plan
// neither has nor leaves out on purpose: they were made after it. A backup without
// them would hold one half of the transactions that have written to them.
func (p *Plan) Missed(ctx context.Context, set *multi.Set, exclude []string) ([]model.TableName, error) {
	out, err := parseExclude(exclude)
	if err != nil {
		return nil, err
	}
	known := map[model.TableName]bool{marker.TableName: true}
	for _, d := range p.Databases {
		for _, name := range d.Names() {
			known[name] = true
		}
	}
	var missed []model.TableName
	for _, st := range set.Storages() {
		namespaces, err := st.Admin().Namespaces(ctx)
		if err != nil {
			return nil, err
		}
		for _, ns := range namespaces {
			names, err := st.Admin().Tables(ctx, ns)
			if err != nil {
				return nil, err
			}
			for _, name := range names {
				if known[name] || set.Route(name).Name() != st.Name() || slices.ContainsFunc(out, func(e *exclusion) bool { return e.matches(name) }) {
					continue
				}
				t, err := st.Admin().Table(ctx, name)
				if errors.Is(err, model.ErrNotFound) {
					continue // dropped again
				}
				if err != nil {
					return nil, err
				}
				if record.IsTransactional(t) {
					missed = append(missed, name)
				}
			}
		}
	}
	return missed, nil
}
