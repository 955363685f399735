package check

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// WriteText renders the report for people.
func (r *Report) WriteText(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	p := func(format string, args ...any) { fmt.Fprintf(tw, format, args...) }
	p("table\tstorage\trecords\tin doubt\tnote\n")
	for _, t := range r.Tables {
		note := ""
		if t.Skipped {
			why := "not transactional"
			if t.Elsewhere {
				why = "looked for in another storage"
			}
			p("%s\t%s\t-\t-\t%s: not checked\n", t.ID, t.Storage, why)
			continue
		}
		if t.Imported > 0 {
			note = group(t.Imported) + " never written by a transaction"
		}
		p("%s\t%s\t%s\t%s\t%s\n", t.ID, t.Storage, group(t.Records), group(t.Records-t.Committed), note)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	out := &strings.Builder{}
	r.writeInDoubt(out)
	r.writeViolations(out)
	r.writeQueries(out)
	for _, f := range r.Collations {
		fmt.Fprintf(out, "warning: %s: %s\n", f.Subject, f.Text)
	}
	if len(r.NotApplicable) > 0 {
		fmt.Fprintf(out, "not applicable: %s\n", strings.Join(r.NotApplicable, "; "))
	}
	fmt.Fprintf(out, "%s\n", r.Summary())
	_, err := io.WriteString(w, out.String())
	return err
}

func (r *Report) writeInDoubt(out *strings.Builder) {
	for _, c := range Classes {
		if n := r.InDoubtCounts[c]; n > 0 {
			fmt.Fprintf(out, "in doubt: %s %s\n", group(n), c)
		}
	}
	for _, d := range r.InDoubt {
		fmt.Fprintf(out, "  %s %s transaction %s, prepared %s: %s\n", d.Table, d.Key, d.Tx, d.Since.Format("2006-01-02T15:04:05.000Z"), d.Class)
	}
	if more := r.InDoubtTotal() - int64(len(r.InDoubt)); more > 0 {
		fmt.Fprintf(out, "  … and %s more\n", group(more))
	}
}

func (r *Report) writeViolations(out *strings.Builder) {
	listed := map[string]int64{}
	for _, v := range r.Violations {
		fmt.Fprintf(out, "%s\n", v)
		listed[v.Invariant]++
	}
	for _, name := range slices.Sorted(maps.Keys(r.Counts)) {
		if more := r.Counts[name] - listed[name]; more > 0 {
			fmt.Fprintf(out, "%s: and %s more\n", name, group(more))
		}
	}
}

func (r *Report) writeQueries(out *strings.Builder) {
	for _, q := range r.Queries {
		switch {
		case q.Status == QueryOK:
			fmt.Fprintf(out, "query %q: ok, %s\n", q.ID, q.Got)
		case q.Status == QueryInconclusive:
			fmt.Fprintf(out, "query %q: inconclusive, %s instead of %s while writers were active; check a backup, or stop them\n", q.ID, q.Got, q.Want)
		default:
			fmt.Fprintf(out, "query %q: FAILED, %s instead of %s\n", q.ID, q.Got, q.Want)
		}
	}
}

// Summary is the last line of the report.
func (r *Report) Summary() string {
	verdict := "consistent"
	if !r.Consistent {
		verdict = "NOT CONSISTENT: " + violations(r.Errors)
	}
	s := fmt.Sprintf("%s: %s records, %s transactions, %s in doubt: %s", r.Source, group(r.Records), group(r.Transactions), group(r.InDoubtTotal()), verdict)
	if r.Warnings > 0 {
		s += fmt.Sprintf(", %s warnings", group(r.Warnings))
	}
	if r.Inconclusive {
		s += "; some queries could not be decided"
	}
	return s
}

// violations renders how many rules are broken.
func violations(n int64) string {
	if n == 1 {
		return "1 violation"
	}
	return group(n) + " violations"
}

// group renders a number with commas.
func group(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
