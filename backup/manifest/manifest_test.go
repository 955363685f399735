package manifest_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stillpoint-db/stillpoint/backup/archive"
	"github.com/stillpoint-db/stillpoint/backup/fence"
	"github.com/stillpoint-db/stillpoint/backup/manifest"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

var update = flag.Bool("update", false, "write the golden file of the current version")

// full is a manifest with something in every field.
func full(t testing.TB) *manifest.Manifest {
	table, err := model.NewTable(model.TableSpec{
		Name:          model.TableName{Namespace: "bank", Name: "accounts"},
		Columns:       []model.Column{{Name: "id", Type: model.BigInt}, {Name: "day", Type: model.Date}, {Name: "note", Type: model.Text}},
		PartitionKey:  []string{"id"},
		ClusteringKey: []model.ClusteringColumn{{Name: "day", Order: model.Desc}},
		Indexes:       []string{"note"},
	})
	if err != nil {
		t.Fatal(err)
	}
	at := func(s int) time.Time { return time.Date(2026, 11, 22, 8, 30, s, 5000, time.UTC) }
	def := archive.Define(table)
	m := &manifest.Manifest{
		Format: manifest.Format, Version: manifest.Current, ID: "20261122T083001Z-7f3a", Stillpoint: "v0.1.0",
		Begun: at(1), Moment: at(2), Ended: at(3), Strategy: manifest.Fenced, Why: "because",
		Storages: []manifest.Storage{{Name: "pg", Aliases: []string{"pg2"}, Engine: "PostgreSQL", Version: "15.18",
			Endpoint: "PostgreSQL 127.0.0.1:5432/bank", Identity: "pg:1", Namespaces: []string{"bank"}, Opened: at(2)}},
		Fence: &fence.Report{Tries: 2, Spans: []fence.Span{{Storage: "pg", Asked: at(2), Granted: at(2), Released: at(2)}}, LongestStall: 9 * time.Millisecond,
			Busy: []fence.Busy{{Storage: "pg", Table: "bank.accounts", Reason: "busy", Holders: []storage.Session{{ID: "42", Age: time.Second}}}}},
		Coordinator: &manifest.Coordinator{Storage: "pg", Namespace: "coordinator", Table: "state", OnePhase: true},
		Tables: []manifest.Table{{Storage: "pg", Kind: manifest.Transactional, Definition: def, Hash: def.Hash(),
			Files: []manifest.File{{Name: "pg/bank.accounts/0000", Rows: 2, Raw: 30, Size: 20, Chunks: 1, SHA256: strings.Repeat("ab", 32)}}}},
		Excluded: []string{"bank.log"},
		Findings: []storage.Finding{{Code: "little-space", Severity: storage.Warning, Subject: "/backups", Text: "little", Fix: "make room"}},
	}
	m.Sum()
	return m
}

func TestAManifestComesBackAsItWas(t *testing.T) {
	m := full(t)
	data, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := manifest.Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(m, got); d != "" {
		t.Error(d)
	}
	name := model.TableName{Namespace: "bank", Name: "accounts"}
	if tb := got.Table(name); tb == nil || tb.Name() != name || tb.Rows != 2 || got.Totals.Size != 20 {
		t.Errorf("%+v", tb)
	}
	if got.Table(model.TableName{Namespace: "bank", Name: "none"}) != nil {
		t.Error("found a table that is not there")
	}
}

func TestManifestsOfEveryReleasedVersionAreRead(t *testing.T) {
	path := func(v manifest.Version) string { return filepath.Join("testdata", fmt.Sprintf("v%d.json", v)) }
	if *update {
		data, err := full(t).Encode()
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path(manifest.Current), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for v := manifest.V1; v <= manifest.Current; v++ {
		data, err := os.ReadFile(path(v))
		if err != nil {
			t.Fatal(err)
		}
		got, err := manifest.Decode(data)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(full(t), got); d != "" {
			t.Errorf("version %d: %s", v, d)
		}
	}
}

func TestAManifestThatContradictsItselfIsDamage(t *testing.T) {
	good, err := full(t).Encode()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string][2]string{
		"totals":     {`"tables": 1,`, `"tables": 2,`},
		"sums":       {`"rows": 2,`, `"rows": 3,`},
		"definition": {`"type": "BIGINT"`, `"type": "INT"`},
		"type":       {`"type": "BIGINT"`, `"type": "NUMBER"`},
		"order":      {`"order": "DESC"`, `"order": "UP"`},
		"kind":       {`"kind": "transactional"`, `"kind": "virtual"`},
		"format":     {`"format": "stillpoint-backup"`, `"format": "restic"`},
		"negative":   {`"chunks": 1,`, `"chunks": 1, "stored_bytes": -1,`},
		"not JSON":   {`{`, `[`},
	} {
		t.Run(name, func(t *testing.T) {
			bad := bytes.Replace(good, []byte(c[0]), []byte(c[1]), 1)
			if bytes.Equal(bad, good) {
				t.Fatal("nothing was changed")
			}
			if name == "negative" {
				bad = bytes.Replace(good, []byte(`"stored_bytes": 20,`), []byte(`"stored_bytes": -20,`), -1)
			}
			if _, err := manifest.Decode(bad); !errors.Is(err, model.ErrDamaged) {
				t.Error(err)
			}
		})
	}
	later := bytes.Replace(good, []byte(`"version": 1`), []byte(`"version": 2`), 1)
	if _, err := manifest.Decode(later); !errors.Is(err, model.ErrRefused) || !strings.Contains(err.Error(), "format 2") {
		t.Error(err)
	}
}

func FuzzDecode(f *testing.F) {
	data, err := full(f).Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"format":"stillpoint-backup","version":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := manifest.Decode(data)
		if err != nil {
			return
		}
		again, err := m.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := manifest.Decode(again); err != nil {
			t.Fatalf("what was decoded cannot be decoded again: %v", err)
		}
	})
}

func TestARecordOfAVerificationComesBackAsItWas(t *testing.T) {
	v := &manifest.Verified{Depth: manifest.Contents, At: time.Date(2026, 11, 22, 8, 30, 1, 0, time.UTC), Problems: []string{"one"}, Stillpoint: "v1"}
	data, err := v.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := manifest.DecodeVerified(data)
	if d := cmp.Diff(v, got); d != "" || err != nil {
		t.Error(d, err)
	}
	for _, bad := range []string{"", "{}", "[]"} {
		if _, err := manifest.DecodeVerified([]byte(bad)); !errors.Is(err, model.ErrDamaged) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func FuzzDecodeVerified(f *testing.F) {
	f.Add([]byte(`{"depth":"contents","at":"2026-11-22T08:30:01Z","problems":["one"],"stillpoint":"v1"}`))
	f.Add([]byte(`{"depth":""}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := manifest.DecodeVerified(data)
		if err != nil {
			if !errors.Is(err, model.ErrDamaged) {
				t.Fatal(err)
			}
			return
		}
		again, err := v.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if back, err := manifest.DecodeVerified(again); err != nil || back.Depth != v.Depth || !back.At.Equal(v.At) {
			t.Fatalf("%+v came back as %+v, %v", v, back, err)
		}
	})
}
