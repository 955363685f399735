package storagetest

import (
	"errors"
	"testing"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

func (x *suite) testLoad(t *testing.T) {
	wide := x.table(t, wideSpec())
	loader, ok := x.s.(storage.Loader)
	if ok != x.s.Capabilities(wide.Name()).Loads {
		t.Fatalf("the storage is a Loader: %v, its capabilities say: %v", ok, !ok)
	}
	if !ok {
		return
	}
	var rows []*model.Row
	for n := range int32(3000) {
		r := &model.Row{Table: wide, Values: []model.Value{model.TextValue("p"), model.IntValue(n)}}
		for _, typ := range allTypes {
			vs := append(samples(typ), model.Null(typ))
			r.Values = append(r.Values, vs[int(n)%len(vs)])
		}
		rows = append(rows, r)
	}
	stream := func(yield func(*model.Row, error) bool) {
		for _, r := range rows {
			if !yield(r, nil) {
				return
			}
		}
	}
	n, err := loader.Load(t.Context(), wide, stream)
	if err != nil || n != int64(len(rows)) {
		t.Fatalf("Load: %d, %v", n, err)
	}
	got := scanAll(t, x.s, storage.Scan{Table: wide, Partition: []model.Value{model.TextValue("p")}}, 0)
	if len(got) != len(rows) {
		t.Fatalf("%d rows, want %d", len(got), len(rows))
	}
	for i := range rows {
		if !sameRow(got[i], rows[i]) {
			t.Fatalf("row %d is %s, want %s", i, show(got[i]), show(rows[i]))
		}
	}
	if _, err := loader.Load(t.Context(), wide, stream); !errors.Is(err, model.ErrExists) {
		t.Errorf("loading the rows again: %v", err)
	}
	broken := errors.New("the source is broken")
	_, err = loader.Load(t.Context(), wide, func(yield func(*model.Row, error) bool) { yield(nil, broken) })
	if !errors.Is(err, broken) {
		t.Errorf("loading from a broken source: %v", err)
	}
}

func (x *suite) testInspect(t *testing.T) {
	inspector, ok := x.s.(storage.Inspector)
	if !ok {
		return
	}
	table := x.table(t, things())
	write(t, x.s, upsert(table, key("a", 1)))
	for _, opts := range []storage.InspectOptions{{}, {Backup: true}, {Restore: true}} {
		opts.Tables = []model.TableName{table.Name()}
		in, err := inspector.Inspect(t.Context(), opts)
		if err != nil {
			t.Fatal(err)
		}
		if in.Engine == "" || in.Version == "" || in.Endpoint == "" || in.Identity == "" || len(in.Tables) != 1 || in.Tables[0].Name != table.Name() {
			t.Errorf("inspection %+v", in)
		}
		for _, f := range in.Findings {
			if f.Severity == storage.Blocker {
				t.Errorf("a healthy database has a blocker: %+v", f)
			}
		}
		if two := x.second(t); two != nil {
			again, err := two.(storage.Inspector).Inspect(t.Context(), opts)
			if err != nil || again.Identity != in.Identity || again.Instance != in.Instance {
				t.Errorf("the same database is %q (%q) and %q (%q), %v", in.Identity, in.Instance, again.Identity, again.Instance, err)
			}
		}
	}
	if _, err := inspector.Sessions(t.Context()); err != nil {
		t.Errorf("Sessions: %v", err)
	}
}
