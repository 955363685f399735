package sqldb

import (
	"strconv"
	"sync"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// Sizes of a page. One that is shorter than the scan's limit has a token.
const (
	PageRows  = 1024    // rows, where the scan gives no limit
	pageMost  = 8192    // rows, whatever the limit of the scan
	PageBytes = 1 << 22 // of TEXT and BLOB values, after which no further row is taken
)

// Scan is the statement that reads one page.
type Scan struct {
	SQL   string
	Args  []model.Value
	Limit int // the most rows that it returns; they are asked of the database

	table *model.Table
	order []orderColumn // total: the last ones make each row distinct
	hash  uint64
}

// orderColumn is a column of the order of a scan.
type orderColumn struct {
	pos  int // in the table
	desc bool
	null bool // may be NULL
}

var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 1024); return &b }}

// Scan checks a request, decodes its token and makes its statement. Errors have
// class model.ErrBadArgument.
func (b *Builder) Scan(s *storage.Scan) (*Scan, error) {
	if err := b.d.CheckScan(s); err != nil {
		return nil, err
	}
	t := s.Table
	sc := &Scan{table: t, Limit: min(s.Limit, pageMost), order: b.d.scanOrder(s)}
	if sc.Limit <= 0 {
		sc.Limit = PageRows
	}
	sc.hash = scanHash(s, sc.order)
	var after []model.Value
	if s.Token != "" {
		var err error
		if after, err = decodeToken(s.Token, sc); err != nil {
			return nil, err
		}
	}
	tt := b.texts(t)
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	w := scanWriter{writer: b.writer((*buf)[:0]), sc: sc}
	w.str("SELECT ").str(tt.columns).str(" FROM ").str(tt.name)
	if s.OrIndex == "" {
		w.rows(s, s.IndexColumn, after)
	} else {
		w.either(s, tt.name, after)
		w.orderBy()
		w.limit()
	}
	*buf = w.b
	sc.SQL = tt.intern(w.b)
	return sc, nil
}

// scanOrder is the order in which a scan comes, made total by the key.
func (d *Dialect) scanOrder(s *storage.Scan) []orderColumn {
	t := s.Table
	order := make([]orderColumn, 0, len(s.OrderBy)+t.KeyLen())
	has := func(pos int) bool {
		for _, o := range order {
			if o.pos == pos {
				return true
			}
		}
		return false
	}
	for _, o := range s.OrderBy {
		if pos := t.Position(o.Column); !has(pos) {
			order = append(order, orderColumn{pos, o.Order == model.Desc, !t.IsKey(pos)})
		}
	}
	directed := s.Kind == storage.ScanPartition || d.OrderedKey
	for i := range t.KeyLen() {
		if s.Kind == storage.ScanPartition && i < t.PartitionLen() || has(i) {
			continue
		}
		desc := false
		if c := i - t.PartitionLen(); directed && c >= 0 {
			desc = (t.ClusteringOrder(c) == model.Desc) != s.Reverse
		}
		order = append(order, orderColumn{pos: i, desc: desc})
	}
	return order
}

// scanWriter writes the text of a scan and collects its arguments.
type scanWriter struct {
	*writer
	sc    *Scan
	conds int
}

// rows writes which rows a page has, in their order. column is that of an index.
func (w *scanWriter) rows(s *storage.Scan, column string, after []model.Value) {
	w.conds = 0
	switch s.Kind {
	case storage.ScanPartition:
		for i, v := range s.Partition {
			w.and().compare(i, "=", v)
		}
		w.bounds(s)
	case storage.ScanIndex:
		w.and().compare(s.Table.Position(column), "=", s.IndexValue)
	}
	w.where(s.Where)
	if after != nil {
		w.and().after(after)
	}
	w.orderBy()
	w.limit()
}

// either joins the rows of two indexes by their keys. Each index is read for
// itself, since not every engine uses two where a condition has OR; in one
// statement, since what moves from one to the other in between would be missed.
func (w *scanWriter) either(s *storage.Scan, table string, after []model.Value) {
	w.str(" t JOIN (") // without an alias, a table u would be in the way
	for i, column := range [2]string{s.IndexColumn, s.OrIndex} {
		if i > 0 {
			w.str(" UNION ")
		}
		w.str("SELECT ")
		w.keyColumns()
		w.str(" FROM (SELECT ")
		w.keyColumns()
		w.str(" FROM ").str(table)
		w.rows(s, column, after)
		w.str(") q").str(strconv.Itoa(i))
	}
	w.str(") u USING (")
	w.keyColumns()
	w.str(")")
}

func (w *scanWriter) keyColumns() {
	for i := range w.sc.table.KeyLen() {
		if i > 0 {
			w.str(",")
		}
		w.column(i)
	}
}

func (w *scanWriter) limit() {
	w.str(" LIMIT ").arg()
	w.sc.Args = append(w.sc.Args, model.BigIntValue(int64(w.sc.Limit)))
}

// and begins the next condition of the WHERE clause.
func (w *scanWriter) and() *scanWriter {
	if w.conds++; w.conds == 1 {
		w.str(" WHERE ")
	} else {
		w.str(" AND ")
	}
	return w
}

func (w *scanWriter) column(pos int) { w.ident(w.sc.table.Columns()[pos].Name) }

func (w *scanWriter) compare(pos int, op string, v model.Value) {
	w.column(pos)
	w.str(op).arg()
	w.sc.Args = append(w.sc.Args, v)
}

func (w *scanWriter) bounds(s *storage.Scan) {
	first := s.Table.PartitionLen()
	longer := s.Start.Values
	if len(longer) == 0 {
		longer = s.End.Values
	}
	for i, v := range longer {
		if i < len(longer)-1 {
			w.and().compare(first+i, "=", v)
		}
	}
	last := first + len(longer) - 1
	if n := len(s.Start.Values); n > 0 {
		op := ">="
		if s.Start.Exclusive {
			op = ">"
		}
		w.and().compare(last, op, s.Start.Values[n-1])
	}
	if n := len(s.End.Values); n > 0 {
		op := "<="
		if s.End.Exclusive {
			op = "<"
		}
		w.and().compare(last, op, s.End.Values[n-1])
	}
}

func (w *scanWriter) where(p model.Predicate) {
	if len(p) == 0 {
		return
	}
	for _, and := range p {
		if len(and) == 0 {
			return // true whatever the row
		}
	}
	w.and().str("(")
	for i, and := range p {
		if i > 0 {
			w.str(" OR ")
		}
		for j := range and {
			c := &and[j]
			if j > 0 {
				w.str(" AND ")
			}
			w.condition(c)
			switch c.Op {
			case model.IsNull, model.IsNotNull:
			case model.Like, model.NotLike:
				w.sc.Args = append(w.sc.Args, model.TextValue(likePattern(c.Value.Str(), c.Escape)))
			default:
				w.sc.Args = append(w.sc.Args, c.Value)
			}
		}
	}
	w.str(")")
}

func (w *scanWriter) orderBy() {
	for i, o := range w.sc.order {
		if i == 0 {
			w.str(" ORDER BY ")
		} else {
			w.str(",")
		}
		w.column(o.pos)
		if o.desc {
			w.str(" DESC")
		}
	}
}
