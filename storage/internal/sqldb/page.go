package sqldb

import (
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// Page collects the rows of one page of a scan.
type Page struct {
	sc    *Scan
	rows  []*model.Row
	bytes int
}

// NewPage begins a page.
func (sc *Scan) NewPage() *Page { return &Page{sc: sc} }

// Add takes a row and tells whether the page takes another one; if not, the
// rest of the result can be dropped.
func (p *Page) Add(r *model.Row) (more bool) {
	p.rows = append(p.rows, r)
	for _, v := range r.Values {
		p.bytes += len(v.Str())
	}
	return len(p.rows) < p.sc.Limit && p.bytes < PageBytes
}

// Finish returns the page. It has a token if a further page may hold rows.
func (p *Page) Finish() storage.Page {
	page := storage.Page{Rows: p.rows}
	full := len(p.rows) >= p.sc.Limit || p.bytes >= PageBytes
	if full && len(p.sc.order) > 0 && len(p.rows) > 0 {
		page.Next = p.sc.Token(p.rows[len(p.rows)-1])
	}
	return page
}
