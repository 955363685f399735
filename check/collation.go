package check

import (
	"context"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// collated is a Source that can tell of keys in which different texts count as
// one.
type collated interface {
	// Collations lists warnings about such tables. It is advice: a database
	// that cannot be asked gives none.
	Collations(ctx context.Context, tables []Table) []storage.Finding
}

var _ collated = (*Databases)(nil)

// Collations asks the databases that can be inspected.
func (d *Databases) Collations(ctx context.Context, tables []Table) []storage.Finding {
	var out []storage.Finding
	for _, st := range d.set.Storages() {
		inspector, ok := st.(storage.Inspector)
		if !ok {
			continue
		}
		var names []model.TableName
		for _, t := range tables {
			if t.Storage == st.Name() {
				names = append(names, t.Name())
			}
		}
		if len(names) == 0 {
			continue
		}
		in, err := inspector.Inspect(ctx, storage.InspectOptions{Tables: names})
		if err != nil {
			continue
		}
		for _, f := range in.Findings {
			if f.Code == "collation" && f.Severity >= storage.Warning {
				out = append(out, f)
			}
		}
	}
	return out
}
