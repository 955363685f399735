package sqldb

import (
	"encoding/binary"
	"sync"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// Bounds of the caches: beyond them texts are built again, never wrong.
const (
	maxTables = 1024
	maxShapes = 512
)

// Builder makes the texts of statements and keeps them. It may be used by
// several goroutines at once.
type Builder struct {
	d      *Dialect
	mu     sync.RWMutex
	tables map[*model.Table]*tableTexts
}

// tableTexts are the texts for one table.
type tableTexts struct {
	name    string // quoted
	columns string // quoted list
	get     string
	mu      sync.RWMutex
	shapes  map[string]*Statement // by shape
	scans   map[string]string     // by text: one copy of each
	many    map[int]string        // GetMany by number of keys
}

// NewBuilder makes a Builder.
func NewBuilder(d *Dialect) *Builder {
	return &Builder{d: d, tables: map[*model.Table]*tableTexts{}}
}

// Dialect returns the builder's dialect.
func (b *Builder) Dialect() *Dialect { return b.d }

func (b *Builder) texts(t *model.Table) *tableTexts {
	b.mu.RLock()
	tt, ok := b.tables[t]
	b.mu.RUnlock()
	if ok {
		return tt
	}
	tt = &tableTexts{name: b.d.Table(t.Name()), shapes: map[string]*Statement{}, scans: map[string]string{}, many: map[int]string{}}
	var cols []byte
	for i, c := range t.Columns() {
		if i > 0 {
			cols = append(cols, ',')
		}
		cols = b.d.appendIdent(cols, c.Name)
	}
	tt.columns = string(cols)
	w := b.writer(nil)
	w.str("SELECT ").str(tt.columns).str(" FROM ").str(tt.name).str(" WHERE ")
	w.keys(t)
	tt.get = string(w.b)
	b.mu.Lock()
	defer b.mu.Unlock()
	if had, ok := b.tables[t]; ok {
		return had
	}
	if len(b.tables) >= maxTables {
		clear(b.tables)
	}
	b.tables[t] = tt
	return tt
}

// Get returns the text that reads a row by its key.
func (b *Builder) Get(t *model.Table) string { return b.texts(t).get }

// Columns returns the quoted list of a table's columns.
func (b *Builder) Columns(t *model.Table) string { return b.texts(t).columns }

// InsertAll returns the text that inserts a row, all its columns given.
func (b *Builder) InsertAll(t *model.Table) string {
	w := b.writer(nil)
	w.str("INSERT INTO ").str(b.texts(t).name).str(" (").str(b.texts(t).columns).str(") VALUES (")
	for i := range t.Columns() {
		if i > 0 {
			w.str(",")
		}
		w.arg()
	}
	return string(append(w.b, ')'))
}

// GetMany returns the text that reads n rows of one table by their keys, all
// values of the first key first. The rows come in any order, missing ones not
// at all.
func (b *Builder) GetMany(t *model.Table, n int) string {
	tt := b.texts(t)
	if n == 1 {
		return tt.get
	}
	tt.mu.RLock()
	sql, ok := tt.many[n]
	tt.mu.RUnlock()
	if ok {
		return sql
	}
	w := b.writer(nil)
	w.str("SELECT ").str(tt.columns).str(" FROM ").str(tt.name).str(" WHERE ")
	for i := range n {
		if i > 0 {
			w.str(" OR ")
		}
		w.str("(").keys(t)
		w.str(")")
	}
	sql = string(w.b)
	tt.mu.Lock()
	defer tt.mu.Unlock()
	if len(tt.many) < maxShapes {
		tt.many[n] = sql
	}
	return sql
}

// Mutation returns the statement of a mutation that CheckBatch has passed.
func (b *Builder) Mutation(m *storage.Mutation) *Statement {
	tt := b.texts(m.Table)
	var space [96]byte
	shape := append(space[:0], byte(m.Kind), byte(m.Guard.Kind), byte(len(m.Set)))
	for i := range m.Set {
		shape = binary.AppendUvarint(shape, uint64(m.Table.Position(m.Set[i].Column)))
		if m.Set[i].From != "" {
			shape = binary.AppendUvarint(append(shape, 0xff, 0xff), uint64(m.Table.Position(m.Set[i].From)))
		}
	}
	shape = append(shape, 0xff, 0xfe)
	for i := range m.Guard.Conditions {
		c := &m.Guard.Conditions[i]
		shape = append(binary.AppendUvarint(shape, uint64(m.Table.Position(c.Column))), byte(c.Op))
	}
	tt.mu.RLock()
	st, ok := tt.shapes[string(shape)]
	tt.mu.RUnlock()
	if ok {
		return st
	}
	st = b.buildMutation(tt, m)
	tt.mu.Lock()
	defer tt.mu.Unlock()
	if had, ok := tt.shapes[string(shape)]; ok {
		return had
	}
	if len(tt.shapes) < maxShapes {
		tt.shapes[string(shape)] = st
	}
	return st
}

// intern returns the one copy of a scan's text.
func (tt *tableTexts) intern(text []byte) string {
	tt.mu.RLock()
	s, ok := tt.scans[string(text)]
	tt.mu.RUnlock()
	if ok {
		return s
	}
	s = string(text)
	tt.mu.Lock()
	defer tt.mu.Unlock()
	if had, ok := tt.scans[s]; ok {
		return had
	}
	if len(tt.scans) < maxShapes {
		tt.scans[s] = s
	}
	return s
}

// writer writes the text of one statement.
type writer struct {
	d *Dialect
	b []byte
	n int // placeholders so far
}

func (b *Builder) writer(buf []byte) *writer { return &writer{d: b.d, b: buf} }

func (w *writer) str(s string) *writer {
	w.b = append(w.b, s...)
	return w
}

func (w *writer) ident(name string) *writer {
	w.b = w.d.appendIdent(w.b, name)
	return w
}

func (w *writer) arg() *writer {
	w.n++
	w.b = w.d.appendPlaceholder(w.b, w.n)
	return w
}

// keys writes k1=? AND k2=? ….
func (w *writer) keys(t *model.Table) {
	for i := range t.KeyLen() {
		if i > 0 {
			w.str(" AND ")
		}
		w.ident(t.Columns()[i].Name).str("=").arg()
	}
}

// condition writes one comparison; LIKE takes a pattern made by likePattern.
func (w *writer) condition(c *model.Condition) {
	w.ident(c.Column)
	switch c.Op {
	case model.IsNull, model.IsNotNull:
		w.str(" ").str(c.Op.String())
	case model.Like, model.NotLike:
		w.str(" ").str(c.Op.String()).str(" ").arg().str(likeEscapeClause)
	default:
		w.str(c.Op.String()).arg()
	}
}
