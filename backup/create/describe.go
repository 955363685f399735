package create

import (
	"slices"
	"time"

	"github.com/stillpoint-db/stillpoint/backup/archive"
	"github.com/stillpoint-db/stillpoint/backup/fence"
	"github.com/stillpoint-db/stillpoint/backup/manifest"
	"github.com/stillpoint-db/stillpoint/backup/plan"
	"github.com/stillpoint-db/stillpoint/storage"
)

// describe begins the manifest with what the plan knows.
func (b *run) describe(id string, now time.Time) *manifest.Manifest {
	p := b.plan
	m := &manifest.Manifest{ID: id, Stillpoint: b.opts.Version, Begun: now, Strategy: p.Strategy, Why: p.Why, Excluded: p.Excluded,
		Storages: []manifest.Storage{}, Tables: []manifest.Table{}}
	for _, d := range p.Databases {
		s := manifest.Storage{Name: d.Name, Aliases: d.Aliases, Engine: d.Engine, Version: d.Version,
			Endpoint: d.Endpoint, Identity: d.Identity, Namespaces: []string{}}
		for _, n := range d.Names() {
			if !slices.Contains(s.Namespaces, n.Namespace) {
				s.Namespaces = append(s.Namespaces, n.Namespace)
			}
		}
		m.Storages = append(m.Storages, s)
	}
	if c := p.Coordinator; c.Storage != "" {
		m.Coordinator = &manifest.Coordinator{Storage: c.Storage, Namespace: c.Table.Namespace, Table: c.Table.Name, OnePhase: c.OnePhase}
	}
	for _, f := range p.Findings {
		if f.Severity == storage.Warning {
			if f.Storage != "" {
				f.Subject = f.Storage + ": " + f.Subject
			}
			m.Findings = append(m.Findings, f.Finding)
		}
	}
	return m
}

// entry describes a copied table.
func entry(t *table, files []manifest.File) manifest.Table {
	def := archive.Define(t.def)
	if files == nil {
		files = []manifest.File{} // of a table without rows
	}
	return manifest.Table{Storage: t.plan.Storage, Kind: t.plan.Kind, Definition: def, Hash: def.Hash(), Files: files}
}

// silent is the Progress of those who want none.
type silent struct{}

func (silent) Planned(*plan.Plan)          {}
func (silent) Opened(*fence.Report)        {}
func (silent) Copying(string, int64)       {}
func (silent) Copied(string, int64, int64) {}
func (silent) Complete(string)             {}
