// Package manifest is the record of a backup: what is in it, how it was taken,
// and how to tell that it is still what was written. It is the last thing that
// is written of a backup, as JSON.
package manifest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/stillpoint-db/stillpoint/backup/archive"
	"github.com/stillpoint-db/stillpoint/backup/fence"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// Format is what every manifest says that it is.
const Format = "stillpoint-backup"

// Version is the version of the manifest.
type Version int

// The history of the manifest. Fields that older readers may ignore do not
// change the version.
const (
	V1 Version = 1

	Current = V1
)

// Manifest describes a backup.
type Manifest struct {
	Format     string  `json:"format"`
	Version    Version `json:"version"`
	ID         string  `json:"id"`
	Stillpoint string  `json:"stillpoint"` // the version of the program that made it

	Begun  time.Time `json:"begun"`
	Moment time.Time `json:"moment"` // at which the last snapshot was opened: what was committed well before it is in the backup, what began to commit later is not
	Ended  time.Time `json:"ended"`

	Strategy Strategy `json:"strategy"`
	Why      string   `json:"why"` // the strategy was chosen, for people

	Storages []Storage `json:"storages"`
	// Fence says what the commit fence did; nil if none was needed.
	Fence       *fence.Report `json:"fence,omitempty"`
	Coordinator *Coordinator  `json:"coordinator,omitempty"` // nil if there is no transactional table
	Tables      []Table       `json:"tables"`
	Excluded    []string      `json:"excluded,omitempty"` // tables left out because the operator said so
	// Findings are the warnings that the plan showed.
	Findings []storage.Finding `json:"findings,omitempty"`
	Totals   Totals            `json:"totals"`
}

// Strategy says how the databases were brought to one moment.
type Strategy string

// The strategies.
const (
	Snapshot Strategy = "snapshot"       // one snapshot of one database
	Fenced   Strategy = "fence"          // a snapshot of each database, opened under the commit fence
	Each     Strategy = "each-by-itself" // a snapshot of each database, at moments of their own: nothing transactional is in them
)

// Storage is a database in the backup.
type Storage struct {
	Name       string   `json:"id"`
	Aliases    []string `json:"aliases,omitempty"` // other storages that are the same database
	Engine     string   `json:"engine"`
	Version    string   `json:"version,omitempty"`
	Endpoint   string   `json:"endpoint,omitempty"`
	Identity   string   `json:"identity,omitempty"`
	Namespaces []string `json:"namespaces"`
	// Opened is when its snapshot was open.
	Opened time.Time `json:"opened"`
}

// Coordinator says where decisions are.
type Coordinator struct {
	Storage   string `json:"storage"`
	Namespace string `json:"namespace"`
	Table     string `json:"table"`
	// OnePhase tells whether the configuration allowed one-phase commits, which
	// leave no row in the Coordinator's table. Other writers may differ.
	OnePhase bool `json:"one_phase_commit"`
}

// Kind says what a table is.
type Kind string

// The kinds of tables.
const (
	Transactional Kind = "transactional"
	CoordinatorOf Kind = "coordinator"
	Plain         Kind = "plain" // not transactional: consistent within its database only
)

// Table is a table in the backup.
type Table struct {
	ID         string             `json:"id"` // namespace.table
	Storage    string             `json:"storage"`
	Kind       Kind               `json:"kind"`
	Definition archive.Definition `json:"definition"`
	Hash       string             `json:"definition_sha256"`
	Rows       int64              `json:"rows"`
	Raw        int64              `json:"bytes"`        // of the rows before compression
	Size       int64              `json:"stored_bytes"` // of the files
	Files      []File             `json:"files"`
}

// Name returns the table's name.
func (t *Table) Name() model.TableName {
	return model.TableName{Namespace: t.Definition.Namespace, Name: t.Definition.Name}
}

// File is a file of rows.
type File struct {
	Name   string `json:"id"` // within the backup
	Rows   int64  `json:"rows"`
	Raw    int64  `json:"bytes"`
	Size   int64  `json:"stored_bytes"`
	Chunks int    `json:"chunks"`
	SHA256 string `json:"sha256"` // hexadecimal
}

// Totals are sums over all tables.
type Totals struct {
	Tables int   `json:"tables"`
	Rows   int64 `json:"rows"`
	Raw    int64 `json:"bytes"`
	Size   int64 `json:"stored_bytes"`
}

// Sum sets the ids of the tables, and the totals.
func (m *Manifest) Sum() {
	m.Totals = Totals{Tables: len(m.Tables)}
	for i := range m.Tables {
		t := &m.Tables[i]
		t.ID = t.Name().String()
		t.Rows, t.Raw, t.Size = 0, 0, 0
		for _, f := range t.Files {
			t.Rows, t.Raw, t.Size = t.Rows+f.Rows, t.Raw+f.Raw, t.Size+f.Size
		}
		m.Totals.Rows, m.Totals.Raw, m.Totals.Size = m.Totals.Rows+t.Rows, m.Totals.Raw+t.Raw, m.Totals.Size+t.Size
	}
}

// Encode renders the manifest.
func (m *Manifest) Encode() ([]byte, error) {
	m.Format, m.Version = Format, Current
	b, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, err
	}
	return append(b, '\n'), nil
}

// Decode reads a manifest: model.ErrRefused if a later version wrote it,
// model.ErrDamaged if it is not one.
func Decode(data []byte) (*Manifest, error) {
	var head struct {
		Format  string  `json:"format"`
		Version Version `json:"version"`
	}
	if err := json.Unmarshal(data, &head); err != nil || head.Format != Format || head.Version < V1 {
		return nil, model.Errorf(model.ErrDamaged, "this is not the manifest of a backup")
	}
	if head.Version > Current {
		return nil, &model.Error{Class: model.ErrRefused, Detail: fmt.Sprintf("the backup has format %d; this version of stillpoint reads up to %d", head.Version, Current),
			Hint: "Read it with the version that made it, or a later one"}
	}
	var m Manifest
	dec := json.NewDecoder(bytes.NewReader(data))
	if err := dec.Decode(&m); err != nil {
		return nil, model.Errorf(model.ErrDamaged, "the manifest of the backup cannot be read: %w", err)
	}
	return &m, m.check()
}

// check looks that a manifest does not contradict itself.
func (m *Manifest) check() error {
	seen := map[string]bool{}
	for i := range m.Tables {
		t := &m.Tables[i]
		if _, err := t.Definition.Table(); err != nil {
			return err
		}
		if t.Kind != Transactional && t.Kind != CoordinatorOf && t.Kind != Plain {
			return model.Errorf(model.ErrDamaged, "the manifest says that %s is of kind %q, which there is not", t.Name(), t.Kind)
		}
		if t.Hash != t.Definition.Hash() {
			return model.Errorf(model.ErrDamaged, "the manifest's definition of %s is not the one that it was written with", t.Name())
		}
		for _, f := range t.Files {
			if seen[f.Name] || f.Rows < 0 || f.Raw < 0 || f.Size < 0 {
				return model.Errorf(model.ErrDamaged, "the manifest lists file %q twice or with negative numbers", f.Name)
			}
			seen[f.Name] = true
		}
	}
	sums := *m
	sums.Tables = slices.Clone(m.Tables)
	sums.Sum()
	for i, t := range sums.Tables {
		if u := m.Tables[i]; t.ID != u.ID || t.Rows != u.Rows || t.Raw != u.Raw || t.Size != u.Size {
			return model.Errorf(model.ErrDamaged, "the manifest's id or numbers of %s are not those of its definition and its files", t.Name())
		}
	}
	if sums.Totals != m.Totals {
		return model.Errorf(model.ErrDamaged, "the manifest's totals are not the sums of its tables")
	}
	return nil
}

// Table finds a table by its name; nil if there is none.
func (m *Manifest) Table(name model.TableName) *Table {
	for i := range m.Tables {
		if m.Tables[i].Name() == name {
			return &m.Tables[i]
		}
	}
	return nil
}
