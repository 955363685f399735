package restore

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// WriteText renders the plan as a runbook.
func (p *Plan) WriteText(w io.Writer) error {
	b := &strings.Builder{}
	fmt.Fprintf(b, "restore of backup %s, taken %s, to\n", p.Backup, p.Moment.Format("2006-01-02T15:04:05.000Z"))
	for _, pl := range p.Places {
		from := ""
		if pl.ID != pl.Storage {
			from = fmt.Sprintf(" (in the backup: %q)", pl.ID)
		}
		fmt.Fprintf(b, "  %-10s %s%s\n", pl.Storage, pl.Endpoint, from)
	}
	if p.Done > 0 {
		fmt.Fprintf(b, "under way: %d of %d steps are done; running it goes on from there\n", p.Done, len(p.Steps))
	}
	b.WriteByte('\n')
	for i, s := range p.Steps {
		done := "   "
		if i < p.Done {
			done = "ok "
		}
		fmt.Fprintf(b, "%s%3s. %s%s\n", done, s.ID, s.Text, about(s.Seconds))
		if s.Destroys != "" {
			fmt.Fprintf(b, "        destroys: %s\n", s.Destroys)
		}
		if s.Clients != "" {
			fmt.Fprintf(b, "        clients:  %s\n", s.Clients)
		}
	}
	b.WriteByte('\n')
	for _, f := range p.Findings {
		if f.Severity != storage.Blocker {
			fmt.Fprintf(b, "%s: %s\n", f.Severity, f.Text)
		}
	}
	fmt.Fprintf(b, "=> %s in %d tables%s; destroys %s\n", rowCount(p.Rows), p.Tables, about(p.Seconds), counted(p.Destroys))
	for _, f := range p.Findings {
		if f.Severity == storage.Blocker {
			fmt.Fprintf(b, "Cannot start: %s. %s\n", f.Text, f.Fix)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func about(seconds int64) string {
	if seconds < 1 {
		return ""
	}
	return ", about " + (time.Duration(seconds) * time.Second).String()
}

// rowCount renders a number of rows, as in "1,204 rows".
func rowCount(n int64) string {
	if n == 1 {
		return "1 row"
	}
	return commas(n) + " rows"
}

// counted renders a number that powers.count has counted.
func counted(n int64) string {
	if n >= countLimit {
		return "more than " + rowCount(countLimit)
	}
	return rowCount(n)
}

func commas(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// size renders a number of bytes.
func size(n int64) string {
	f, unit := float64(n), 0
	for f >= 1000 && unit < 4 {
		f, unit = f/1000, unit+1
	}
	return strconv.FormatFloat(f, 'f', min(unit, 1), 64) + " " + [...]string{"B", "kB", "MB", "GB", "TB"}[unit]
}

// describeSessions says who is connected.
func describeSessions(ss []Connected) string {
	var b strings.Builder
	if len(ss) == 1 {
		b.WriteString("1 session is")
	} else {
		fmt.Fprintf(&b, "%d sessions are", len(ss))
	}
	b.WriteString(" still connected: ")
	for i, s := range ss {
		if i == 5 {
			fmt.Fprintf(&b, " and %d more", len(ss)-i)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s on %q", s.ID, s.Storage)
		for _, part := range []struct{ before, what string }{{" of ", s.User}, {" (", s.App}, {" from ", s.Client}} {
			if part.what == "" {
				continue
			}
			b.WriteString(part.before + part.what)
			if part.before == " (" {
				b.WriteByte(')')
			}
		}
	}
	return b.String()
}

// difference names the first way in which two definitions of a table differ.
func difference(backup, have *model.Table) string {
	for _, c := range backup.Columns() {
		i := have.Position(c.Name)
		if i < 0 {
			return "it lacks column " + c.Name
		}
		if got := have.Columns()[i].Type; got != c.Type {
			return fmt.Sprintf("column %s is %s, not %s", c.Name, got, c.Type)
		}
	}
	for _, c := range have.Columns() {
		if backup.Position(c.Name) < 0 {
			return "it has a column " + c.Name + " that the backup lacks"
		}
	}
	for i, c := range backup.Columns() {
		if backup.Indexed(i) != have.Indexed(have.Position(c.Name)) {
			return "the index on " + c.Name + " is not the same"
		}
	}
	return "its key or order is not the same"
}
